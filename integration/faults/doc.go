// Package faults has tests that do to a running nixnfsd what happens to machines, and
// look at it as a client does: a disk or a quota is full, a file system turns
// read-only, a lower directory's disk goes away, the server is stopped for a while, the
// network goes down, and files run out. Each shows what the client sees meanwhile, and that
// afterwards everything is there that was acknowledged.
//
// The server is the program, in a process of its own. The client does what kernels do: it
// connects anew where the connection has ended, and sends its call again until it is
// answered. What takes the kernel's own client, such as a clock that is set, is in package guest.
//
// Most of them mount file systems on loop devices, or make a network namespace, and need
// Linux and root. -faults.wait makes the waits of those that only wait for what they are to
// see as long as in life:
//
//	go test ./integration/faults -faults.wait 1m
package faults

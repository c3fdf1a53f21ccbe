// Package handover lets a server put another program in its own place, with its sockets.
//
// # In place
//
// The server calls execve(2): the process, and so its id, its parent, its limits and its
// standard output, stay. Descriptors that a Bundle names stay open, all others are
// closed. Clients' connections are among them, so nobody has to connect anew: what they send
// meanwhile waits in the kernel. (Linux's client lets 3 s pass before it connects again to
// a server that closed its connection; XS_TCP_INIT_REEST_TO in net/sunrpc/xprtsock.c.)
//
// # What is handed over
//
// The environment variable NIXNFSD_HANDOVER has the number of a descriptor: of a file without
// a name, with the manifest, in JSON. It says which descriptors are what; behind it is
// what the server had read of calls that had not arrived whole. Only the server's user can
// give a program an environment, so nothing in it is a way in.
//
// # What can go wrong
//
// The new program is rehearsed first: Rehearse runs it with the same arguments and
// environment, but for the variable, which has the value "rehearsal". It then does what can be
// done beside a running server, says so and ends. An execve that fails leaves the caller with its
// Bundle, from which it can go on like a successor. A successor that finds that it
// cannot serve gives the Bundle back (Return): on Linux, where a program can be
// started by its descriptor, since a path may lead to another one by then.
package handover

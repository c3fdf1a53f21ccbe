// Package uml boots a User Mode Linux guest that has what the machine itself
// may lack: the Linux kernel's own NFS client. It runs a server in the guest,
// mounts it, runs a test there and hands back the test's exit status.
//
// # The guest
//
// Its root is the machine's root, seen read-only through hostfs, under a layer
// that is thrown away at the end: every file of the machine has its own path,
// and nothing that the guest does stays, but for what it writes in $OUT. Packages
// that only the guest needs lie in a second layer. Both come from Debian's
// archive, are unpacked below the user's cache directory and never installed.
//
// A fresh ext4 is mounted at /scratch. It holds the directory behind the mount
// (/scratch/volume/export, where another file system can be), a plain one beside it (/scratch/plain) and the homes of the
// users. /scratch itself and the export belong to the server's user.
//
// # Who watches whom
//
// The first process of the guest only reaps; its child, the supervisor, starts
// server and test. A server that ends unasked ends the run, because whoever
// touches the hard mount would hang for ever. A test that wants the server dead asks the
// supervisor, with the program that $NIXNFSD_CONTROL names. From outside, a time limit
// and the context end the guest's whole process group.
//
// Where a run asks for it, systemd is the first process, with the units that a user's
// session takes, and the supervisor is a service of it.
//
// # Caveats
//
// The guest has one processor: races show up less than on a real machine. A system
// call takes some 8 µs and a fork with an exec 10 ms, so tests belong in one static
// binary, not in shell scripts. Guests run on x86-64 Debian only, where ptrace is
// allowed; root is not needed.
package uml

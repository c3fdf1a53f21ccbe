// Package mount knows about the mount point from outside: the mount table, the
// command that mounts it, who listens at an address, whether a server answers
// there, and what all of that together means (Status).
//
// # Never touch a mount that may be dead
//
// A hard NFS mount whose server is gone hangs whoever touches it, with no
// signal but SIGKILL to get out, and a process that serves the mount hangs with
// it for good. So:
//
//   - The mount table is read from where the kernel keeps it without asking a
//     server: /proc/self/mountinfo on Linux, getfsstat(2) with MNT_NOWAIT on
//     macOS. Never statfs, never stat.
//   - Checker touches a mount point only when its server has just answered, and
//     even then in a child process with a time limit (StatInChild).
//   - Layout.Resolve follows the symbolic links of a path itself and stops
//     before it would step onto the mount point.
//   - No program is looked up in PATH, which may lead into the mount.
//
// # The order of the tests
//
// Status is made of three observations: does a server answer at the address
// (RPC NULL, MNT of the export and FSINFO over one new connection), what does
// the mount table hold at the mount point, and, when that is another server's,
// does that one answer. judge is a pure function of them.
//
// # Systems
//
// Decisions, parsers and command lines are in files without a suffix and are
// tested everywhere. What the macOS files call has been taken from Apple's man
// pages and sources and has not run on a Mac yet: in the worst case nfsstat's
// answer is not understood and the options of a mount are unknown.
package mount

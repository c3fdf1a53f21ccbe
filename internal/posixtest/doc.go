// Package posixtest is a conformance suite for file systems: what Nix, git,
// SQLite and build tools take for granted of the directory that they work in.
//
// [Run] takes a path and makes real system calls there, so that the kernel's NFS
// client is part of what it tests. [RunBilly] puts the cases that
// go-billy can express to a billy file system. The oracle is a plain local directory: each
// case passes on ext4 and tmpfs, as root and as an ordinary user.
//
// A test binary that calls Run calls [Child] in its TestMain: some cases need
// a second process, and that is the binary itself.
//
// # What is left out
//
// Access times, since no client of ours relies on them; byte counts of
// directories; whether a directory counts its subdirectories as links; renaming
// with flags; and whatever Linux and macOS do differently by design.
package posixtest

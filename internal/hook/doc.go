// Package hook puts lines into the start-up files of a user's shells, and takes them
// out again, to the byte. The lines have the shell take what "nixnfsd env" prints for
// its environment.
//
// # What it holds
//
//   - The lines are between two markers of their own, and what is around them is not touched. What
//     was there before, where it was less than a whole line, is said in the first marker: Remove
//     makes a file what it was before Add, and one that Add has made goes.
//   - A file changes at once and whole, by one process at a time, and keeps its mode. A start-up file that is a symbolic link,
//     into a collection of such files, stays one: what it leads to is changed.
//   - A file that lies in the mount, as one that Nix has made, is not even looked at: whoever
//     touches a mount may hang.
//
// # Caveat
//
// Whoever starts a shell runs these lines: zsh's in every script. They start a program, which
// takes some milliseconds, and wait for nothing.
package hook

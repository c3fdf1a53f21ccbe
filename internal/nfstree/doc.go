// Package nfstree changes a tree through the NFS server that serves it, by names, whether
// it is mounted or not: the server stays the only one that writes in its upper.
//
// A Dir is a file handle. No call follows a symbolic link, so that nothing leads out of the
// directory that was meant. What Nix's store asks of modes and times (R8: modes 0444 and 0555, mtime 1)
// is given to what is made here.
//
// # Durability
//
// Write leaves data in the server's hands; Commit has it on the disk, many files at a
// time. When the server has been started anew in between, Commit fails with ErrRestarted: the data may
// be lost.
//
// # Concurrency
//
// A Tree and its Dirs are for one goroutine. Fork gives another one the same connection.
package nfstree

// Package foldfs is a file system for tests on Linux that takes names for one another as
// Apple's do: it folds case, normalises Unicode and refuses bytes that are no
// UTF-8. It lies over a plain directory, and everything but its names is that directory's.
// It needs FUSE, and root to mount it.
package foldfs

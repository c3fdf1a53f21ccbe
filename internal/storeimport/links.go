package storeimport

import (
	"io/fs"
	"syscall"

	"github.com/nixnfsd/nixnfsd/internal/nfstree"
)

// links knows files with several names by their inode numbers in the old store.
type links map[uint64]*linked

// linked is such a file.
type linked struct {
	node   nfstree.Node
	copied bool
	left   uint64 // names that were not met yet
}

// meet gives what is known of a file that has several names, and nil of others.
func (l links) meet(info fs.FileInfo) *linked {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || uint64(st.Nlink) < 2 || info.IsDir() {
		return nil
	}
	known := l[st.Ino]
	if known == nil {
		known = &linked{left: uint64(st.Nlink)}
		l[st.Ino] = known
	}
	if known.left--; known.left == 0 {
		delete(l, st.Ino) // a store can have millions
	}
	return known
}

// Package nar writes Nix archives, by whose hashes Nix knows the contents of store paths,
// and reads the ways in which those hashes are spelt.
//
// A NAR (NixOS/nix, doc/manual: protocols/nix-archive) is a sequence of strings, each behind
// its length in 8 bytes and padded to a multiple of 8. It holds what a store path is made
// of and nothing else: names in the order of their bytes, contents, targets, and whether a file is
// executable; no times, owners or other modes.
package nar

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"
)

const (
	magic = "nix-archive-1"
	align = 8
)

// Writer writes one archive. The methods write one node each, whole.
type Writer struct {
	w   io.Writer
	err error // the first; nothing is written after it
}

// NewWriter begins an archive. Its only node is to be written next: that of the store path.
func NewWriter(w io.Writer) *Writer {
	n := &Writer{w: w}
	n.strings(magic)
	return n
}

// Regular writes a regular file with the content of r, which has to be of that size in bytes.
func (n *Writer) Regular(size int64, executable bool, r io.Reader) error {
	n.strings("(", "type", "regular")
	if executable {
		n.strings("executable", "")
	}
	n.strings("contents")
	n.length(size)
	n.content(size, r)
	n.strings(")")
	return n.err
}

// Symlink writes a symbolic link.
func (n *Writer) Symlink(target string) error {
	n.strings("(", "type", "symlink", "target", target, ")")
	return n.err
}

// Directory writes a directory with those names, in whatever order they are given; node
// writes the node of each.
func (n *Writer) Directory(names []string, node func(name string) error) error {
	n.strings("(", "type", "directory")
	for _, name := range slices.Sorted(slices.Values(names)) {
		n.strings("entry", "(", "name", name, "node")
		if n.err == nil {
			n.err = node(name)
		}
		n.strings(")")
	}
	n.strings(")")
	return n.err
}

func (n *Writer) strings(all ...string) {
	for _, s := range all {
		n.length(int64(len(s)))
		n.write([]byte(s))
		n.pad(int64(len(s)))
	}
}

func (n *Writer) content(size int64, r io.Reader) {
	if n.err != nil {
		return
	}
	var got int64
	if got, n.err = io.Copy(n.w, io.LimitReader(r, size+1)); n.err == nil && got != size {
		n.err = fmt.Errorf("archive a file of %d bytes: it has not that many", size)
	}
	n.pad(size)
}

func (n *Writer) length(l int64) { n.write(binary.LittleEndian.AppendUint64(nil, uint64(l))) }

func (n *Writer) pad(l int64) { n.write(make([]byte, (align-l%align)%align)) }

func (n *Writer) write(b []byte) {
	if n.err == nil {
		_, n.err = n.w.Write(b)
	}
}

package posixtest

import (
	"bytes"
	"encoding/binary"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A dirent is what a directory says of one entry.
type dirent struct {
	name string
	ino  uint64
	typ  uint32 // as in a mode; 0 where the directory does not say
}

// dirents reads a directory from the descriptor's offset to its end.
func (p *place) dirents(fd int) []dirent {
	p.Helper()
	var entries []dirent
	buf := make([]byte, 8192)
	for {
		n, err := unix.ReadDirent(fd, buf)
		p.try(err)
		if n <= 0 {
			return entries
		}
		entries = append(entries, parseDirents(buf[:n])...)
	}
}

// parseDirents reads the entries by offset: the last one can end before a
// struct dirent does.
func parseDirents(buf []byte) []dirent {
	var entries []dirent
	var d unix.Dirent
	for len(buf) > 0 {
		size := binary.NativeEndian.Uint16(buf[unsafe.Offsetof(d.Reclen):])
		name := buf[unsafe.Offsetof(d.Name):size]
		if end := bytes.IndexByte(name, 0); end >= 0 {
			name = name[:end]
		}
		ino := binary.NativeEndian.Uint64(buf[unsafe.Offsetof(d.Ino):])
		entries = append(entries, dirent{name: string(name), ino: ino, typ: uint32(buf[unsafe.Offsetof(d.Type)]) << 12})
		buf = buf[size:]
	}
	return entries
}

// direntNames returns the sorted names.
func direntNames(entries []dirent) []string {
	var names []string
	for _, e := range entries {
		names = append(names, e.name)
	}
	slices.Sort(names)
	return names
}

// checkDirents compares what the place's listing says with lstat.
func (p *place) checkDirents() {
	p.Helper()
	for _, e := range p.dirents(p.dirfd("")) {
		if e.name == ".." {
			continue
		}
		st := p.lstat(e.name)
		same(p, "d_ino of "+e.name, e.ino, st.ino)
		if e.typ != 0 {
			same(p, "d_type of "+e.name, e.typ, st.typ)
		}
	}
}

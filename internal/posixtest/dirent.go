package posixtest

import (
	"bytes"
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

func parseDirents(buf []byte) []dirent {
	var entries []dirent
	for len(buf) > 0 {
		d := (*unix.Dirent)(unsafe.Pointer(&buf[0]))
		name := buf[unsafe.Offsetof(d.Name):d.Reclen]
		if end := bytes.IndexByte(name, 0); end >= 0 {
			name = name[:end]
		}
		entries = append(entries, dirent{name: string(name), ino: d.Ino, typ: uint32(d.Type) << 12})
		buf = buf[d.Reclen:]
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

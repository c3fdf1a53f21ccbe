package nfs

import (
	"fmt"
	"syscall"

	"github.com/nixnfsd/nixnfsd/overlay"
)

// fakeFS is a file system of a root directory and one file in it. It stands
// for one that is slow, fails or panics: hook, when set, is called first by every
// method that may fail, with the method's name.
type fakeFS struct {
	hook    func(op string, c overlay.Caller) error
	entries int // of the root, besides "." and ".."
	data    []byte
}

var (
	fakeRoot = overlay.ID{Fileid: 2, Gen: 7}
	fakeFile = overlay.ID{Fileid: 3, Gen: 8}
)

func newFakeFS() *fakeFS { return &fakeFS{entries: 100, data: make([]byte, maxIO)} }

func (f *fakeFS) before(op string, c overlay.Caller) error {
	if f.hook == nil {
		return nil
	}
	return f.hook(op, c)
}

func (f *fakeFS) fill(id overlay.ID, a *overlay.Attr) error {
	*a = overlay.Attr{ID: id, Mode: overlay.ModeRegular | 0o644, Nlink: 1, UID: 1000, GID: 100, Size: uint64(len(f.data))}
	switch id {
	case fakeRoot:
		a.Mode = overlay.ModeDir | 0o755
		a.Nlink = 2
	case fakeFile:
	default:
		return syscall.ESTALE
	}
	return nil
}

func (f *fakeFS) change(op string, c overlay.Caller, id overlay.ID, w *overlay.Change) error {
	if err := f.before(op, c); err != nil {
		return err
	}
	w.HasPre, w.HasPost = true, true
	return f.fill(id, &w.Post)
}

func (f *fakeFS) make(op string, c overlay.Caller, dir overlay.ID, child *overlay.Attr, w *overlay.Change) error {
	if err := f.change(op, c, dir, w); err != nil {
		return err
	}
	return f.fill(fakeFile, child)
}

func (f *fakeFS) Root() overlay.ID { return fakeRoot }

func (f *fakeFS) Getattr(id overlay.ID, a *overlay.Attr) error {
	if err := f.before("getattr", overlay.Caller{}); err != nil {
		return err
	}
	return f.fill(id, a)
}

func (f *fakeFS) Born(overlay.ID) (overlay.Time, error) { return overlay.Time{}, nil }

func (f *fakeFS) Setattr(c overlay.Caller, id overlay.ID, _ *overlay.SetAttr, w *overlay.Change) error {
	return f.change("setattr", c, id, w)
}

func (f *fakeFS) Lookup(c overlay.Caller, dir overlay.ID, name []byte, child, dirAttr *overlay.Attr) (bool, error) {
	if err := f.before("lookup", c); err != nil {
		return false, err
	}
	if err := f.fill(dir, dirAttr); err != nil {
		return false, err
	}
	if string(name) != "file" {
		return true, syscall.ENOENT
	}
	return true, f.fill(fakeFile, child)
}

func (f *fakeFS) Readlink(id overlay.ID, buf []byte, a *overlay.Attr) ([]byte, error) {
	if err := f.before("readlink", overlay.Caller{}); err != nil {
		return buf, err
	}
	return append(buf, "target"...), f.fill(id, a)
}

func (f *fakeFS) Read(c overlay.Caller, id overlay.ID, p []byte, off uint64, a *overlay.Attr) (int, bool, error) {
	if err := f.before("read", c); err != nil {
		return 0, false, err
	}
	n := 0
	if off < uint64(len(f.data)) {
		n = copy(p, f.data[off:])
	}
	return n, off+uint64(n) >= uint64(len(f.data)), f.fill(id, a)
}

func (f *fakeFS) Write(c overlay.Caller, id overlay.ID, _ []byte, _ uint64, _ overlay.Stability, w *overlay.Change) error {
	return f.change("write", c, id, w)
}

func (*fakeFS) Losses() uint64 { return 0 }

func (f *fakeFS) Commit(c overlay.Caller, id overlay.ID, _, _ uint64, w *overlay.Change) error {
	return f.change("commit", c, id, w)
}

func (f *fakeFS) Create(c overlay.Caller, dir overlay.ID, _ []byte, _ *overlay.CreateHow, child *overlay.Attr, w *overlay.Change) error {
	return f.make("create", c, dir, child, w)
}

func (f *fakeFS) Mkdir(c overlay.Caller, dir overlay.ID, _ []byte, _ *overlay.SetAttr, child *overlay.Attr, w *overlay.Change) error {
	return f.make("mkdir", c, dir, child, w)
}

func (f *fakeFS) Symlink(c overlay.Caller, dir overlay.ID, _, _ []byte, _ *overlay.SetAttr, child *overlay.Attr, w *overlay.Change) error {
	return f.make("symlink", c, dir, child, w)
}

func (f *fakeFS) Mknod(c overlay.Caller, dir overlay.ID, _ []byte, _, _, _ uint32, _ *overlay.SetAttr, child *overlay.Attr, w *overlay.Change) error {
	return f.make("mknod", c, dir, child, w)
}

func (f *fakeFS) Remove(c overlay.Caller, dir overlay.ID, _ []byte, w *overlay.Change) error {
	return f.change("remove", c, dir, w)
}

func (f *fakeFS) Rmdir(c overlay.Caller, dir overlay.ID, _ []byte, w *overlay.Change) error {
	return f.change("rmdir", c, dir, w)
}

func (f *fakeFS) Rename(c overlay.Caller, from overlay.ID, _ []byte, to overlay.ID, _ []byte, wfrom, wto *overlay.Change) error {
	if err := f.change("rename", c, from, wfrom); err != nil {
		return err
	}
	return f.change("rename", c, to, wto)
}

func (f *fakeFS) Link(c overlay.Caller, id, dir overlay.ID, _ []byte, a *overlay.Attr, w *overlay.Change) (bool, error) {
	if err := f.change("link", c, dir, w); err != nil {
		return false, err
	}
	return true, f.fill(id, a)
}

func (f *fakeFS) Readdir(c overlay.Caller, dir overlay.ID, cookie uint64, attrs bool, dirAttr *overlay.Attr, emit func(*overlay.DirEntry) bool) (bool, error) {
	if err := f.before("readdir", c); err != nil {
		return false, err
	}
	if err := f.fill(dir, dirAttr); err != nil {
		return false, err
	}
	for i := int(min(cookie, uint64(f.entries+2))); i < f.entries+2; i++ {
		e := overlay.DirEntry{Name: fakeName(i), Fileid: uint64(i + 10), Cookie: uint64(i + 1)}
		if attrs {
			e.Attr = new(overlay.Attr)
			_ = f.fill(fakeFile, e.Attr)
		}
		if !emit(&e) {
			return false, nil
		}
	}
	return true, nil
}

func fakeName(i int) []byte {
	if i < 2 {
		return []byte("..")[:i+1]
	}
	return fmt.Appendf(nil, "entry-%d", i)
}

func (f *fakeFS) Stat(s *overlay.FSStat) error {
	*s = overlay.FSStat{MaxFileSize: 1 << 62, LinkMax: 32000, NameMax: 255, TimeDelta: overlay.Time{Nsec: 1}}
	return f.before("stat", overlay.Caller{})
}

//go:build linux

package guest

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// known is what a client knows an object by.
type known struct {
	fileid uint64
	handle string // the kernel's, which holds the server's
}

// know asks for an object's fileid and handle, and looks for the fileid in its
// directory's listing.
func know(t *testing.T, path string) known {
	t.Helper()
	var st unix.Stat_t
	try(t, unix.Lstat(path, &st))
	handle, _, err := unix.NameToHandleAt(unix.AT_FDCWD, path, 0)
	try(t, err)
	if listed := listedFileid(t, path); listed != st.Ino {
		t.Errorf("%s: listed with fileid %x, has %x", path, listed, st.Ino)
	}
	return known{st.Ino, string(handle.Bytes())}
}

// listedFileid is what READDIR says of a name.
func listedFileid(t *testing.T, path string) uint64 {
	t.Helper()
	dir, err := os.Open(filepath.Dir(path))
	try(t, err)
	defer dir.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := unix.ReadDirent(int(dir.Fd()), buf)
		try(t, err)
		if n == 0 {
			t.Fatalf("%s is not listed", path)
		}
		if ino, ok := findDirent(buf[:n], filepath.Base(path)); ok {
			return ino
		}
	}
}

// findDirent looks for a name in what getdents64(2) gave.
func findDirent(buf []byte, want string) (ino uint64, ok bool) {
	for len(buf) > 0 {
		length := binary.NativeEndian.Uint16(buf[16:])
		if unix.ByteSliceToString(buf[19:length]) == want {
			return binary.NativeEndian.Uint64(buf), true
		}
		buf = buf[length:]
	}
	return 0, false
}

// TestOverConstancy follows the fileid and the handle of objects of all types through
// copy-up, renames, restarts of the server and a new mount. What was opened before goes on to
// be read.
func TestOverConstancy(t *testing.T) {
	kinds := []string{"file", "linked", "directory", "symlink", "fifo", "upper"}
	l := layered(t, func(lowers []string) {
		for _, kind := range kinds[:len(kinds)-1] {
			makeKind(t, filepath.Join(lowers[len(kind)%len(lowers)], "from"), kind)
		}
		try(t, os.MkdirAll(filepath.Join(lowers[0], "to"), 0o755))
	})
	from, to := filepath.Join(l.merged, "from"), filepath.Join(l.merged, "to")
	makeKind(t, from, "upper")
	at, was, open := map[string]string{}, map[string]known{}, map[string]*os.File{}
	for _, kind := range kinds {
		at[kind] = filepath.Join(from, kind)
		was[kind] = know(t, at[kind])
		open[kind] = openKind(t, at[kind])
	}
	same := func(after string) {
		t.Helper()
		for _, kind := range kinds {
			if got := know(t, at[kind]); got != was[kind] {
				t.Errorf("%s after %s: fileid %x and handle %x, was %x and %x", kind, after, got.fileid, got.handle, was[kind].fileid, was[kind].handle)
			}
			checkKind(t, at[kind], open[kind])
		}
	}
	restart := func(when string) {
		t.Helper()
		Control(t, "restart")
		same("a restart " + when)
	}
	same("nothing")
	restart("before copy-up")
	for _, kind := range kinds {
		copyUpKind(t, at[kind])
	}
	same("copy-up")
	restart("after copy-up")
	for _, kind := range kinds {
		next := filepath.Join(from, "new-"+kind)
		try(t, os.Rename(at[kind], next))
		at[kind] = next
	}
	same("a rename")
	for _, kind := range kinds {
		next := filepath.Join(to, kind)
		try(t, os.Rename(at[kind], next))
		at[kind] = next
	}
	same("a rename into another directory")
	restart("after the renames")
	closeAll(t, open) // else the mount is in use
	Control(t, "umount")
	Control(t, "mount")
	for _, kind := range kinds {
		open[kind] = openKind(t, at[kind])
	}
	same("a new mount")
	closeAll(t, open)
}

func closeAll(t *testing.T, files map[string]*os.File) {
	t.Helper()
	for _, f := range files {
		try(t, f.Close())
	}
}

// makeKind makes an object of the kind, under its name.
func makeKind(t *testing.T, dir, kind string) {
	t.Helper()
	path := filepath.Join(dir, kind)
	try(t, os.MkdirAll(dir, 0o755))
	switch kind {
	case "directory":
		try(t, os.Mkdir(path, 0o755))
		try(t, os.WriteFile(filepath.Join(path, "inside"), []byte(kind), 0o644))
	case "symlink":
		try(t, os.Symlink(kind, path))
	case "fifo":
		try(t, unix.Mkfifo(path, 0o644))
	case "linked":
		try(t, os.WriteFile(path, []byte(kind), 0o644))
		try(t, os.Link(path, path+"-too"))
	default:
		try(t, os.WriteFile(path, []byte(kind), 0o644))
	}
}

// openKind opens an object: of what holds no data, as a place only.
func openKind(t *testing.T, path string) *os.File {
	t.Helper()
	flags := unix.O_PATH | unix.O_NOFOLLOW
	if fi, err := os.Lstat(path); err == nil && (fi.IsDir() || fi.Mode().IsRegular()) {
		flags = unix.O_RDONLY
	}
	f, err := os.OpenFile(path, flags, 0)
	try(t, err)
	return f
}

// checkKind looks whether what was opened still is what the path stands for, and
// holds what was put there.
func checkKind(t *testing.T, path string, f *os.File) {
	t.Helper()
	var here, there unix.Stat_t
	try(t, unix.Lstat(path, &here))
	try(t, unix.Fstat(int(f.Fd()), &there))
	if here.Ino != there.Ino || here.Mode != there.Mode || here.Size != there.Size || here.Nlink != there.Nlink {
		t.Errorf("%s: opened before it is %+v, now %+v", path, there, here)
	}
	if here.Mode&unix.S_IFMT != unix.S_IFREG {
		return
	}
	try(t, unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED))
	want, err := os.ReadFile(path)
	try(t, err)
	got := make([]byte, len(want)+1)
	n, err := unix.Pread(int(f.Fd()), got, 0)
	if string(got[:max(n, 0)]) != string(want) || err != nil {
		t.Errorf("%s: opened before it reads %q and error %v, now %q", path, got[:max(n, 0)], err, want)
	}
}

// copyUpKind changes an object, which brings it into the upper.
func copyUpKind(t *testing.T, path string) {
	t.Helper()
	fi, err := os.Lstat(path)
	try(t, err)
	switch {
	case fi.Mode().IsRegular():
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
		try(t, err)
		_, err = fmt.Fprint(f, " changed")
		try(t, err)
		try(t, f.Close())
	default:
		tv := []unix.Timespec{{Sec: 1}, {Sec: 1}}
		try(t, unix.UtimesNanoAt(unix.AT_FDCWD, path, tv, unix.AT_SYMLINK_NOFOLLOW))
	}
}

package posixtest

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A place is the directory of one case, with the calls that most cases make.
// What a case does not expect to fail ends it.
type place struct {
	*testing.T
	dir   string
	facts Facts
}

func newPlace(t *testing.T, dir string, facts Facts) *place {
	t.Helper()
	p := &place{T: t, dir: dir, facts: facts}
	p.try(os.Mkdir(dir, 0o755))
	t.Cleanup(func() {
		if err := removeAll(dir); err != nil {
			t.Errorf("remove what the case made: %v", err)
		}
	})
	return p
}

// removeAll removes a tree of which parts may be closed to their owner.
func removeAll(dir string) error {
	if os.RemoveAll(dir) == nil {
		return nil
	}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if d != nil && d.IsDir() {
			return os.Chmod(path, 0o700)
		}
		return err
	})
	return errors.Join(err, os.RemoveAll(dir))
}

// path returns the path of a name in the place; "" is the place itself. The
// name is not cleaned: trailing slashes count.
func (p *place) path(name string) string {
	if name == "" {
		return p.dir
	}
	return p.dir + "/" + name
}

// try ends the case on an error.
func (p *place) try(err error) {
	p.Helper()
	if err != nil {
		p.Fatal(err)
	}
}

// refused checks that a call failed with one of the errors.
func (p *place) refused(what string, err error, want ...syscall.Errno) {
	p.Helper()
	if !slices.ContainsFunc(want, func(e syscall.Errno) bool { return errors.Is(err, e) }) {
		p.Errorf("%s: got %v, want %v", what, err, want)
	}
}

// same checks a value.
func same[T comparable](p *place, what string, got, want T) {
	p.Helper()
	if got != want {
		p.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// brief returns the text, or its beginning where it is long.
func brief(s string) string {
	if len(s) > 80 {
		return s[:80] + "..."
	}
	return s
}

// file makes a file with mode 0644.
func (p *place) file(name, content string) {
	p.Helper()
	p.try(os.WriteFile(p.path(name), []byte(content), 0o644))
}

// mkdir makes directories with mode 0755, and those above them.
func (p *place) mkdir(names ...string) {
	p.Helper()
	for _, name := range names {
		p.try(os.MkdirAll(p.path(name), 0o755))
	}
}

func (p *place) symlink(target, name string) {
	p.Helper()
	p.try(os.Symlink(target, p.path(name)))
}

func (p *place) link(from, to string) {
	p.Helper()
	p.try(os.Link(p.path(from), p.path(to)))
}

func (p *place) rename(from, to string) {
	p.Helper()
	p.try(unix.Rename(p.path(from), p.path(to)))
}

func (p *place) unlink(name string) {
	p.Helper()
	p.try(unix.Unlink(p.path(name)))
}

func (p *place) chmod(name string, mode uint32) {
	p.Helper()
	p.try(unix.Chmod(p.path(name), mode))
}

// open opens a file that is closed after the case.
func (p *place) open(name string, flags int, mode uint32) *os.File {
	p.Helper()
	fd, err := unix.Open(p.path(name), flags|unix.O_CLOEXEC, mode)
	if err != nil {
		p.Fatalf("open %s with flags %#x: %v", brief(name), flags, err)
	}
	f := os.NewFile(uintptr(fd), p.path(name))
	p.Cleanup(func() { f.Close() })
	return f
}

// openErr returns the error of an open, and closes what was opened.
func (p *place) openErr(name string, flags int, mode uint32) error {
	fd, err := unix.Open(p.path(name), flags|unix.O_CLOEXEC, mode)
	if err == nil {
		err = unix.Close(fd)
	}
	return err
}

// dirfd opens a directory for the *at calls.
func (p *place) dirfd(name string) int {
	p.Helper()
	return int(p.open(name, unix.O_RDONLY|unix.O_DIRECTORY, 0).Fd())
}

// write writes and checks that all was written.
func (p *place) write(f *os.File, content string) {
	p.Helper()
	_, err := f.WriteString(content)
	p.try(err)
}

func (p *place) close(f *os.File) {
	p.Helper()
	p.try(f.Close())
}

// content checks what a file holds.
func (p *place) content(name, want string) {
	p.Helper()
	got, err := os.ReadFile(p.path(name))
	p.try(err)
	if string(got) != want {
		p.Errorf("content of %s: got %q (%d bytes), want %q (%d bytes)", brief(name), brief(string(got)), len(got), brief(want), len(want))
	}
}

// gone checks that no object has the name.
func (p *place) gone(name string) {
	p.Helper()
	var st unix.Stat_t
	p.refused("lstat "+brief(name), unix.Lstat(p.path(name), &st), unix.ENOENT)
}

// entries checks the names that a directory holds.
func (p *place) entries(name string, want ...string) {
	p.Helper()
	list, err := os.ReadDir(p.path(name))
	p.try(err)
	got := make([]string, 0, len(list))
	for _, e := range list {
		got = append(got, e.Name())
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		p.Errorf("entries of %q: got %q, want %q", name, got, want)
	}
}

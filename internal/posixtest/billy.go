package posixtest

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/go-git/go-billy/v5"
	"github.com/go-git/go-billy/v5/util"
)

// A billyCase is one expectation of a billy file system.
type billyCase struct {
	name string
	run  func(*billyPlace)
}

// RunBilly puts the cases that billy can express to a file system, each in a
// directory of its own below the root. Those on owners and times run where fsys is
// a billy.Change too. Exceptions are as in Facts, without a group.
func RunBilly(t *testing.T, fsys billy.Filesystem, exceptions map[string]string) {
	unused := maps.Clone(exceptions)
	cases := append(billyFileCases(), billyNameCases()...)
	if change, ok := fsys.(billy.Change); ok {
		cases = append(cases, billyChangeCases(change)...)
	}
	for _, c := range cases {
		delete(unused, c.name)
		t.Run(c.name, func(t *testing.T) {
			if reason, ok := exceptions[c.name]; ok {
				t.Skip("exception: " + reason)
			}
			p := &billyPlace{T: t, fs: fsys, dir: "billy-" + c.name}
			p.try(fsys.MkdirAll(p.dir, 0o755))
			t.Cleanup(func() {
				if err := util.RemoveAll(fsys, p.dir); err != nil {
					t.Errorf("remove what the case made: %v", err)
				}
			})
			c.run(p)
		})
	}
	for name := range unused {
		t.Errorf("there is no case %s to make an exception of", name)
	}
}

// A billyPlace is the directory of one case, as place is.
type billyPlace struct {
	*testing.T
	fs  billy.Filesystem
	dir string
}

func (p *billyPlace) path(name string) string { return p.fs.Join(p.dir, name) }

func (p *billyPlace) try(err error) {
	p.Helper()
	if err != nil {
		p.Fatal(err)
	}
}

func (p *billyPlace) refused(what string, err, want error) {
	p.Helper()
	if !errors.Is(err, want) {
		p.Errorf("%s: got %v, want %v", what, err, want)
	}
}

func (p *billyPlace) same(what string, got, want any) {
	p.Helper()
	if got != want {
		p.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// open opens a file that is closed after the case.
func (p *billyPlace) open(name string, flags int, mode fs.FileMode) billy.File {
	p.Helper()
	f, err := p.fs.OpenFile(p.path(name), flags, mode)
	p.try(err)
	p.Cleanup(func() { f.Close() })
	return f
}

func (p *billyPlace) openErr(name string, flags int) error {
	f, err := p.fs.OpenFile(p.path(name), flags, 0o644)
	if err == nil {
		err = f.Close()
	}
	return err
}

func (p *billyPlace) write(f io.Writer, content string) {
	p.Helper()
	_, err := io.WriteString(f, content)
	p.try(err)
}

func (p *billyPlace) file(name, content string) {
	p.Helper()
	f := p.open(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	p.write(f, content)
	p.try(f.Close())
}

func (p *billyPlace) mkdir(name string) {
	p.Helper()
	p.try(p.fs.MkdirAll(p.path(name), 0o755))
}

func (p *billyPlace) rename(from, to string) {
	p.Helper()
	p.try(p.fs.Rename(p.path(from), p.path(to)))
}

func (p *billyPlace) symlink(target, name string) {
	p.Helper()
	p.try(p.fs.Symlink(target, p.path(name)))
}

func (p *billyPlace) lstat(name string) fs.FileInfo {
	p.Helper()
	fi, err := p.fs.Lstat(p.path(name))
	p.try(err)
	return fi
}

func (p *billyPlace) content(name, want string) {
	p.Helper()
	f := p.open(name, os.O_RDONLY, 0)
	got, err := io.ReadAll(f)
	p.try(err)
	p.try(f.Close())
	if string(got) != want {
		p.Errorf("content of %s: got %q (%d bytes), want %q (%d bytes)", brief(name), brief(string(got)), len(got), brief(want), len(want))
	}
}

func (p *billyPlace) gone(name string) {
	p.Helper()
	_, err := p.fs.Lstat(p.path(name))
	p.refused("lstat "+brief(name), err, fs.ErrNotExist)
}

// entries checks the names in a directory and that they come sorted.
func (p *billyPlace) entries(name string, want ...string) {
	p.Helper()
	list, err := p.fs.ReadDir(p.path(name))
	p.try(err)
	got := make([]string, 0, len(list))
	for _, fi := range list {
		got = append(got, fi.Name())
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		p.Errorf("entries of %q: got %q, want %q", name, got, want)
	}
}

// billyChangeCases are about modes, owners and times.
func billyChangeCases(change billy.Change) []billyCase {
	return []billyCase{
		{"chmod", func(p *billyPlace) {
			p.file("f", "x")
			for _, mode := range []fs.FileMode{0, 0o444, 0o555, 0o600, 0o755, 0o777} {
				p.try(change.Chmod(p.path("f"), mode))
				p.same("mode", p.lstat("f").Mode(), mode)
			}
			p.refused("missing", change.Chmod(p.path("none"), 0o600), fs.ErrNotExist)
		}},
		{"chmod-special-bits", func(p *billyPlace) {
			p.mkdir("d")
			for _, mode := range []fs.FileMode{fs.ModeSticky | 0o777, fs.ModeSetgid | 0o755} {
				p.try(change.Chmod(p.path("d"), mode))
				p.same("mode", p.lstat("d").Mode(), fs.ModeDir|mode)
			}
		}},
		{"chmod-follows", func(p *billyPlace) {
			p.file("f", "x")
			p.symlink("f", "s")
			p.try(change.Chmod(p.path("s"), 0o600))
			p.same("mode", p.lstat("f").Mode(), fs.FileMode(0o600))
		}},
		{"chown-to-oneself", func(p *billyPlace) {
			p.file("f", "x")
			p.symlink("none", "s")
			p.try(change.Chown(p.path("f"), os.Geteuid(), os.Getegid()))
			p.try(change.Chown(p.path("f"), -1, -1))
			p.try(change.Lchown(p.path("s"), os.Geteuid(), os.Getegid()))
			p.refused("missing", change.Chown(p.path("s"), os.Geteuid(), -1), fs.ErrNotExist)
		}},
		{"chtimes", func(p *billyPlace) {
			p.file("f", "x")
			p.mkdir("d")
			for _, want := range []time.Time{time.Unix(1, 0), time.Unix(1234567890, 123456789)} {
				for _, name := range []string{"f", "d"} {
					p.try(change.Chtimes(p.path(name), want, want))
					p.same("mtime", p.lstat(name).ModTime().Equal(want), true)
				}
			}
			p.refused("missing", change.Chtimes(p.path("none"), time.Unix(1, 0), time.Unix(1, 0)), fs.ErrNotExist)
		}},
		{"chtimes-follows", func(p *billyPlace) {
			p.file("f", "x")
			p.symlink("f", "s")
			p.try(change.Chtimes(p.path("s"), time.Unix(3, 0), time.Unix(3, 0)))
			p.same("mtime", p.lstat("f").ModTime().Unix(), int64(3))
		}},
		{"chmod-while-open-then-write", func(p *billyPlace) {
			f := p.open("f", os.O_CREATE|os.O_WRONLY, 0o644)
			p.try(change.Chmod(p.path("f"), 0o444))
			p.write(f, "text")
			p.try(f.Close())
			p.same("size", p.lstat("f").Size(), int64(4))
		}},
	}
}

package overlay

import (
	"slices"
	"strings"
	"syscall"
)

// maxLinks bounds the symbolic links on the way of a path, as Linux does.
const maxLinks = 40

// walker resolves paths.
type walker struct {
	o     *FS
	who   Caller
	links int
}

// resolve gives the object that a path leads to. It follows a link at the end
// where follow says so.
func (b *billyFS) resolve(name string, follow bool) (Attr, error) {
	w := walker{o: b.o, who: b.who}
	return w.walk(b.o.Root(), name, follow)
}

func (w *walker) walk(from ID, name string, follow bool) (a Attr, err error) {
	if err := w.o.Getattr(from, &a); err != nil {
		return a, err
	}
	parts := splitPath(name)
	for i, part := range parts {
		dir := a
		if err := w.step(dir.ID, part, &a); err != nil {
			return a, err
		}
		if a.Mode&ModeType == ModeSymlink && (follow || i < len(parts)-1) {
			if a, err = w.follow(dir.ID, &a); err != nil {
				return a, err
			}
		}
	}
	return a, nil
}

func (w *walker) step(dir ID, name string, a *Attr) error {
	if err := checkName(name); err != nil {
		return err
	}
	var d Attr
	_, err := w.o.Lookup(w.who, dir, []byte(name), a, &d)
	return err
}

func (w *walker) follow(dir ID, link *Attr) (Attr, error) {
	if w.links++; w.links > maxLinks {
		return Attr{}, syscall.ELOOP
	}
	var a Attr
	to, err := w.o.Readlink(link.ID, nil, &a)
	if err != nil {
		return a, err
	}
	if len(to) > 0 && to[0] == '/' {
		dir = w.o.Root()
	}
	return w.walk(dir, string(to), true)
}

// checkName gives the error of a name that no file can have.
func checkName(name string) error {
	switch {
	case len(name) > 255:
		return syscall.ENAMETOOLONG
	case strings.IndexByte(name, 0) >= 0:
		return syscall.EINVAL
	}
	return nil
}

func splitPath(name string) []string {
	return slices.DeleteFunc(strings.Split(name, "/"), func(s string) bool { return s == "" || s == "." })
}

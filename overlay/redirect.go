package overlay

import (
	"errors"
	"strings"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxRedirect bounds the path in a redirect, in bytes. A longer one is not written,
// and is no good where it is read.
const maxRedirect = 4096

// shortRedirect is as much as the kernel writes by itself (ovl_redirect_max).
const shortRedirect = 256

// readRedirect gives the name that a directory has in the layers under its own: a
// path from the layers' roots, which begins with a slash, or another name in the same
// parent. "": its own. What overlayfs does not take gives its errors: EINVAL, and
// EACCES for a path that leads upwards.
func (fs *FS) readRedirect(in int, o target) (string, error) {
	b := make([]byte, shortRedirect)
	n, ok, err := fs.readMark(in, o, markRedirect, b)
	if err == unix.ERANGE {
		b = make([]byte, maxRedirect)
		n, ok, err = fs.readMark(in, o, markRedirect, b)
	}
	switch {
	case err == unix.ERANGE:
		return "", syscall.EINVAL
	case err != nil || !ok:
		return "", err
	}
	return checkRedirect(string(b[:n]))
}

func checkRedirect(s string) (string, error) {
	names := strings.Split(strings.TrimPrefix(s, "/"), "/")
	if !absolute(s) && len(names) > 1 {
		return "", syscall.EINVAL
	}
	for _, name := range names {
		switch {
		case name == "" || strings.ContainsRune(name, 0):
			return "", syscall.EINVAL
		case name == "." || name == "..":
			return "", syscall.EACCES
		}
	}
	return s, nil
}

func absolute(redirect string) bool { return strings.HasPrefix(redirect, "/") }

// redirect gives a directory of the upper that lower layers have too a mark with the
// path that it has there, so that it shows them wherever it is moved to.
func (fs *FS) redirect(c Caller, n *node) error {
	if err := acquire(c, &n.mu); err != nil {
		return err
	}
	defer n.mu.Unlock()
	s, err := fs.stackOf(n)
	if err != nil || s.apart() {
		return err
	}
	path, err := fs.pathUp(n, maxRedirect, func(s *stack) string { return s.redirect })
	if err != nil {
		return err
	}
	for i := range s.parts[1:] {
		if err := fs.pinPath(n, &s.parts[1+i]); err != nil {
			return err
		}
	}
	if err := fs.setRedirect(n, path); err != nil {
		return err
	}
	next := s.with(s.parts)
	next.redirect = path
	n.dir.stack.Store(next)
	return nil
}

// apart reports whether a directory shows the same wherever it is moved to: it is in
// the upper alone, or its redirect is a path.
func (s *stack) apart() bool {
	return s.parts[0].layer == 0 && (len(s.parts) == 1 || absolute(s.redirect))
}

// setRedirect gives ENAMETOOLONG when the file system has no room for so long a mark.
func (fs *FS) setRedirect(n *node, path string) error {
	dir, err := fs.dirFD(n, 0)
	if err != nil {
		return err
	}
	defer dir.release()
	err = fs.ifAllowed(dir.fd, &dotName[0], 0o700, func() error {
		return setDirMark(dir.fd, &dotName[0], markRedirect, path)
	})
	full := errors.Is(err, unix.E2BIG) || errors.Is(err, unix.ERANGE) || errors.Is(err, unix.ENOSPC)
	if full && len(path) > shortRedirect {
		return syscall.ENAMETOOLONG
	}
	return err
}

// pinPath notes where in its layer a part is, so that it is found when the directory
// and those above it get other names.
func (fs *FS) pinPath(n *node, part *stackPart) error {
	path, err := fs.pathUp(n, maxPath, func(s *stack) string {
		if in := partFrom(s.parts, part.layer); in != nil && in.layer == part.layer {
			return in.dir.where()
		}
		return ""
	})
	if err == nil {
		part.dir.at.Store(&path)
	}
	return err
}

// maxPath bounds a path in memory.
const maxPath = 1 << 20

// pathUp makes the path of a directory from the root, of at most limit bytes. called
// gives what a directory goes by other than its name: another name, or a whole path.
func (fs *FS) pathUp(n *node, limit int, called func(*stack) string) (string, error) {
	path := ""
	for n != fs.root {
		// The place first: a directory that has a new name has a redirect already.
		p := n.places.Load()
		if p == nil {
			return "", syscall.ESTALE
		}
		s, err := fs.stackOf(n)
		if err != nil {
			return "", err
		}
		name := called(s)
		if absolute(name) {
			return name + path, nil
		}
		if name == "" {
			name = p.plain()
		}
		if path = "/" + name + path; len(path) > limit {
			return "", syscall.ENAMETOOLONG
		}
		n = p.parent
	}
	return path, nil
}

// partDir is where one part of a directory is, and its cached descriptor.
type partDir struct {
	fileSlot
	// at is where in its layer the part is, when not under the directory's name in
	// the parent's part: another name there, or a path from the layer's root.
	at atomic.Pointer[string]
	// spelt is how the names in it are spelt, where that has to be looked at.
	spelt *spellings
}

func (d *partDir) where() string {
	if at := d.at.Load(); at != nil {
		return *at
	}
	return ""
}

// openRedirected opens a part that is not under the directory's own name.
func (fs *FS) openRedirected(p *place, layer int, at string, asked *asked) (int, error) {
	from := p.parent
	if absolute(at) {
		from, at = fs.root, at[1:]
	}
	dir, err := fs.dirFrom(from, layer, asked)
	if err != nil {
		return -1, err
	}
	defer dir.release()
	return fs.openPath(layer, dir.fd, at)
}

// openPath opens a directory by a path of names; no symbolic link is followed.
func (fs *FS) openPath(layer, dirfd int, path string) (int, error) {
	fd := dirfd
	for more := true; more; {
		var name string
		name, path, more = strings.Cut(path, "/")
		next, err := fs.openIn(layer, fd, name)
		if fd != dirfd {
			unix.Close(fd)
		}
		if err != nil {
			return -1, err
		}
		fd = next
	}
	return fd, nil
}

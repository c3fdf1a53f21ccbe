package mount

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// maxLinks is how many symbolic links a path may lead over.
const maxLinks = 40

// Layout is which directories a server uses, and where it will be mounted.
type Layout struct {
	MountPoint string
	Upper      string
	Lowers     []string
	Work       string
	State      string
}

// errMountPoint is a path that leads onto or into the mount point.
var errMountPoint = errors.New("leads into the mount point")

// Resolve gives the layout with every symbolic link followed, or says why it
// cannot be served: a server that reads through its own mount waits for itself,
// layers inside one another show what was never put there, and what lies in a
// layer is exported, which the state directory's key must not be. The work and state
// directories have to belong to the caller, and to be writable by nobody else.
//
// Directories that are not there yet are no error, except lowers. The mount
// point is not touched: it may be a mount whose server is not up yet.
func (l Layout) Resolve() (Layout, error) {
	point, err := resolveParent(l.MountPoint)
	if err != nil {
		return l, fmt.Errorf("resolve the mount point %s: %w", l.MountPoint, err)
	}
	dirs := l.dirs()
	for i := range dirs {
		path, err := resolve(dirs[i].path, point)
		if err != nil {
			return l, refuse(dirs[i], l.MountPoint, err)
		}
		dirs[i].path = path
	}
	if err := separate(dirs, point); err != nil {
		return l, err
	}
	if err := checkLowers(dirs); err != nil {
		return l, err
	}
	return fromDirs(l.MountPoint, dirs), checkOwn(dirs, os.Geteuid())
}

// Mounted reports whether a path leads onto the mount point or into it, which it does not touch.
func (l Layout) Mounted(path string) (bool, error) {
	point, err := resolveParent(l.MountPoint)
	if err == nil {
		_, err = resolve(path, point)
	}
	if errors.Is(err, errMountPoint) {
		return true, nil
	}
	return false, err
}

// dir is one directory of a layout.
type dir struct {
	flag, path string
	// holds: nothing else may lie inside. own: nobody but the server changes it.
	holds, own bool
}

func (l Layout) dirs() []dir {
	dirs := []dir{
		{flag: "--upper", path: l.Upper, holds: true},
		{flag: "--work", path: l.Work, holds: true, own: true},
		{flag: "--state", path: l.State, own: true},
	}
	for _, lower := range l.Lowers {
		dirs = append(dirs, dir{flag: "--lower", path: lower, holds: true})
	}
	return dirs
}

func fromDirs(point string, dirs []dir) Layout {
	l := Layout{MountPoint: point, Upper: dirs[0].path, Work: dirs[1].path, State: dirs[2].path}
	for _, d := range dirs[3:] {
		l.Lowers = append(l.Lowers, d.path)
	}
	return l
}

func refuse(d dir, point string, err error) error {
	if errors.Is(err, errMountPoint) {
		return fmt.Errorf("%s %s leads into the mount point %s: the server would wait for itself; choose a directory outside it", d.flag, d.path, point)
	}
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("resolve %s: %w; choose a directory that is yours with %s", d.path, err, d.flag)
	}
	return fmt.Errorf("resolve %s %s: %w", d.flag, d.path, err)
}

// separate checks resolved directories against one another and the mount point.
func separate(dirs []dir, point string) error {
	for i, d := range dirs {
		if d.holds && inside(point, d.path) {
			return fmt.Errorf("the mount point %s lies inside %s %s: the server would wait for itself; choose a directory that is not around the mount point", point, d.flag, d.path)
		}
		for j, other := range dirs {
			if i != j && d.holds && inside(other.path, d.path) {
				return fmt.Errorf("%s %s lies inside %s %s: choose directories that are not inside one another", other.flag, other.path, d.flag, d.path)
			}
		}
	}
	return nil
}

func checkLowers(dirs []dir) error {
	for _, d := range dirs {
		if d.flag != "--lower" {
			continue
		}
		info, err := os.Stat(d.path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("--lower %s is not there: a lower is never written, so it has to hold something; make it or leave the flag out", d.path)
		case err != nil:
			return fmt.Errorf("look at --lower: %w", err)
		case !info.IsDir():
			return fmt.Errorf("--lower %s is no directory: give a directory", d.path)
		}
	}
	return nil
}

// inside reports whether path is dir or lies in it.
func inside(path, dir string) bool {
	rest, ok := strings.CutPrefix(path, dir)
	return ok && (rest == "" || rest[0] == '/' || strings.HasSuffix(dir, "/"))
}

// resolveParent follows all links but the last component, which it leaves alone.
func resolveParent(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	parent, err := resolve(filepath.Dir(path), "")
	return filepath.Join(parent, filepath.Base(path)), err
}

// resolve follows the links of path without ever looking at point or beneath
// it: that is errMountPoint. What is not there is taken as it is written.
func resolve(path, point string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	done, todo := "/", strings.Split(path, "/")
	for links := 0; len(todo) > 0; {
		next := filepath.Join(done, todo[0])
		todo = todo[1:]
		if point != "" && inside(next, point) {
			return "", errMountPoint
		}
		target, err := os.Readlink(next)
		switch {
		case errors.Is(err, syscall.EINVAL), errors.Is(err, fs.ErrNotExist):
			done = next // no link
			continue
		case err != nil:
			return "", err
		}
		if links++; links > maxLinks {
			return "", &fs.PathError{Op: "readlink", Path: path, Err: syscall.ELOOP}
		}
		if filepath.IsAbs(target) {
			done = "/"
		}
		todo = append(strings.Split(target, "/"), todo...)
	}
	return done, nil
}

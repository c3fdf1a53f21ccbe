package hook

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"

	"github.com/nixnfsd/nixnfsd/mount"
)

// Hook is the lines in one start-up file.
type Hook struct {
	File
	// Command is the program's absolute path, and what stands between it and its verb.
	Command []string
	// MountPoint is where nothing must be touched.
	MountPoint string
}

// State is what a start-up file has of the lines.
type State string

// The values of State.
const (
	Absent  State = "absent"
	Stale   State = "stale" // they are there, and others than they would be now: the program was elsewhere
	Present State = "present"
)

// State looks at the file.
func (h Hook) State() (State, error) {
	_, t, err := h.read()
	switch {
	case err != nil:
		return Absent, fmt.Errorf("look for nixnfsd's lines in %s: %w", h.Path, err)
	case !t.there:
		return Absent, nil
	case len(h.Command) == 0 || t.lines != block(h.Shell, h.Command): // who only looks for lines names no program
		return Stale, nil
	}
	return Present, nil
}

// Add puts the lines at the end of the file, or in the place of those that are there. It reports
// whether there was anything to do.
func (h Hook) Add() (changed bool, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("put nixnfsd's lines into %s: %w", h.Path, err)
		}
	}()
	target, t, err := h.read()
	lines := block(h.Shell, h.Command)
	if err != nil || t.there && t.lines == lines {
		return false, err
	}
	if !t.there {
		if err := t.prepare(target); err != nil {
			return false, err
		}
	}
	return true, replace(target, t.with(lines))
}

// prepare notes what there is, and makes the directory where there is none.
func (t *text) prepare(target string) error {
	err := os.Mkdir(filepath.Dir(target), 0o755)
	switch {
	case err == nil:
		t.note = noDir
	case !errors.Is(err, fs.ErrExist):
		return err
	case !there(target):
		t.note = noFile
	case t.before != "" && !bytes.HasSuffix([]byte(t.before), []byte("\n")):
		t.note = cutLine
		t.before += "\n"
	}
	return nil
}

// Remove takes the lines out. It reports whether there were any.
func (h Hook) Remove() (changed bool, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("take nixnfsd's lines out of %s: %w", h.Path, err)
		}
	}()
	target, t, err := h.read()
	if err != nil || !t.there {
		return false, err
	}
	rest := t.without()
	if len(rest) > 0 || t.note != noFile && t.note != noDir {
		return true, replace(target, rest)
	}
	if err := os.Remove(target); err != nil {
		return false, err
	}
	if t.note == noDir {
		os.Remove(filepath.Dir(target)) // where it holds nothing else
	}
	return true, nil
}

// errInMount is the error of a file that must not be looked at.
var errInMount = errors.New("it leads into the mount: have what makes it, such as home-manager, put them in")

// read gives the file's own path and what it holds, which is nothing where it is not there.
func (h Hook) read() (target string, t text, err error) {
	in, err := mount.Layout{MountPoint: h.MountPoint}.Mounted(h.Path)
	if err == nil && in {
		err = errInMount
	}
	if err != nil {
		return "", t, err
	}
	target, err = filepath.EvalSymlinks(h.Path)
	if errors.Is(err, fs.ErrNotExist) && !there(h.Path) {
		return h.Path, t, nil
	}
	if err != nil {
		return "", t, err
	}
	info, err := os.Stat(target)
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is no regular file")
	}
	if err != nil {
		return "", t, err
	}
	b, err := os.ReadFile(target)
	if err == nil {
		t, err = parse(b)
	}
	return target, t, err
}

// replace writes a file anew, at once, with the mode that it has.
func replace(file string, content []byte) error {
	return renameio.WriteFile(file, content, 0o644, renameio.WithExistingPermissions())
}

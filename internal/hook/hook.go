package hook

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/nixnfsd/nixnfsd/internal/wholefile"
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
	Left    State = "left"  // they are not there, but what a process has left beside the file that was killed
	Stale   State = "stale" // they are there, and others than they would be now: the program was elsewhere
	Present State = "present"
)

// State looks at the file.
func (h Hook) State() (State, error) {
	target, err := h.target()
	var t text
	if err == nil {
		t, err = read(target)
	}
	switch {
	case err != nil:
		return Absent, fmt.Errorf("look for nixnfsd's lines in %s: %w", h.Path, err)
	case !t.there && wholefile.Left(target):
		return Left, nil
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
	target, err := h.target()
	if err != nil {
		return false, err
	}
	err = os.Mkdir(filepath.Dir(target), 0o755)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return false, err
	}
	return h.add(target, err == nil)
}

// add puts the lines into a file, whose directory was made for it or not.
func (h Hook) add(target string, madeDir bool) (changed bool, err error) {
	held, err := wholefile.Hold(target)
	if err != nil {
		return false, err
	}
	defer held.Release()
	t, err := read(target)
	lines := block(h.Shell, h.Command)
	if err != nil || t.there && t.lines == lines {
		return false, err
	}
	if !t.there {
		t.prepare(target, madeDir)
	}
	return true, replace(target, t.with(lines))
}

// prepare notes what there is.
func (t *text) prepare(target string, madeDir bool) {
	switch {
	case madeDir:
		t.note = noDir
	case !there(target):
		t.note = noFile
	case t.before != "" && !strings.HasSuffix(t.before, "\n"):
		t.note = cutLine
		t.before += "\n"
	}
}

// Remove takes the lines out, and removes what a process has left that was killed. It reports whether there
// were any.
func (h Hook) Remove() (changed bool, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("take nixnfsd's lines out of %s: %w", h.Path, err)
		}
	}()
	target, err := h.target()
	if err != nil || !there(filepath.Dir(target)) {
		return false, err
	}
	note, err := remove(target)
	if note != nil && *note == noDir {
		os.Remove(filepath.Dir(target)) // where it holds nothing else
	}
	return note != nil, err
}

// remove gives the note of the lines that it has taken out.
func remove(target string) (note *string, err error) {
	held, err := wholefile.Hold(target)
	if err != nil {
		return nil, err
	}
	defer held.Release()
	t, err := read(target)
	if err != nil || !t.there {
		return nil, err
	}
	if rest := t.without(); len(rest) > 0 || t.note != noFile && t.note != noDir {
		return &t.note, replace(target, rest)
	}
	return &t.note, os.Remove(target)
}

// errInMount is the error of a file that must not be looked at.
var errInMount = errors.New("it leads into the mount: have what makes it, such as home-manager, put them in")

// target is the file's own path, where links lead to it.
func (h Hook) target() (string, error) {
	in, err := mount.Layout{MountPoint: h.MountPoint}.Mounted(h.Path)
	if err == nil && in {
		err = errInMount
	}
	if err != nil {
		return "", err
	}
	target, err := filepath.EvalSymlinks(h.Path)
	if errors.Is(err, fs.ErrNotExist) && !there(h.Path) {
		return h.Path, nil
	}
	return target, err
}

// read gives what a file holds, which is nothing where it is not there.
func read(target string) (text, error) {
	info, err := os.Stat(target)
	if errors.Is(err, fs.ErrNotExist) {
		return text{}, nil
	}
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is no regular file")
	}
	if err != nil {
		return text{}, err
	}
	b, err := os.ReadFile(target)
	if err != nil {
		return text{}, err
	}
	return parse(b)
}

// replace writes a file anew, at once, with the mode that it has. Who holds it does.
func replace(target string, content []byte) error {
	mode := fs.FileMode(0o644)
	if info, err := os.Stat(target); err == nil {
		mode = info.Mode().Perm()
	}
	return wholefile.Replace(target, mode, bytes.NewReader(content))
}

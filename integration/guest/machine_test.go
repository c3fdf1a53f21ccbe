//go:build linux

package guest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/nixnfsd/nixnfsd/integration/uml/spec"
)

// machine is what differs on the guest's root from what it found, all that is in some
// directories beside the root, and what is in /run: each path with all that can be said of it,
// but for the times of directories.
type machine map[string]string

// systems are paths of the root that change without us, or lie on other file systems.
var systems = []string{
	"/dev", "/guest", "/harness", "/out", "/proc", "/run", "/scratch", "/sys", "/tmp",
	"/var/lib/systemd", "/var/log", "/var/tmp",
}

// readMachine reads it. The walk goes by what has changed: there is no time for the whole root.
func readMachine(t *testing.T, more ...string) machine {
	t.Helper()
	m := machine{}
	walk(t, spec.Changes, func(path string) error {
		name := strings.TrimPrefix(path, spec.Changes)
		if slices.Contains(systems, name) {
			return fs.SkipDir
		}
		now, err := describe("/" + name)
		was, wasErr := describe(spec.Found + "/" + name)
		if now != was {
			m["/"+strings.TrimPrefix(name, "/")] = now
		}
		return errors.Join(err, wasErr)
	})
	for _, dir := range more {
		walk(t, dir, func(path string) (err error) {
			m[path], err = describe(path)
			return err
		})
	}
	names, err := os.ReadDir("/run")
	try(t, err)
	for _, name := range names {
		if name.Name() != "mount" { // util-linux's
			m["/run/"+name.Name()] = "there"
		}
	}
	return m
}

func walk(t *testing.T, dir string, visit func(path string) error) {
	t.Helper()
	try(t, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return visit(path)
	}))
}

// describe says all of a path; "gone" where there is none.
func describe(path string) (string, error) {
	e, err := readEntry(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return "gone", nil
	}
	if err != nil {
		return "", err
	}
	var st syscall.Stat_t
	if err := syscall.Lstat(path, &st); err != nil {
		return "", err
	}
	text := fmt.Sprintf("%v of %d:%d, %d bytes, %s", e.Mode, st.Uid, st.Gid, e.Size, e.Sum)
	if !e.Mode.IsDir() {
		text += e.Mtime.UTC().Format(", 2006-01-02 15:04:05.000000000")
	}
	return text, nil
}

// since says what has changed, a line for each path.
func (m machine) since(before machine) []string {
	var lines []string
	for path, now := range m {
		if was, there := before[path]; !there || was != now {
			lines = append(lines, fmt.Sprintf("%s: is %s, was %s", path, now, was))
		}
	}
	for path, was := range before {
		if _, there := m[path]; !there {
			lines = append(lines, fmt.Sprintf("%s: was %s", path, was))
		}
	}
	slices.Sort(lines)
	return lines
}

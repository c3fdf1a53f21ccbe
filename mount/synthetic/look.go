package synthetic

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Look reads all manifests beneath root, which is "/" but in tests. Their paths
// are given without it. Nothing is an error that a system may be like.
func Look(root string) ([]Manifest, error) {
	paths := []string{Conf}
	names, err := os.ReadDir(filepath.Join(root, Dir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("look for synthetic entries: %w", err)
	}
	for _, name := range names {
		paths = append(paths, filepath.Join(Dir, name.Name()))
	}
	var seen []Manifest
	for _, p := range paths {
		m, err := read(root, p)
		if err != nil {
			return nil, fmt.Errorf("look for synthetic entries: %w", err)
		}
		seen = append(seen, m)
	}
	return seen, nil
}

// maxManifest is more than anybody lists in the root, in bytes.
const maxManifest = 1 << 20

func read(root, path string) (Manifest, error) {
	m := Manifest{Path: path}
	file := filepath.Join(root, path)
	info, err := os.Lstat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	if err != nil {
		return m, err
	}
	if m.Foreign, err = foreign(file, info); err != nil {
		return m, err
	}
	if info, err = os.Stat(file); err != nil || !info.Mode().IsRegular() {
		return m, nil // a link to nothing, a folder: it lists nothing
	}
	if info.Size() > maxManifest {
		return m, fmt.Errorf("%s has %d bytes, and %d are more than it may need", path, info.Size(), maxManifest)
	}
	m.Mode = info.Mode().Perm()
	m.Text, err = os.ReadFile(file)
	return m, err
}

// foreign says why a file is not ours to write.
func foreign(file string, info fs.FileInfo) (string, error) {
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(file)
		return "a symbolic link to " + target, err
	case !info.Mode().IsRegular():
		return "no regular file", nil
	}
	return immutable(info), nil
}

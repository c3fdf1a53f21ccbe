package main

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// licenses gathers, into one file, the licences of what others wrote and the program contains: the
// modules, and Go's own library. Most of them ask for that.
func (b *builder) licenses(ctx context.Context, program string) (file, error) {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return file{}, err
	}
	var text bytes.Buffer
	root, err := b.dirOf(ctx, "env", "GOROOT")
	if err == nil {
		err = appendLicenses(&text, info.GoVersion, root)
	}
	for _, m := range info.Deps {
		var dir string
		if err == nil {
			dir, err = b.dirOf(ctx, "list", "-m", "-f", "{{.Dir}}", m.Path)
		}
		if err == nil {
			err = appendLicenses(&text, m.Path+" "+m.Version, dir)
		}
	}
	return file{path: "THIRD-PARTY", mode: 0o644, content: text.Bytes()}, err
}

// dirOf is a directory that the Go tool tells.
func (b *builder) dirOf(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Env = b.dir, append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=readonly")
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w%s", strings.Join(args, " "), err, stderrOf(err))
	}
	return strings.TrimSpace(string(out)), nil
}

// appendLicenses appends what lies in a directory under the names that licences have.
func appendLicenses(text *bytes.Buffer, name, dir string) error {
	var found []string
	for _, pattern := range []string{"LICEN[CS]E*", "COPYING*", "NOTICE*"} {
		matches, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return err
		}
		found = append(found, matches...)
	}
	if len(found) == 0 {
		return fmt.Errorf("%s has no licence in %s", name, dir)
	}
	for _, path := range found {
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		fmt.Fprintf(text, "==== %s: %s\n\n%s\n", name, filepath.Base(path), content)
	}
	return nil
}

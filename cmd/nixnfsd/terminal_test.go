package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTerminal has names that a terminal would obey be in errors and in what check says.
func TestTerminal(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "\x1b[2J")
	if err := os.MkdirAll(filepath.Join(dir, "upper", "store"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "upper"), 0o777); err != nil {
		t.Fatal(err)
	}
	dirs := []string{"--upper", filepath.Join(dir, "upper"), "--state", filepath.Join(dir, "state")}
	for _, args := range [][]string{
		{"du", "none"},
		{"check", "--listen", "127.0.0.1:1"},
		{"check", "--listen", "127.0.0.1:1", "--json"},
	} {
		var stdout, stderr bytes.Buffer
		if code := run(append(args, dirs...), &stdout, &stderr); code == exitOK || code == exitUsage {
			t.Errorf("%q: exit code %d", args, code)
		}
		if out := stdout.String() + stderr.String(); out == "" || strings.Contains(out, "\x1b") {
			t.Errorf("%q: got %q", args, out)
		}
	}
}

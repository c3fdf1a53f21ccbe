package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// module has a target that finds something at once, one that never does, and tests without
// any, in a package each.
var module = map[string]string{
	"go.mod": "module example.test/m\n\ngo 1.26\n",
	"a/a_test.go": `package a

import "testing"

func FuzzBad(f *testing.F) {
	f.Add(0)
	f.Fuzz(func(t *testing.T, n int) {
		if n != 0 {
			t.Error("not zero")
		}
	})
}
`,
	"b/b_test.go": "package b\n\nimport \"testing\"\n\nfunc FuzzGood(f *testing.F) { f.Fuzz(func(*testing.T, int) {}) }\n",
	"c/c_test.go": "package c\n\nimport \"testing\"\n\nfunc TestC(*testing.T) {}\n",
}

func TestRun(t *testing.T) {
	dir := t.TempDir()
	for name, text := range module {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	tests := []struct {
		pkg, err string
		limit    time.Duration
		said     []string
	}{
		{"./a", "example.test/m/a.FuzzBad: exit status 1", time.Minute, []string{"not zero", "go test fuzz v1\nint(", "1 fuzz targets for 1m0s each, 1 failed"}},
		{"./b", "", time.Second, []string{"example.test/m/b.FuzzGood: ", "1 fuzz targets for 1s each, 0 failed"}},
		{"./c", "there are no fuzz targets", time.Minute, nil},
	}
	for _, tt := range tests {
		var out strings.Builder
		err := run(t.Context(), tt.limit, 2, []string{tt.pkg}, &out)
		if tt.err == "" && err != nil || tt.err != "" && (err == nil || err.Error() != tt.err) {
			t.Errorf("%s: got error %v, want %q", tt.pkg, err, tt.err)
		}
		for _, want := range tt.said {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: %q is not in\n%s", tt.pkg, want, out.String())
			}
		}
	}
}

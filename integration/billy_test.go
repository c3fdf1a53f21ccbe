package integration

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/posixtest"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// TestBilly puts the conformance cases that billy can express to the overlay's
// billy face, with an upper directory alone and over lower ones.
func TestBilly(t *testing.T) {
	tests := []struct {
		name   string
		lowers []string
	}{
		{name: "upper"},
		{name: "lowers", lowers: []string{"first", "second"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			posixtest.RunBilly(t, overlay.Billy(openOverlay(t, tt.lowers)), billyExceptions())
		})
	}
}

// billyExceptions are cases that overlay.Billy does not pass, with the reason.
func billyExceptions() map[string]string {
	return map[string]string{
		"remove-while-open": "a file of overlay.Billy is an object and an offset, and holds nothing open: ESTALE once it is removed",
	}
}

// openOverlay opens an overlay of new directories until the end of the test.
// Each lower directory holds a file of its own name.
func openOverlay(t *testing.T, lowers []string) *overlay.FS {
	t.Helper()
	dir := t.TempDir()
	options := overlay.Options{Upper: filepath.Join(dir, "upper"), State: filepath.Join(dir, "state")}
	err := errors.Join(os.Mkdir(options.Upper, 0o755), os.Mkdir(options.State, 0o700))
	for _, name := range lowers {
		lower := filepath.Join(dir, name)
		options.Lowers = append(options.Lowers, lower)
		err = errors.Join(err, os.Mkdir(lower, 0o755), os.WriteFile(filepath.Join(lower, name), []byte(name), 0o644))
	}
	if err != nil {
		t.Fatal(err)
	}
	fsys, err := overlay.Open(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := fsys.Close(); err != nil {
			t.Errorf("close the overlay: %v", err)
		}
	})
	return fsys
}

package setup_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nixnfsd/nixnfsd/internal/setup"
)

// TestNoteMade has the receipt tell what was made, though the program failed, and nothing else.
func TestNoteMade(t *testing.T) {
	home := t.TempDir()
	at := func(name string) string { return filepath.Join(home, name) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Symlink("old", at("there")))
	failure := errors.New("it fails")
	err := setup.NoteMade(at("receipt"), []string{at("there"), at("link"), at("dir"), at("none")}, func() error {
		must(os.Symlink("/nowhere", at("link")))
		must(os.Mkdir(at("dir"), 0o755))
		must(os.WriteFile(at("dir/file"), []byte("abc"), 0o644))
		must(os.WriteFile(at("elsewhere"), nil, 0o644))
		return failure
	})
	if !errors.Is(err, failure) {
		t.Errorf("got %v, want %v", err, failure)
	}
	r, err := setup.ReadReceipt(at("receipt"))
	must(err)
	want := []setup.Change{
		{Path: at("link"), Digest: setup.Linked("/nowhere")},
		{Path: at("dir"), Dir: true},
		{Path: at("dir/file"), Digest: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
	}
	if d := cmp.Diff(want, r.Changes); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

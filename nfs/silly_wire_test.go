package nfs_test

import (
	"fmt"
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
)

// TestSillyRenames does what clients do when an open file is removed, and its directory:
// to Linux's pattern and to Apple's, over a restart of the server.
func TestSillyRenames(t *testing.T) {
	linux := func(a nfsclient.Attr) string { return fmt.Sprintf(".nfs%016x%08x", a.Fileid, 1) }
	apple := func(nfsclient.Attr) string { return ".nfs.20051a80.1c24" }
	tt := []struct {
		client string
		named  bool // the client says its host's name
		name   func(nfsclient.Attr) string
		hidden bool
	}{
		{"linux", true, linux, true},
		{"apple", false, apple, true},
		{"a Linux user's choice", true, apple, false},
	}
	for _, tt := range tt {
		t.Run(tt.client, func(t *testing.T) {
			w := newWorld(t)
			connect := func() *nfsclient.Client {
				cred := owner()
				cred.Named = tt.named
				return w.dial(nfsclient.Options{Cred: cred})
			}
			c := connect()
			d := w.mkdir(w.root, "d")
			f := w.create(d, "f")
			name := tt.name(w.attr(f))
			_, err := c.Rename(t.Context(), d, "f", d, name)
			w.must("rename", err)
			if got := w.lookup(d, name); got != f {
				t.Errorf("look-up: got handle %x, want %x", got, f)
			}
			if got := len(w.names(d)); (got == 0) != tt.hidden {
				t.Errorf("%d names are listed; hidden should be %v", got, tt.hidden)
			}
			if !tt.hidden {
				_, err := c.Rmdir(t.Context(), w.root, "d")
				w.want("rmdir", err, nfsclient.ErrNotEmpty)
				return
			}
			_, err = c.Rmdir(t.Context(), w.root, "d")
			w.must("rmdir", err)
			w.restart()
			c = connect()
			_, err = c.Write(t.Context(), f, 0, nfsclient.FileSync, []byte("open"))
			w.must("write", err)
			r, err := c.Read(t.Context(), f, 0, 100)
			w.must("read", err)
			if string(r.Data) != "open" {
				t.Errorf("content: %q", r.Data)
			}
			_, err = c.Remove(t.Context(), d, name)
			w.must("remove", err)
			_, err = c.Getattr(t.Context(), f)
			w.want("getattr after the remove", err, nfsclient.ErrStale)
		})
	}
}

package bootstrap_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/bootstrap"
)

func TestParseSource(t *testing.T) {
	tests := []struct {
		source string
		remote bool
		ok     bool
	}{
		{"nix.tar.xz", false, true},
		{"file:///tmp/nix.tar.xz", false, true},
		{"https://example.org/nix.tar.xz", true, true},
		{"http://127.0.0.1:8080/nix.tar.xz", true, true},
		{"http://[::1]/nix.tar.xz", true, true},
		{"http://example.org/nix.tar.xz", false, false},
		{"http://127.0.0.1.example.org/nix.tar.xz", false, false},
		{"http://localhost/nix.tar.xz", false, false}, // a name can lead anywhere
		{"ftp://example.org/nix.tar.xz", false, false},
		{"http://%zz/", false, false},
	}
	for _, tt := range tests {
		s, err := bootstrap.ParseSource(tt.source)
		if (err == nil) != tt.ok || err == nil && s.Remote() != tt.remote {
			t.Errorf("%s: remote %t, error %v", tt.source, s.Remote(), err)
		}
	}
}

// fetch downloads from a server that answers with a handler.
func fetch(t *testing.T, path string, handler http.HandlerFunc) (content, sum string, err error) {
	t.Helper()
	server := httptest.NewServer(handler)
	defer server.Close()
	source, err := bootstrap.ParseSource(server.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	f, size, err := source.Open(t.Context(), dir, func(_ int64, r io.Reader) io.Reader { return r })
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) > 0 {
		t.Errorf("%q are left", left)
	}
	if err != nil {
		return "", "", err
	}
	defer f.Close()
	if sum, err = bootstrap.Sum(f); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(f)
	if int64(len(b)) != size {
		t.Errorf("%d bytes, and its size is %d", len(b), size)
	}
	return string(b), sum, err
}

func TestDownload(t *testing.T) {
	content, sum, err := fetch(t, "/moved", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/moved" {
			http.Redirect(w, r, "/here", http.StatusFound)
			return
		}
		io.WriteString(w, "abc")
	})
	const want = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" // FIPS 180-2, appendix B.1
	if err != nil || content != "abc" || sum != want {
		t.Errorf("got %q, %s, %v", content, sum, err)
	}
}

func TestDownloadRefused(t *testing.T) {
	tests := []struct {
		name    string
		handler http.HandlerFunc
		want    string
	}{
		{"not found", http.NotFound, "404 Not Found"},
		{"sent elsewhere", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://example.org/", http.StatusFound)
		}, "whoever is on the way could change it"},
		{"sent in circles", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/", http.StatusFound) }, "on and on"},
		{"cut", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, "abc")
		}, "unexpected EOF"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, _, err := fetch(t, "/", tt.handler); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestNoFile(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{t.TempDir(), filepath.Join(t.TempDir(), "none"), os.DevNull, pipe} {
		source, err := bootstrap.ParseSource(name)
		if err != nil {
			t.Fatal(err)
		}
		if f, _, err := source.Open(t.Context(), t.TempDir(), nil); err == nil {
			f.Close()
			t.Errorf("%s is taken for a tarball", name)
		}
	}
}

package bootstrap_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/nixnfsd/nixnfsd/integration/nixtarball"
	"github.com/nixnfsd/nixnfsd/internal/bootstrap"
)

// canonical is what the store has to hold after a tarball.
func canonical(ball *nixtarball.Tarball) map[string]file {
	want := map[string]file{}
	for _, p := range ball.Paths {
		for _, e := range p.Entries {
			f := file{Mode: 0o444, Time: 1, Content: e.Content}
			switch {
			case e.Mode&fs.ModeSymlink != 0:
				f.Mode = fs.ModeSymlink | 0o777
			case e.Mode != 0:
				f.Mode = 0o555
			}
			name := filepath.Join(p.Base, e.Name)
			want[name] = f
			for dir := filepath.Dir(name); dir != "."; dir = filepath.Dir(dir) {
				want[dir] = file{Mode: fs.ModeDir | 0o555, Time: 1}
			}
		}
	}
	return want
}

func TestUnpack(t *testing.T) {
	s, ball := newScene(t), tarball()
	b := packed(t, ball, nil)
	for run := range 2 {
		got, err := s.unpack(t.Context(), bytes.NewReader(b))
		s.must(err)
		registration, err := ball.Registration()
		s.must(err)
		want := &bootstrap.Unpacked{
			Release: bootstrap.Release{Version: "2.0", System: system}, Nix: ball.Nix, CACert: ball.CACert, Registration: registration,
			Paths: len(ball.Paths), There: run * len(ball.Paths),
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("run %d: -want +got:\n%s", run, d)
		}
		if d := cmp.Diff(canonical(ball), s.store()); d != "" {
			t.Errorf("run %d: -want +got:\n%s", run, d)
		}
		if names := s.names(); !slices.Equal(names, []string{"store"}) {
			t.Errorf("run %d: in the root are %q", run, names)
		}
	}
	if s.wrote != 0 {
		t.Errorf("the second run wrote %d files", s.wrote)
	}
}

// interrupter ends a run at a place of the tarball.
type interrupter struct{ cancel func() }

func (i *interrupter) Read([]byte) (int, error) {
	i.cancel()
	return 0, io.EOF
}

// TestAnyEnd cuts the tarball anywhere, damages it anywhere, or ends the run anywhere, again and again:
// nothing of it comes into the store, and at last everything does.
func TestAnyEnd(t *testing.T) {
	s, ball := newScene(t), tarball()
	b := packed(t, ball, nil)
	random := rand.New(rand.NewPCG(1, 2))
	ends := []struct {
		name string
		run  func() error
	}{
		{"cut", func() error {
			_, err := s.unpack(t.Context(), bytes.NewReader(b[:random.IntN(len(b))]))
			return err
		}},
		{"damage", func() error {
			damaged := slices.Clone(b)
			damaged[random.IntN(len(b))] ^= 1 << random.IntN(8)
			_, err := s.unpack(t.Context(), bytes.NewReader(damaged))
			return err
		}},
		{"disk that fails", func() error {
			at := random.IntN(len(b))
			r := io.MultiReader(bytes.NewReader(b[:at]), iotest.ErrReader(errors.New("this disk fails")))
			_, err := s.unpack(t.Context(), r)
			return err
		}},
		{"interrupt", func() error {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			at := random.IntN(len(b))
			_, err := s.unpack(ctx, io.MultiReader(bytes.NewReader(b[:at]), &interrupter{cancel}, bytes.NewReader(b[at:])))
			return err
		}},
	}
	for round := range 25 {
		end := ends[round%len(ends)]
		if err := end.run(); err == nil {
			t.Errorf("%s: no error", end.name)
		}
		if slices.Contains(s.names(), "store") {
			t.Fatalf("%s: there is a store", end.name)
		}
	}
	_, err := s.unpack(t.Context(), bytes.NewReader(b))
	s.must(err)
	if d := cmp.Diff(canonical(ball), s.store()); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	if names := s.names(); !slices.Equal(names, []string{"store"}) {
		t.Errorf("in the root are %q", names)
	}
}

// TestServerEnds has the server end in the middle, and another one come: the next run goes on.
func TestServerEnds(t *testing.T) {
	s, ball := newScene(t), tarball()
	b := packed(t, ball, nil)
	for _, at := range []int{len(b) / 3, len(b) / 2, len(b) - 1} {
		_, err := s.unpack(t.Context(), io.MultiReader(bytes.NewReader(b[:at]), &interrupter{s.stop}, bytes.NewReader(b[at:])))
		var format *bootstrap.FormatError
		if err == nil || errors.As(err, &format) {
			t.Errorf("at %d: got %v", at, err)
		}
		s.serve()
	}
	_, err := s.unpack(t.Context(), bytes.NewReader(b))
	s.must(err)
	if d := cmp.Diff(canonical(ball), s.store()); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

// TestResume does not do again what was whole.
func TestResume(t *testing.T) {
	s, ball := newScene(t), tarball()
	b := packed(t, ball, nil)
	if _, err := s.unpack(t.Context(), bytes.NewReader(b[:len(b)-1])); err == nil {
		t.Fatal("a cut tarball was taken")
	}
	before := s.wrote
	_, err := s.unpack(t.Context(), bytes.NewReader(b))
	s.must(err)
	if before == 0 || s.wrote >= before {
		t.Errorf("the first run wrote %d files, and the second %d", before, s.wrote)
	}
}

// TestSomethingElseThere leaves what is in the store.
func TestSomethingElseThere(t *testing.T) {
	s, ball := newScene(t), tarball()
	b := packed(t, ball, nil)
	_, err := s.unpack(t.Context(), bytes.NewReader(b))
	s.must(err)
	store := filepath.Join(s.upper, "store")
	victim := filepath.Join(store, ball.Paths[1].Base)
	s.must(os.Chmod(victim, 0o644))
	s.must(os.WriteFile(victim, []byte("a store path that is mine!!"), 0o444))
	want := s.store()
	_, err = s.unpack(t.Context(), bytes.NewReader(b))
	if err == nil || !strings.Contains(err.Error(), "is there, and is not what the tarball has under that name") {
		t.Errorf("got %v", err)
	}
	if d := cmp.Diff(want, s.store()); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

const storeOf = "nix-2.0-x86_64-linux/store/"

// TestHostile refuses tarballs, and leaves nothing of them.
func TestHostile(t *testing.T) {
	nix := nixtarball.Base("nix-2.0")
	// instead has another entry come in the place of the one of that name.
	instead := func(name string, change func(h *tar.Header, content []byte) []byte) edit {
		return func(h *tar.Header, content []byte, put func(*tar.Header, []byte)) {
			if strings.TrimSuffix(h.Name, "/") == "nix-2.0-x86_64-linux/"+name {
				content = change(h, content)
			}
			put(h, content)
		}
	}
	// program has the entry of bin/nix be something else.
	program := func(change func(h *tar.Header)) edit {
		return instead("store/"+nix+"/bin/nix", func(h *tar.Header, _ []byte) []byte {
			change(h)
			return nil
		})
	}
	named := func(name string) edit { return program(func(h *tar.Header) { h.Name = name }) }
	// more has another entry come last.
	more := func(name string) edit {
		return func(h *tar.Header, content []byte, put func(*tar.Header, []byte)) {
			put(h, content)
			if strings.HasSuffix(h.Name, "/ca-bundle.crt") {
				put(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644}, nil)
			}
		}
	}
	typed := func(flag byte) edit {
		return program(func(h *tar.Header) { h.Typeflag, h.Linkname = flag, storeOf+nix+"/same" })
	}
	text := func(name, old, new string) edit {
		return instead(name, func(_ *tar.Header, b []byte) []byte { return []byte(strings.Replace(string(b), old, new, 1)) })
	}
	without := func(part string) edit {
		return func(h *tar.Header, content []byte, put func(*tar.Header, []byte)) {
			if !strings.Contains(h.Name, part) {
				put(h, content)
			}
		}
	}
	tests := []struct {
		name string
		edit edit
		want string
	}{
		{"up", named(storeOf + nix + "/../../../../../etc/passwd"), "is no name in a folder"},
		{"up at the end", named(storeOf + nix + "/bin/.."), "is no name in a folder"},
		{"absolute", named("/etc/passwd"), "is no name in a folder"},
		{"dot", named(storeOf + nix + "/./bin/nix"), "is no name in a folder"},
		{"another folder", named("nix-2.1-x86_64-linux/install"), "is beside its folder"},
		{"beside the store", named("nix-2.0-x86_64-linux/var/nix"), "is neither in its store nor a file beside it"},
		{"no store path", named(storeOf + ".links/x"), "is no name of a store path"},
		{"no hash", named(storeOf + "nix-2.0/bin"), "is no name of a store path"},
		{"not registered", more(storeOf + nixtarball.Base("other")), "is not in its registration"},
		{"too long", named(storeOf + nix + "/" + strings.Repeat("n", 256)), "is no name in a folder"},
		{"too deep", named(storeOf + nix + strings.Repeat("/d", 2500)), "is no name in a folder"},
		{"hard link", typed(tar.TypeLink), "is neither a file nor a directory nor a symbolic link"},
		{"device", typed(tar.TypeChar), "is neither a file"},
		{"block device", typed(tar.TypeBlock), "is neither a file"},
		{"FIFO", typed(tar.TypeFifo), "is neither a file"},
		{"link without a target", program(func(h *tar.Header) { h.Typeflag = tar.TypeSymlink; h.Linkname = "" }), "without a proper target"},
		{"store that is a link", program(func(h *tar.Header) {
			*h = tar.Header{Name: "nix-2.0-x86_64-linux/store", Typeflag: tar.TypeSymlink, Linkname: "/etc"}
		}), "is no directory"},
		{"top that is a link", program(func(h *tar.Header) {
			*h = tar.Header{Name: "nix-2.0-x86_64-linux/x", Typeflag: tar.TypeSymlink, Linkname: "/etc"}
		}), "is neither in its store"},
		// Behind the link of that name, which leads elsewhere.
		{"through a link", named(storeOf + nix + "/bin/nix-store/x"), "comes before its directory"},
		{"a directory for a file", program(func(h *tar.Header) { *h = tar.Header{Name: storeOf + nix + "/Same", Typeflag: tar.TypeDir} }), "comes twice"},
		{"twice", named(storeOf + nix + "/Same"), "comes twice"},
		{"a directory twice", program(func(h *tar.Header) { *h = tar.Header{Name: storeOf + nix + "/bin", Typeflag: tar.TypeDir} }), "comes twice"},
		{"a path again", more(storeOf + nixtarball.Base("lib-1") + "/x"), "comes again"},
		{"a file too many", more(storeOf + nixtarball.Base("nss-cacert") + "/x"), "is not what it is registered as"},
		{"no directory", without("/bin/"), "is not what it is registered as"},
		{"other bytes", instead("store/"+nix+"/same", func(*tar.Header, []byte) []byte { return []byte("hostile") }), "is not what it is registered as"},
		{"other mode", program(func(h *tar.Header) { h.Mode = 0o644 }), "is not what it is registered as"},
		{"a path too few", without(nixtarball.Base("nss-cacert")), "is registered, and not in its store"},
		{"no registration", without(".reginfo"), "its store comes before its registration"},
		{"no script", without("/install"), "its store comes before"},
		{"no store", without("/store/"), "is registered, and not in its store"},
		{"nothing", without(""), "it is empty"},
		{"another folder's name", instead("install", func(h *tar.Header, b []byte) []byte {
			h.Name = "evil/install"
			return b
		}), "and not nix-VERSION-SYSTEM"},
		{"registration of elsewhere", text(".reginfo", "/nix/store/", "/etc/"), "where a store path has to be"},
		{"registration with a bad hash", text(".reginfo", "sha256:", "sha256:x"), "is no SHA-256"},
		{"registration that is cut", text(".reginfo", "\n\n0\n", "\n\n99\n"), "cannot be read"},
		{"registration that is negative", text(".reginfo", "\n\n0\n", "\n\n-1\n"), "cannot be read"},
		{"reference that is not there", text(".reginfo", "\n\n0\n", "\n\n1\n/nix/store/"+nixtarball.Base("gone")+"\n"), "is referred to, and not in it"},
		{"two registrations", instead("install-multi-user", func(h *tar.Header, _ []byte) []byte {
			h.Name = "nix-2.0-x86_64-linux/.reginfo"
			return []byte("x")
		}), "where a store path has to be"},
		{"script with another path", text("install", nix, nixtarball.Base("other")), "is to be installed, and not in its registration"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newScene(t)
			_, err := s.unpack(t.Context(), bytes.NewReader(packed(t, tarball(), tt.edit)))
			var format *bootstrap.FormatError
			if !errors.As(err, &format) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if names := s.names(); len(names) > 0 {
				t.Errorf("%q are left", names)
			}
		})
	}
}

// TestAnotherSystem refuses what cannot run here.
func TestAnotherSystem(t *testing.T) {
	s, ball := newScene(t), tarball()
	ball.System = "aarch64-darwin"
	_, err := s.unpack(t.Context(), bytes.NewReader(packed(t, ball, nil)))
	if err == nil || !strings.Contains(err.Error(), "the tarball is for aarch64-darwin, and this machine is x86_64-linux") {
		t.Errorf("got %v", err)
	}
	if names := s.names(); len(names) > 0 {
		t.Errorf("%q are left", names)
	}
}

// TestNoTarball refuses what is none at all.
func TestNoTarball(t *testing.T) {
	tests := []struct{ name, content, want string }{
		{"nothing", "", "ends before its end"},
		{"text", strings.Repeat("<html>not found</html>\n", 100), "not recognized"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newScene(t)
			if _, err := s.unpack(t.Context(), strings.NewReader(tt.content)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

package bootstrap_test

import (
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

// TestHeld changes a tarball between its sum and its unpacking: to another one that is whole.
func TestHeld(t *testing.T) {
	s, b := newScene(t), packed(t, tarball(), nil)
	unpack := func(r io.Reader, sum string) error {
		_, err := s.unpack(t.Context(), bootstrap.Held(r, sum))
		return err
	}
	other, err := bootstrap.Sum(strings.NewReader("another"))
	s.must(err)
	if err := unpack(bytes.NewReader(b), other); err == nil || !strings.Contains(err.Error(), "it was changed while it was read") {
		t.Errorf("got %v", err)
	}
	if names := s.names(); len(names) > 0 {
		t.Errorf("in the root are %q", names)
	}
	sum, err := bootstrap.Sum(bytes.NewReader(b))
	s.must(err)
	s.must(unpack(iotest.DataErrReader(bytes.NewReader(b)), sum))
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

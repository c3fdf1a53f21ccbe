//go:build linux

package guest

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/testenv"
)

// output gathers what a program prints, while others look.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// TestBootstrap begins with nothing but a binary tarball, which package integration has made, and a
// server that is not mounted: Nix of the tarball is unpacked and waits for the mount, and then builds and runs.
func TestBootstrap(t *testing.T) {
	tarballs, err := filepath.Glob(filepath.Join(fromEnv(t, "OUT"), "nix-*.tar.xz"))
	try(t, err)
	if len(tarballs) != 1 {
		t.Fatalf("there is not one tarball but %q", tarballs)
	}
	u := newNixUser(t, -1)
	u.env = slices.DeleteFunc(u.env, func(v string) bool {
		return strings.HasPrefix(v, "NIX_CONFIG=") || strings.HasPrefix(v, "PATH=")
	})
	u.env = append(u.env, "PATH="+os.Getenv("PATH"))
	Control(t, "start")
	t.Cleanup(func() { Control(t, "umount"); Control(t, "stop") })
	bootstrap := []string{"bootstrap", "--upper", Export(t), "--state", "/scratch/state", "--tarball", tarballs[0], "--shell-hook"}

	cmd := u.command(t.Context(), "nixnfsd", bootstrap...)
	var out output
	cmd.Stdout, cmd.Stderr = &out, &out
	try(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	testenv.Await(t, "it waits for the mount", func() bool { return strings.Contains(out.String(), "waiting until /nix is mounted") || len(ended) > 0 })
	Control(t, "mount")
	if err := <-ended; err != nil {
		t.Fatalf("bootstrap: %v\n%s", err, out.String())
	}
	t.Log(out.String())

	// A login shell finds it, by the lines in its start-up file.
	u.env = append(u.env, "PATH="+u.run(t, "sh", "-l", "-c", "echo $PATH"))
	if got := u.run(t, "nix-env", "-q"); !strings.HasPrefix(got, "nix-2.") || !strings.Contains(got, "nss-cacert") {
		t.Errorf("nix-env -q: got %q, want nix and nss-cacert", got)
	}
	if got := u.run(t, "sh", "-c", "readlink -f $(command -v nix-build)"); !strings.HasPrefix(got, nixStores) {
		t.Errorf("nix-build is %s", got)
	}
	s := newScenario(t, u, "bootstrap", 1)
	offline := []string{"--option", "substituters", ""}
	path, err := s.nixBuild(t.Context(), s.seed, "result", offline...)
	try(t, err)
	s.greets(t, path+"/bin/hello", s.seed)
	u.run(t, "nix-store", "--verify", "--check-contents")
	for name, e := range readTree(t, filepath.Dir(filepath.Dir(u.run(t, "sh", "-c", "readlink -f $(command -v nix)")))) {
		if err := canonical(e); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}

	again := u.run(t, "nixnfsd", bootstrap...)
	for _, want := range []string{"3 store paths, of which 3 were there", "nix.conf is there", ".nix-profile is there"} {
		if !strings.Contains(again, want) {
			t.Errorf("the second run says nothing of %q:\n%s", want, again)
		}
	}
	if config, err := os.ReadFile(filepath.Join(u.home, ".config/nix/nix.conf")); err != nil || !strings.Contains(string(config), "sandbox = false") {
		t.Errorf("nix.conf: %q, %v", config, err)
	}
	t.Run("import", func(t *testing.T) { importStore(t, s) })
}

// importStore moves the store away, behind the back of a server that is stopped, and takes it over from
// there: hard links, database, profile and what was built are as before.
func importStore(t *testing.T, s *scenario) {
	s.env = append(s.env, "NIX_CONFIG=experimental-features = nix-command") // which validPaths takes
	s.run(t, "nix-store", "--optimise")
	want := s.readStore(t).contents()
	Control(t, "umount")
	Control(t, "stop")
	const old = "/scratch/old"
	try(t, os.Mkdir(old, 0o755))
	for _, name := range []string{"store", "var"} {
		try(t, os.Rename(filepath.Join(Export(t), name), filepath.Join(old, name)))
	}
	t.Log(s.run(t, "nixnfsd", "import", "--upper", Export(t), "--state", "/scratch/state", "--from", old))
	Control(t, "start")
	Control(t, "mount")
	s.run(t, "nix-store", "--verify", "--check-contents")
	store := s.readStore(t)
	if d := diff(store.contents(), want); d != "" {
		t.Errorf("the store after the import:\n%s", d)
	}
	checkLinks(t, store)
	s.greets(t, s.home+"/result/bin/hello", s.seed)
	if got := s.run(t, "nix-env", "-q"); !strings.Contains(got, "nix-2.") {
		t.Errorf("nix-env -q: got %q, want nix", got)
	}
}

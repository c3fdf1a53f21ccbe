package storeimport_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/integration/testserver"
	"github.com/nixnfsd/nixnfsd/internal/nfstree"
	"github.com/nixnfsd/nixnfsd/internal/storeimport"
	"github.com/nixnfsd/nixnfsd/internal/testenv"
	"github.com/nixnfsd/nixnfsd/nfs"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// scene is an old store, and a server with an empty one.
type scene struct {
	t          *testing.T
	old, upper string
	tree       *nfstree.Tree
}

func newScene(t *testing.T) *scene {
	t.Helper()
	dir := t.TempDir()
	s := &scene{t: t, old: filepath.Join(dir, "old"), upper: filepath.Join(dir, "upper")}
	for _, name := range []string{"upper", "state"} {
		s.must(os.Mkdir(filepath.Join(dir, name), 0o755))
	}
	s.makeOld()
	fsys, err := overlay.Open(overlay.Options{Upper: s.upper, Work: filepath.Join(dir, "work"), State: filepath.Join(dir, "state")})
	s.must(err)
	server, err := testserver.Serve(nfs.Options{FS: fsys})
	s.must(err)
	s.tree, err = nfstree.Dial(t.Context(), server.Addr, testserver.Export)
	s.must(err)
	t.Cleanup(func() {
		s.must(errors.Join(s.tree.Close(), server.Stop(), fsys.Close()))
		s.must(exec.Command("chmod", "-R", "u+w", dir).Run())
	})
	return s
}

func (s *scene) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// makeOld makes a store as Nix leaves one that was optimised.
func (s *scene) makeOld() {
	at := func(name string) string { return filepath.Join(s.old, name) }
	for _, dir := range []string{"store/.links", "store/aaa/bin", "store/bbb/sub/part", "var/nix/db", "var/nix/profiles/per-user", "var/nix/gcroots", "var/nix/temproots"} {
		s.must(os.MkdirAll(at(dir), 0o755))
	}
	files := map[string]string{
		"store/aaa/bin/run": "#!/bin/sh\n", "store/aaa/large": strings.Repeat("large", 300_000), "store/bbb/sub/part/one": "one",
		"store/file.drv": "a derivation", "store/aaa.lock": "", "var/nix/gc.lock": "", "var/nix/db/big-lock": "", "var/nix/db/schema": "10",
		"var/nix/temproots/12": "x",
	}
	for name, content := range files {
		s.must(os.WriteFile(at(name), []byte(content), 0o644))
	}
	for name, target := range map[string]string{"store/bbb/link": "sub", "var/nix/profiles/default": "default-1-link", "var/nix/gcroots/profiles": "/nix/var/nix/profiles"} {
		s.must(os.Symlink(target, at(name)))
	}
	for name, of := range map[string]string{"store/.links/1": "store/aaa/large", "store/bbb/large": "store/aaa/large", "store/aaa/bin/same": "store/aaa/bin/run", "store/.links/2": "store/bbb/link"} {
		s.must(unix.Linkat(unix.AT_FDCWD, at(of), unix.AT_FDCWD, at(name), 0))
	}
	s.must(unix.Mkfifo(at("var/nix/fifo"), 0o600))
	s.database()
	s.canonical()
}

// canonical gives the store paths the modes and times that Nix gives them.
func (s *scene) canonical() {
	var paths []string
	s.must(filepath.WalkDir(filepath.Join(s.old, "store"), func(path string, d fs.DirEntry, err error) error {
		paths = append(paths, path)
		return err
	}))
	for i := range paths {
		path := paths[len(paths)-1-i]
		info, err := os.Lstat(path)
		s.must(err)
		second := []unix.Timespec{{Sec: 1}, {Sec: 1}}
		s.must(unix.UtimesNanoAt(unix.AT_FDCWD, path, second, unix.AT_SYMLINK_NOFOLLOW))
		if rel, _ := filepath.Rel(s.old, path); rel == "store" || rel == "store/.links" || info.Mode()&fs.ModeSymlink != 0 {
			continue
		}
		mode := fs.FileMode(0o444)
		if info.IsDir() || filepath.Base(path) == "run" {
			mode = 0o555
		}
		s.must(os.Chmod(path, mode))
	}
}

// database makes one whose last change is in its write-ahead log only, as after a crash.
func (s *scene) database() {
	_, err := exec.LookPath("sqlite3")
	testenv.Require(s.t, err == nil, "sqlite3 is not installed")
	live := filepath.Join(s.t.TempDir(), "db.sqlite")
	cmd := exec.Command("sqlite3", live)
	stdin, err := cmd.StdinPipe()
	s.must(err)
	stdout, err := cmd.StdoutPipe()
	s.must(err)
	s.must(cmd.Start())
	_, err = io.WriteString(stdin, "pragma journal_mode=wal; create table t(x); insert into t values (42); select 'ready';\n")
	s.must(err)
	for text := ""; !strings.Contains(text, "ready"); {
		b := make([]byte, 100)
		n, err := stdout.Read(b)
		s.must(err)
		text += string(b[:n])
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		b, err := os.ReadFile(live + suffix)
		s.must(err)
		s.must(os.WriteFile(filepath.Join(s.old, "var/nix/db/db.sqlite")+suffix, b, 0o644))
	}
	s.must(stdin.Close())
	s.must(cmd.Wait())
}

func (s *scene) options() storeimport.Options {
	return storeimport.Options{From: s.old, Read: func(r io.Reader) io.Reader { return r }, File: func() {}}
}

// readTree tells what is beneath a directory, and which names are of one file.
func (s *scene) readTree(root string) map[string]string {
	s.t.Helper()
	all, first := map[string]string{}, map[uint64]string{}
	s.must(filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(root, path)
		text := info.Mode().String()
		switch {
		case info.Mode()&fs.ModeSymlink != 0:
			target, _ := os.Readlink(path)
			text += " " + target
		case info.Mode().IsRegular():
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text += fmt.Sprintf(" %d %.20q", len(b), b)
		}
		if strings.HasPrefix(name, "store/") && name != "store/.links" {
			text += fmt.Sprint(" ", info.ModTime().Unix())
		}
		if st := info.Sys().(*syscall.Stat_t); !info.IsDir() && st.Nlink > 1 {
			if first[st.Ino] == "" {
				first[st.Ino] = name
			}
			text += fmt.Sprintf(" %d names, as %s", st.Nlink, first[st.Ino])
		}
		all[name] = text
		return nil
	}))
	return all
}

// want is what the new store has to be: the old one without what is of the moment.
func (s *scene) want() map[string]string {
	s.t.Helper()
	all := s.readTree(s.old)
	for name := range all {
		switch name {
		case "store/aaa.lock", "var/nix/gc.lock", "var/nix/db/big-lock", "var/nix/db/db.sqlite-shm", "var/nix/temproots", "var/nix/temproots/12", "var/nix/fifo":
			delete(all, name)
		}
	}
	return all
}

// checkDatabase has SQLite read what was in the log only.
func (s *scene) checkDatabase(file string) {
	s.t.Helper()
	out, err := exec.Command("sqlite3", file, "pragma integrity_check; select x from t").CombinedOutput()
	if err != nil || string(out) != "ok\n42\n" {
		s.t.Errorf("the database: %v: %s", err, out)
	}
}

func TestImport(t *testing.T) {
	s := newScene(t)
	before := s.readTree(s.old)
	got, err := storeimport.Import(t.Context(), s.tree, s.options())
	s.must(err)
	if want := (storeimport.Imported{Paths: 3, Links: 4}); *got != want {
		t.Errorf("got %+v, want %+v", *got, want)
	}
	if d := cmp.Diff(s.want(), s.readTree(s.upper)); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	if d := cmp.Diff(before, s.readTree(s.old)); d != "" {
		t.Errorf("the old store was changed: -want +got:\n%s", d)
	}
	s.checkDatabase(filepath.Join(s.upper, "var/nix/db/db.sqlite"))
	if _, err := storeimport.Import(t.Context(), s.tree, s.options()); err == nil || !strings.Contains(err.Error(), "the new store is not empty") {
		t.Errorf("a second run: %v", err)
	}
}

// TestInterrupted ends runs anywhere, and has the last one go on: nothing appears before.
func TestInterrupted(t *testing.T) {
	s := newScene(t)
	want := s.want()
	random := rand.New(rand.NewPCG(5, 6))
	there := 0
	for range 12 {
		ctx, cancel := context.WithCancel(t.Context())
		left := random.IntN(14)
		o := s.options()
		o.File = func() {
			if left--; left < 0 {
				cancel()
			}
		}
		_, err := storeimport.Import(ctx, s.tree, o)
		cancel()
		if err == nil {
			break
		}
		if entries, _ := os.ReadDir(s.upper); len(entries) != 1 || entries[0].Name() != storeimport.Staging {
			t.Fatalf("after an interruption there is %v", entries)
		}
		there++
	}
	if there == 0 {
		t.Fatal("no run was interrupted")
	}
	if _, err := os.Lstat(filepath.Join(s.upper, "store")); err != nil {
		_, err := storeimport.Import(t.Context(), s.tree, s.options())
		s.must(err)
	}
	if d := cmp.Diff(want, s.readTree(s.upper)); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

// TestEndedAtTheVeryEnd has a run be ended that had all appear, and most of its own removed: nothing of that stays.
func TestEndedAtTheVeryEnd(t *testing.T) {
	s := newScene(t)
	_, err := storeimport.Import(t.Context(), s.tree, s.options())
	s.must(err)
	_, err = s.tree.Root().Mkdir(t.Context(), storeimport.Staging)
	s.must(err)
	if _, err := storeimport.Import(t.Context(), s.tree, s.options()); err == nil || !strings.Contains(err.Error(), "the new store is not empty") {
		t.Errorf("got %v", err)
	}
	if d := cmp.Diff(s.want(), s.readTree(s.upper)); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

// TestVarApart has var on the disk, and a link to it.
func TestVarApart(t *testing.T) {
	s := newScene(t)
	o := s.options()
	o.Var = filepath.Join(t.TempDir(), "var")
	_, err := storeimport.Import(t.Context(), s.tree, o)
	s.must(err)
	if target, err := os.Readlink(filepath.Join(s.upper, "var")); err != nil || target != o.Var {
		t.Errorf("var leads to %q, %v", target, err)
	}
	s.checkDatabase(filepath.Join(o.Var, "nix/db/db.sqlite"))
	if _, err := os.Lstat(filepath.Join(o.Var, "nix/temproots")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("temproots: %v", err)
	}
}

// TestVarElsewhereAfterwards ends a run after var was copied, and gives the next one another directory,
// which somebody has something in.
func TestVarElsewhereAfterwards(t *testing.T) {
	s := newScene(t)
	o := s.options()
	o.Var = filepath.Join(t.TempDir(), "var")
	blocked := filepath.Join(s.upper, storeimport.Staging, "var")
	o.File = func() { _ = os.Mkdir(blocked, 0o755) } // in the way of the link, which comes last
	if _, err := storeimport.Import(t.Context(), s.tree, o); err == nil {
		t.Fatal("the first run was not ended")
	}
	s.must(os.Remove(blocked))
	first := o.Var
	o = s.options()
	o.Var = t.TempDir()
	mine := filepath.Join(o.Var, "mine")
	s.must(os.WriteFile(mine, nil, 0o644))
	if _, err := storeimport.Import(t.Context(), s.tree, o); err == nil || !strings.Contains(err.Error(), "is not empty") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(mine); err != nil {
		t.Fatalf("what somebody had there: %v", err)
	}
	o.Var = first
	_, err := storeimport.Import(t.Context(), s.tree, o)
	s.must(err)
	s.checkDatabase(filepath.Join(first, "nix/db/db.sqlite"))
}

func TestRefused(t *testing.T) {
	tests := []struct {
		name string
		make func(s *scene, o *storeimport.Options)
		want string
	}{
		{"no store", func(_ *scene, o *storeimport.Options) { o.From = t.TempDir() }, "it holds no store of Nix"},
		{"no database", func(s *scene, _ *storeimport.Options) {
			s.must(os.WriteFile(s.old+"/var/nix/db/db.sqlite", []byte("a text that has no less than 16 bytes"), 0o644))
		}, "db.sqlite is no SQLite database"},
		{"a pipe for a database", func(s *scene, _ *storeimport.Options) {
			s.must(os.Remove(s.old + "/var/nix/db/db.sqlite"))
			s.must(syscall.Mkfifo(s.old+"/var/nix/db/db.sqlite", 0o644))
		}, "db.sqlite is no regular file"},
		{"a pipe for a lock", func(s *scene, _ *storeimport.Options) {
			s.must(os.Remove(s.old + "/var/nix/gc.lock"))
			s.must(syscall.Mkfifo(s.old+"/var/nix/gc.lock", 0o644))
		}, "gc.lock is no regular file"},
		{"a new store that is not empty", func(s *scene, _ *storeimport.Options) { s.must(os.Mkdir(s.upper+"/store", 0o755)) }, "the new store is not empty: there is a store in it"},
		{"a var that is not empty", func(s *scene, o *storeimport.Options) {
			o.Var = t.TempDir()
			s.must(os.WriteFile(o.Var+"/mine", nil, 0o644))
		}, "is not empty"},
		{"Nix uses it", func(s *scene, _ *storeimport.Options) {
			f, err := os.Open(s.old + "/var/nix/db/big-lock")
			s.must(err)
			s.must(unix.Flock(int(f.Fd()), unix.LOCK_SH))
			s.t.Cleanup(func() { f.Close() })
		}, "it is in use: end Nix's programs"},
		{"its database is open", func(s *scene, _ *storeimport.Options) {
			cmd := exec.Command("sqlite3", s.old+"/var/nix/db/db.sqlite")
			stdin, err := cmd.StdinPipe()
			s.must(err)
			s.must(cmd.Start())
			_, err = io.WriteString(stdin, "begin exclusive;\n.system touch "+s.upper+".begun\n")
			s.must(err)
			testenv.Await(s.t, "a transaction has begun", func() bool {
				_, err := os.Stat(s.upper + ".begun")
				return err == nil
			})
			s.t.Cleanup(func() { stdin.Close(); cmd.Wait() })
		}, "it is in use"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newScene(t)
			o := s.options()
			tt.make(s, &o)
			if _, err := storeimport.Import(t.Context(), s.tree, o); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

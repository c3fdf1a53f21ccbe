package hook

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nixnfsd/nixnfsd/internal/shell"
	"github.com/nixnfsd/nixnfsd/internal/testenv"
	"github.com/nixnfsd/nixnfsd/internal/wholefile"
)

func hookAt(path string, kind shell.Kind) Hook {
	return Hook{File: File{path, kind}, Command: []string{"/home/you/it's/nixnfsd"}, MountPoint: "/nowhere"}
}

func write(t *testing.T, file, content string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, mode); err != nil {
		t.Fatal(err)
	}
}

// tree is all that is in a directory.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		what := info.Mode().String()
		if info.Mode().IsRegular() {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			what += " " + string(b)
		}
		found[path] = what
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// step does one thing and holds whether it changed anything.
func step(t *testing.T, do func() (bool, error), want bool) {
	t.Helper()
	if changed, err := do(); err != nil || changed != want {
		t.Fatalf("changed %t, %v; want %t", changed, err, want)
	}
}

func expect(t *testing.T, h Hook, want State) {
	t.Helper()
	if got, err := h.State(); err != nil || got != want {
		t.Fatalf("got %s, %v; want %s", got, err, want)
	}
}

// TestThereAndBack has Remove make of a home what it was, whatever was there.
func TestThereAndBack(t *testing.T) {
	tt := []struct {
		name string
		make func(t *testing.T, file string)
	}{
		{"no file", func(*testing.T, string) {}},
		{"an empty one", func(t *testing.T, file string) { write(t, file, "", 0o644) }},
		{"lines", func(t *testing.T, file string) { write(t, file, "umask 022\n\n", 0o600) }},
		{"no end of the last line", func(t *testing.T, file string) { write(t, file, "a\nb", 0o755) }},
		{"bytes that are no text", func(t *testing.T, file string) { write(t, file, "\xff\x00\r\n", 0o444) }},
		{"a link", func(t *testing.T, file string) {
			write(t, filepath.Dir(file)+"/collected", "x\n", 0o640)
			if err := os.Symlink("collected", file); err != nil {
				t.Fatal(err)
			}
		}},
	}
	for _, tc := range tt {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			h := hookAt(filepath.Join(dir, ".zshenv"), shell.Zsh)
			tc.make(t, h.Path)
			before := tree(t, dir)
			step(t, h.Remove, false)
			step(t, h.Add, true)
			expect(t, h, Present)
			added := tree(t, dir)
			step(t, h.Add, false)
			moved := h
			moved.Command = []string{"/elsewhere"}
			expect(t, moved, Stale)
			step(t, moved.Add, true)
			step(t, h.Add, true)
			if diff := cmp.Diff(added, tree(t, dir)); diff != "" {
				t.Errorf("moved and moved back:\n%s", diff)
			}
			step(t, h.Remove, true)
			if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
				t.Errorf("before and after:\n%s", diff)
			}
			expect(t, h, Absent)
		})
	}
}

// TestOwnDirectory has fish's directory come and go, unless something else came into it.
func TestOwnDirectory(t *testing.T) {
	for _, other := range []bool{false, true} {
		dir := t.TempDir()
		h := hookAt(filepath.Join(dir, "conf.d", "nixnfsd.fish"), shell.Fish)
		step(t, h.Add, true)
		if other {
			write(t, filepath.Join(dir, "conf.d", "other.fish"), "", 0o644)
		}
		step(t, h.Remove, true)
		if there(filepath.Join(dir, "conf.d")) != other || there(h.Path) {
			t.Errorf("another file there: %t; got %v", other, tree(t, dir))
		}
	}
}

// TestLinesSince keeps what was written around ours after they came.
func TestLinesSince(t *testing.T) {
	for _, before := range []string{"", "a", "a\n"} {
		file := filepath.Join(t.TempDir(), ".profile")
		h := hookAt(file, shell.Bash)
		if before != "" {
			write(t, file, before, 0o644)
		}
		step(t, h.Add, true)
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		write(t, file, "first\n"+string(b)+"last", 0o644)
		step(t, h.Remove, true)
		want := "first\nlast"
		if before != "" {
			want = "first\na\nlast"
		}
		if got, _ := os.ReadFile(file); string(got) != want {
			t.Errorf("before %q: got %q, want %q", before, got, want)
		}
	}
}

func TestRefused(t *testing.T) {
	dir := t.TempDir()
	at := func(name, content string) string {
		write(t, filepath.Join(dir, name), content, 0o644)
		return filepath.Join(dir, name)
	}
	link := func(name, target string) string {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		return filepath.Join(dir, name)
	}
	tt := []struct{ name, file, want string }{
		{"only the first marker", at("first", begin+"\nx\n"), errCut.Error()},
		{"only the last", at("last", end+"\n"), errCut.Error()},
		{"in the wrong order", at("wrong", end+"\n"+begin+"\n"), errCut.Error()},
		{"in the mount", link("made", dir+"/mount/store/zshenv"), errInMount.Error()},
		{"a link to nothing", link("dangling", "nothing"), "lstat " + dir + "/nothing: no such file or directory"},
		{"a directory", dir, "it is no regular file"},
		{"no directory to make the file's in", dir + "/a/b/c", "mkdir " + dir + "/a/b: no such file or directory"},
	}
	for _, tc := range tt {
		h := hookAt(tc.file, shell.Zsh)
		h.MountPoint = filepath.Join(dir, "mount")
		before := tree(t, dir)
		_, err := h.Add()
		if want := "put nixnfsd's lines into " + tc.file + ": " + tc.want; err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", tc.name, err, want)
		}
		if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
			t.Errorf("%s: changed:\n%s", tc.name, diff)
		}
	}
}

func TestFiles(t *testing.T) {
	tt := []struct {
		name, goos string
		there      []string
		want       []string
	}{
		{"nothing on Linux", "linux", nil, []string{".profile"}},
		{"nothing on a Mac", "darwin", nil, []string{".profile", ".zshenv", ".zprofile"}},
		{"all", "linux", []string{".bash_login", ".bash_profile", ".zshrc", ".config/fish"}, []string{".profile", ".bash_profile", ".zshenv", ".config/fish/conf.d/nixnfsd.fish"}},
		{"bash_login", "darwin", []string{".bash_login"}, []string{".profile", ".bash_login", ".zshenv", ".zprofile"}},
		{"fish elsewhere", "linux", []string{"xdg/fish", ".config/fish"}, []string{".profile", "xdg/fish/conf.d/nixnfsd.fish"}},
	}
	for _, tc := range tt {
		home := t.TempDir()
		configs := filepath.Join(home, ".config")
		for _, name := range tc.there {
			if err := os.MkdirAll(filepath.Join(home, name), 0o755); err != nil {
				t.Fatal(err)
			}
			if name == "xdg/fish" {
				configs = filepath.Join(home, "xdg")
			}
		}
		var got []string
		for _, f := range Files(tc.goos, home, configs) {
			name, _ := filepath.Rel(home, f.Path)
			got = append(got, name)
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s:\n%s", tc.name, diff)
		}
	}
}

// TestShells has the shells themselves read start-up files with the lines, with a program that
// prints what nixnfsd would, and with none.
func TestShells(t *testing.T) {
	tt := []struct {
		shell, file string
		kind        shell.Kind
		args        []string
	}{
		{"sh", ".profile", shell.Bash, []string{"-l", "-c"}},
		{"bash", ".bash_profile", shell.Bash, []string{"-l", "-c"}},
		{"zsh", ".zshenv", shell.Zsh, []string{"-c"}},
		{"fish", ".config/fish/conf.d/nixnfsd.fish", shell.Fish, []string{"-c"}},
	}
	for _, tc := range tt {
		program, err := exec.LookPath(tc.shell)
		testenv.Require(t, err == nil, "it needs "+tc.shell)
		home := t.TempDir()
		if err := os.MkdirAll(filepath.Join(home, ".config/fish"), 0o755); err != nil {
			t.Fatal(err)
		}
		h := hookAt(filepath.Join(home, tc.file), tc.kind)
		h.Command = []string{filepath.Join(home, "it's a program"), "--flag", "of it's"}
		step(t, h.Add, true)
		say := func() string {
			cmd := exec.Command(program, append(tc.args, `echo "$SEEN"`)...)
			cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + home}
			b, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%s: %v: %s", tc.shell, err, b)
			}
			return string(b)
		}
		if got := say(); got != "\n" {
			t.Errorf("%s without the program: got %q", tc.shell, got)
		}
		prints := tc.kind.Export("SEEN", "two\nlines")
		write(t, h.Command[0], "#!/bin/sh\n[ \"$*\" = \"--flag of it's env --shell "+string(tc.kind)+"\" ] && cat <<'E'\n"+prints+"\nE\n", 0o755)
		if got := say(); got != "two\nlines\n" {
			t.Errorf("%s: got %q", tc.shell, got)
		}
	}
}

// TestStateOfNoProgram is asked by who only wants to know whether there are lines.
func TestStateOfNoProgram(t *testing.T) {
	h := hookAt(filepath.Join(t.TempDir(), ".profile"), shell.Bash)
	step(t, h.Add, true)
	h.Command = nil
	if state, err := h.State(); state != Stale || err != nil {
		t.Errorf("got %s, %v", state, err)
	}
}

// TestKilled has a process have been killed that was writing the file: the lines are not there, what it has left is
// seen, and goes.
func TestKilled(t *testing.T) {
	for _, add := range []bool{false, true} {
		dir := t.TempDir()
		h := hookAt(filepath.Join(dir, ".profile"), shell.Bash)
		write(t, h.Path, "umask 022\n", 0o644)
		before := tree(t, dir)
		write(t, wholefile.PartName(h.Path), "umask", 0o600)
		write(t, wholefile.LockName(h.Path), "", 0o600)
		expect(t, h, Left)
		if add {
			step(t, h.Add, true)
		}
		step(t, h.Remove, add)
		if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
			t.Errorf("before and after:\n%s", diff)
		}
		expect(t, h, Absent)
	}
}

// TestAtOnce has many put lines in and take them out: the user's own stay.
func TestAtOnce(t *testing.T) {
	dir := t.TempDir()
	h := hookAt(filepath.Join(dir, ".profile"), shell.Bash)
	write(t, h.Path, "umask 022\n", 0o644)
	before := tree(t, dir)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			_, added := h.Add()
			_, removed := h.Remove()
			if err := errors.Join(added, removed); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if _, err := h.Remove(); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
		t.Errorf("before and after:\n%s", diff)
	}
}

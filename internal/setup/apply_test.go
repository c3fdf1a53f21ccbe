package setup

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// tree is what is beneath a directory: modes and contents by name.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		text := ""
		if !d.IsDir() {
			b, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			text = string(b)
		}
		found[file] = info.Mode().String() + " " + text
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// machine is a directory to set something up in.
type machine struct {
	t       *testing.T
	dir     string
	receipt string
	before  map[string]string
	mu      sync.Mutex
	ran     []string // commands
	fail    string   // the command that fails
}

func newMachine(t *testing.T) *machine {
	m := &machine{t: t, dir: t.TempDir()}
	m.receipt = filepath.Join(m.dir, "state", "receipt.json")
	m.put("program", "binary", 0o755)
	m.put("conf", "others' line, without a newline", 0o640)
	m.before = tree(t, m.dir)
	return m
}

func (m *machine) put(name, text string, mode fs.FileMode) {
	m.t.Helper()
	if err := os.WriteFile(filepath.Join(m.dir, name), []byte(text), mode); err != nil {
		m.t.Fatal(err)
	}
}

// steps are some of each kind.
func (m *machine) steps() []Step {
	in := func(name string) string { return filepath.Join(m.dir, name) }
	return []Step{
		{Path: in("a"), Mode: fs.ModeDir | 0o755},
		{Path: in("a/b"), Mode: fs.ModeDir | 0o700},
		{Run: []string{"first"}},
		{Path: in("a/b/unit"), Mode: 0o644, Content: []byte("unit")},
		{Path: in("a/helper"), Mode: 0o755, From: in("program")},
		{Run: []string{"second"}},
		{Path: in("conf"), Mode: 0o600, Content: []byte("ours")},
		{Run: []string{"third"}},
	}
}

func (m *machine) apply(steps []Step) error {
	run := func(_ context.Context, args []string) (string, error) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.ran = append(m.ran, args[0])
		if args[0] == m.fail {
			return "", errors.New("it did not work")
		}
		return "", nil
	}
	return Apply(m.t.Context(), Order{Receipt: m.receipt, Export: filepath.Join(m.dir, "nix"), Steps: steps}, run, func(string) {})
}

// undo makes the plan that takes all back.
func (m *machine) undo() *Plan {
	m.t.Helper()
	r, err := ReadReceipt(m.receipt)
	now := Digests{}
	if err == nil {
		err = now.Digest(r)
	}
	if err != nil {
		m.t.Fatal(err)
	}
	seen := &Seen{}
	if r.left(m.receipt) {
		seen.Left = []Left{{Receipt: m.receipt}}
	}
	return Undo(linuxConfig(), seen, Receipt{}, r, now, nil)
}

// uninstall takes all back, and holds that nothing is left.
func (m *machine) uninstall() {
	m.t.Helper()
	if err := m.apply(m.undo().Steps); err != nil {
		m.t.Error(err)
	}
	if diff := cmp.Diff(m.before, tree(m.t, m.dir)); diff != "" {
		m.t.Errorf("not as it was:\n%s", diff)
	}
}

func TestApplyAndUndo(t *testing.T) {
	m := newMachine(t)
	if err := m.apply(m.steps()); err != nil {
		t.Fatal(err)
	}
	done := tree(t, m.dir)
	for name, want := range map[string]string{"a/b/unit": "-rw-r--r-- unit", "a/helper": "-rwxr-xr-x binary", "conf": "-rw------- ours", "a/b": "drwx------ "} {
		if got := done[filepath.Join(m.dir, name)]; got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if want := []string{"first", "second", "third"}; !slices.Equal(m.ran, want) {
		t.Errorf("ran %v, want %v", m.ran, want)
	}
	m.uninstall()
}

// TestUndoAfterFailure has each command fail, and takes back what was done until then,
// at once or after all was done in a second run.
func TestUndoAfterFailure(t *testing.T) {
	for _, fail := range []string{"first", "second", "third"} {
		for _, again := range []bool{false, true} {
			m := newMachine(t)
			m.fail = fail
			if err := m.apply(m.steps()); err == nil || !strings.Contains(err.Error(), "run "+fail+": it did not work") {
				t.Errorf("%s: got %v", fail, err)
			}
			if again {
				m.fail = ""
				if err := m.apply(m.steps()); err != nil {
					t.Error(err)
				}
			}
			m.uninstall()
		}
	}
}

// TestUndoOfHalf has files go that setup made.
func TestUndoOfHalf(t *testing.T) {
	m := newMachine(t)
	if err := m.apply(m.steps()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "conf"} {
		if err := os.RemoveAll(filepath.Join(m.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	m.uninstall()
}

// TestUndoStopsAndGoesOn has an undo fail in the middle.
func TestUndoStopsAndGoesOn(t *testing.T) {
	m := newMachine(t)
	if err := m.apply(m.steps()); err != nil {
		t.Fatal(err)
	}
	if err := m.apply(m.undo().Steps[:2]); err != nil {
		t.Fatal(err)
	}
	m.uninstall()
}

func TestUndoLeavesWhatOthersChanged(t *testing.T) {
	m := newMachine(t)
	if err := m.apply(m.steps()); err != nil {
		t.Fatal(err)
	}
	m.put("a/b/unit", "somebody's own", 0o644)
	m.put("a/more", "somebody's own", 0o644)
	p := m.undo()
	if len(p.Notes) != 1 || !strings.Contains(p.Notes[0], "a/b/unit was changed since") {
		t.Errorf("notes: %q", p.Notes)
	}
	if err := m.apply(p.Steps); err != nil {
		t.Fatal(err)
	}
	left := tree(t, m.dir)
	for _, name := range []string{"a/b/unit", "a/more"} {
		if !strings.HasSuffix(left[filepath.Join(m.dir, name)], "somebody's own") {
			t.Errorf("%s is gone", name)
		}
	}
	if _, there := left[filepath.Join(m.dir, "a/helper")]; there {
		t.Error("the helper is left")
	}
	for _, name := range []string{"a/b/unit", "a/more"} {
		if err := os.Remove(filepath.Join(m.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.apply(m.undo().Steps); err != nil {
		t.Fatal(err)
	}
}

func TestApplyRefuses(t *testing.T) {
	m := newMachine(t)
	if err := os.Symlink("/etc/passwd", filepath.Join(m.dir, "link")); err != nil {
		t.Fatal(err)
	}
	for _, s := range []Step{
		{},
		{Path: "relative", Mode: 0o644},
		{Path: filepath.Join(m.dir, "link"), Mode: 0o644, Content: []byte("x")},
		{Path: filepath.Join(m.dir, "program"), Mode: fs.ModeDir | 0o755},
		{Path: filepath.Join(m.dir, "new"), Mode: 0o644, From: filepath.Join(m.dir, "nothing")},
	} {
		if err := m.apply([]Step{s}); err == nil {
			t.Errorf("%v was done", s.words())
		}
	}
}

// TestNarrow has rights be taken away from what is meant, and not from what somebody has it lead to.
func TestNarrow(t *testing.T) {
	m := newMachine(t)
	in := func(name string) string { return filepath.Join(m.dir, name) }
	m.put("precious", "x", 0o666)
	m.put("open", "x", 0o666)
	if err := errors.Join(os.Chmod(in("precious"), 0o666), os.Chmod(in("open"), 0o666), os.Symlink("precious", in("link")), syscall.Mkfifo(in("fifo"), 0o666)); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]error{"open": nil, "link": syscall.ELOOP, "fifo": nil} {
		if err := m.apply([]Step{{Path: in(name), Narrow: 0o022}}); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", name, err, want)
		}
	}
	for name, want := range map[string]fs.FileMode{"open": 0o644, "precious": 0o666} {
		info, err := os.Stat(in(name))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: got %v, %v, want %v", name, info.Mode(), err, want)
		}
	}
}

func TestReadReceipt(t *testing.T) {
	for _, text := range []string{"", "{}", "[]", `{"schemaVersion": 2}`, `{"schemaVersion": 1, "changes": [{"path": "etc/passwd"}]}`, `{"schemaVersion": 1, "changes": [{"path": "/etc/../x"}]}`, `{"schemaVersion": 1, "exports": [""]}`} {
		file := filepath.Join(t.TempDir(), "receipt")
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if r, err := ReadReceipt(file); err == nil {
			t.Errorf("%s was taken: %+v", text, r)
		}
	}
}

// TestKeeperSteps has a command ask a keeper that runs and refuses, that does not run, and that does it.
func TestKeeperSteps(t *testing.T) {
	for code, want := range map[string]bool{"0": true, "4": true, "1": false} {
		run := func(ctx context.Context, args []string) (string, error) {
			return "", exec.CommandContext(ctx, args[0], args[1:]...).Run()
		}
		o := Order{Receipt: filepath.Join(t.TempDir(), "receipt"), Steps: []Step{{Run: []string{"/bin/sh", "-c", "exit " + code}, Keeper: true}}}
		if err := Apply(t.Context(), o, run, func(string) {}); (err == nil) != want {
			t.Errorf("exit code %s: got %v", code, err)
		}
	}
}

// TestIfMounted has a command for a mount that is not there, and for one that is
// not NFS: /proc is none of ours.
func TestIfMounted(t *testing.T) {
	m := newMachine(t)
	err := m.apply([]Step{
		{Run: []string{"gone"}, IfMounted: filepath.Join(m.dir, "nothing")},
		{Run: []string{"foreign"}, IfMounted: "/proc"},
		{Run: []string{"always"}},
	})
	if err != nil || !slices.Equal(m.ran, []string{"always"}) {
		t.Errorf("ran %v: %v", m.ran, err)
	}
}

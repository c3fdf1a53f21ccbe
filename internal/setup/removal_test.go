package setup

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/internal/testenv"
)

// hostile makes a store with a directory of many files, and with what has to stay beside it: modes that forbid, links that lead out of it.
func hostile(t *testing.T, files int) (dir, outside string) {
	t.Helper()
	dir, outside = filepath.Join(t.TempDir(), "upper"), t.TempDir()
	script := `
		echo precious >"$2/precious"
		mkdir -p "$1/store/a-1/bin" "$1/none" "$1/blind/in"
		ln -s "$2" "$1/store/a-1/out"
		ln -s "$2/precious" "$1/store/a-1/file"
		ln -s .. "$1/store/a-1/up"
		ln -s "$2" "$1/link"
		ln "$2/precious" "$1/store/hard"
		echo x >"$1/store/a-1/bin/x"
		touch "$1/store/$(printf 'new\nline')" "$1/store/-f" "$1/store/..."
		mkfifo "$1/store/fifo"
		(cd "$1/blind/in" && touch $(seq "$3"))
		chmod 444 "$1/store/a-1/bin/x"
		chmod 555 "$1/store/a-1/bin" "$1/store/a-1" "$1/store"
		chmod 000 "$1/none"
		chmod 333 "$1/blind"`
	if out, err := exec.CommandContext(t.Context(), "sh", "-euc", script, "hostile", dir, outside, strconv.Itoa(files)).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Cleanup(func() {
		if err := removeTree(context.WithoutCancel(t.Context()), dir); err != nil {
			t.Error(err)
		}
	})
	return dir, outside
}

// asNobody runs a test of this package again as a user whom modes hold, where it is root's now. It
// reports whether it did.
func asNobody(t *testing.T) bool {
	t.Helper()
	if os.Geteuid() != 0 {
		return false
	}
	const uid = 12345
	program, err := os.Open("/proc/self/exe") // its directory is not for others
	testenv.Require(t, err == nil, "there is no /proc/self/exe")
	defer program.Close()
	tmp, err := os.MkdirTemp("", "nobody")
	if err == nil {
		err = os.Chown(tmp, uid, uid)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(tmp)
	cmd := exec.CommandContext(t.Context(), "/proc/self/fd/3", "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.ExtraFiles, cmd.Dir, cmd.Env = []*os.File{program}, "/", append(os.Environ(), "TMPDIR="+tmp)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("as a user: %v\n%s", err, out)
	}
	return true
}

func TestRemoveTree(t *testing.T) {
	if asNobody(t) {
		return
	}
	dir, outside := hostile(t, 1500)
	before := tree(t, outside)
	if err := removeTree(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	if !absent(dir) {
		t.Error("it is there")
	}
	if diff := cmp.Diff(before, tree(t, outside)); diff != "" {
		t.Errorf("outside of it:\n%s", diff)
	}
	for range 2 { // it is gone, and what it was in
		if err := removeTree(t.Context(), dir); err != nil {
			t.Error(err)
		}
		if err := os.RemoveAll(filepath.Dir(dir)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRemoveTreeEnded has it end in the middle, and go on.
func TestRemoveTreeEnded(t *testing.T) {
	dir, _ := hostile(t, 10)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := removeTree(ctx, dir); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := removeTree(t.Context(), dir); err != nil || !absent(dir) {
		t.Errorf("it is there: %v", err)
	}
}

func TestRemoveTreeKeeps(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "setup.json"), nil, 0o600), os.Mkdir(filepath.Join(dir, "in"), 0o700), os.WriteFile(filepath.Join(dir, "in", "setup.json"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := removeTree(t.Context(), dir, "setup.json"); err != nil {
		t.Fatal(err)
	}
	names, err := firstNames(dir)
	if err != nil || !slices.Equal(names, []string{"setup.json"}) {
		t.Errorf("left: %q, %v", names, err)
	}
}

// TestRemoveTreeRefuses holds that nothing goes where it is not what the receipt meant.
func TestRemoveTreeRefuses(t *testing.T) {
	base := t.TempDir()
	in := func(name string) string { return filepath.Join(base, name) }
	err := errors.Join(
		os.MkdirAll(in("real/in"), 0o755), os.Symlink("real", in("link")), os.WriteFile(in("file"), nil, 0o600), os.MkdirAll(in("used/in"), 0o755),
	)
	if err != nil {
		t.Fatal(err)
	}
	before := tree(t, in("real"))
	used, err := os.Open(in("used"))
	if err == nil {
		err = unix.Flock(int(used.Fd()), unix.LOCK_EX)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer used.Close()
	for name, want := range map[string]error{"link": unix.ENOTDIR, "file": unix.ENOTDIR, "used": ErrInUse} {
		err := removeTree(t.Context(), in(name))
		if !errors.Is(err, want) && !errors.Is(err, unix.ELOOP) {
			t.Errorf("%s: got %v, want %v", name, err, want)
		}
		if absent(in(name)) {
			t.Errorf("%s is gone", name)
		}
	}
	if diff := cmp.Diff(before, tree(t, in("real"))); diff != "" {
		t.Errorf("behind the link:\n%s", diff)
	}
	if absent(in("used/in")) {
		t.Error("what was in the directory that is in use is gone")
	}
}

func TestStoreDirs(t *testing.T) {
	dir, _ := hostile(t, 10)
	state := t.TempDir()
	receipt := filepath.Join(state, "setup.json")
	if err := os.WriteFile(receipt, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := Receipt{Store: []string{dir, filepath.Join(state, "not there"), state}}
	found, err := r.StoreDirs(t.Context(), receipt)
	if err != nil || len(found) != 2 {
		t.Fatalf("got %v, %v", found, err)
	}
	if found[0].Path != dir || found[0].Files < 10 || found[0].Bytes == 0 {
		t.Errorf("the store: %+v", found[0])
	}
	if found[1].Path != state || found[1].Files != 0 {
		t.Errorf("the state: %+v", found[1])
	}
}

// TestNoteStore has the receipt tell of what is made, while it is made too, and of nothing else. Nothing has to
// be set up.
func TestNoteStore(t *testing.T) {
	home := t.TempDir()
	in := func(name string) string { return filepath.Join(home, name) }
	receipt := in("setup.json")
	tells := func(dirs, store []string) {
		t.Helper()
		r, err := ReadReceipt(receipt)
		var got []string
		for _, c := range r.Changes {
			got = append(got, c.Path)
		}
		if err != nil || !slices.Equal(got, dirs) || !slices.Equal(r.Store, store) {
			t.Errorf("it tells of %q and %q, %v", got, r.Store, err)
		}
	}
	if err := os.Mkdir(in("there"), 0o755); err != nil {
		t.Fatal(err)
	}
	above, store := []string{in("a"), in("a/b")}, []string{in("a/b/var"), in("a/b/part")}
	err := NoteStore(receipt, append(store, in("there")), func() error {
		tells(above, store) // should it be killed now
		return os.MkdirAll(in("a/b/var"), 0o755)
	})
	if err != nil {
		t.Fatal(err)
	}
	tells(above, store[:1])
	failure := errors.New("no")
	if err := NoteStore(receipt, []string{in("x/never")}, func() error { return failure }); !errors.Is(err, failure) {
		t.Errorf("got %v", err)
	}
	tells(above, store[:1])
	if err := NoteStore(in("other.json"), nil, func() error { return nil }); err != nil || !absent(in("other.json")) {
		t.Errorf("there is a receipt of nothing: %v", err)
	}
}

// TestUndoOfStore has the user's own directory hold the receipt too, and be left by a first uninstall that keeps
// the store.
func TestUndoOfStore(t *testing.T) {
	home := t.TempDir()
	in := func(name string) string { return filepath.Join(home, name) }
	receipt := in(".local/state/nixnfsd/setup.json")
	before := tree(t, home)
	steps := []Step{{Path: in("data"), Mode: fs.ModeDir | 0o700}, {Path: in("data/upper"), Mode: fs.ModeDir | 0o755}}
	store := []string{in("data/upper"), in("data/work"), in(".local/state/nixnfsd")}
	apply := func(o Order) {
		t.Helper()
		o.Receipt = receipt
		if err := Apply(t.Context(), o, nil, func(string) {}); err != nil {
			t.Fatal(err)
		}
	}
	undo := func(deletes bool) []Step {
		t.Helper()
		r, err := ReadReceipt(receipt)
		if err != nil {
			t.Fatal(err)
		}
		var goes []StoreDir
		if deletes {
			goes, err = r.StoreDirs(t.Context(), receipt)
		}
		if err != nil {
			t.Fatal(err)
		}
		return Undo(linuxConfig(), &Seen{}, Receipt{}, r, Digests{}, goes).Steps
	}
	apply(Order{Export: in("nix"), Store: store, Steps: steps})
	if err := errors.Join(os.WriteFile(in("data/upper/x"), nil, 0o400), os.WriteFile(in(".local/state/nixnfsd/key"), nil, 0o400), os.Mkdir(in("data/work"), 0o700)); err != nil {
		t.Fatal(err)
	}
	apply(Order{Steps: undo(false)})
	if absent(in("data/upper/x")) || absent(in(".local/state/nixnfsd/key")) {
		t.Error("the store was to be kept")
	}
	apply(Order{Steps: undo(true)})
	if diff := cmp.Diff(before, tree(t, home)); diff != "" {
		t.Errorf("not as it was:\n%s", diff)
	}
}

// TestRemoveStoreOfLink has what a link leads to stay.
func TestRemoveStoreOfLink(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "profile")
	if err := errors.Join(os.MkdirAll(filepath.Join(dir, "real", "in"), 0o755), os.Symlink("real", link)); err != nil {
		t.Fatal(err)
	}
	if err := removeStore(t.Context(), link); err != nil || !absent(link) || absent(filepath.Join(dir, "real", "in")) {
		t.Errorf("left %v: %v", tree(t, dir), err)
	}
}

// TestDeleteOnlyOurs has a plan name a directory that no receipt does.
func TestDeleteOnlyOurs(t *testing.T) {
	m := newMachine(t)
	m.put("precious", "x", 0o600)
	if err := m.apply([]Step{{Path: m.dir, Delete: true}}); err == nil || !strings.Contains(err.Error(), "does not say that it is ours") {
		t.Errorf("got %v", err)
	}
	if absent(filepath.Join(m.dir, "precious")) {
		t.Error("it is gone")
	}
}

// TestDeleteKeepsTheReceipt has the home be a link: the directory that the receipt is in is not made anew
// while there is more to delete.
func TestDeleteKeepsTheReceipt(t *testing.T) {
	dir := t.TempDir()
	state, upper := filepath.Join(dir, "real", "state"), filepath.Join(dir, "upper")
	if err := errors.Join(os.MkdirAll(state, 0o755), os.Mkdir(upper, 0o755), os.Symlink("real", filepath.Join(dir, "home"))); err != nil {
		t.Fatal(err)
	}
	held, err := os.Open(state)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	o := Order{Receipt: filepath.Join(dir, "home", "state", "setup.json"), Store: []string{state, upper}, Steps: []Step{{Path: state, Delete: true}}}
	if err := Apply(t.Context(), o, nil, func(string) {}); err != nil {
		t.Fatal(err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(held.Fd()), &st); err != nil || st.Nlink == 0 {
		t.Errorf("the directory is another one: %v", err)
	}
}

// TestStoreHoldsNoHome has somebody write his home, and what is above it, into a receipt.
func TestStoreHoldsNoHome(t *testing.T) {
	home := filepath.Join(t.TempDir(), "you")
	t.Setenv("HOME", home)
	for _, dir := range []string{home, filepath.Dir(home), "/"} {
		r := Receipt{Store: []string{dir}}
		if err := r.check(); err == nil || !strings.Contains(err.Error(), "your home is in it") {
			t.Errorf("%s: got %v", dir, err)
		}
	}
	r := Receipt{Store: []string{filepath.Join(home, "store"), home + "r"}}
	if err := r.check(); err != nil {
		t.Error(err)
	}
}

// TestOurs has directories that hold something before they are set up.
func TestOurs(t *testing.T) {
	c := linuxConfig()
	s := &Seen{Full: map[string]bool{}}
	for _, dir := range c.storeDirs() {
		s.Full[dir] = true
	}
	if got := c.Ours(s); !slices.Equal(got, c.storeDirs()) {
		t.Errorf("of the standard ones got %q", got)
	}
	c.Layout.Upper = filepath.Join(c.Data, "photos")
	s.Full[c.Layout.Upper] = true
	if got := c.Ours(s); slices.Contains(got, c.Layout.Upper) {
		t.Errorf("what is beside the standard ones is taken for ours: %q", got)
	}
}

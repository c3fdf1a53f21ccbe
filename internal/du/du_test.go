package du

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// fill makes files of so many KiB; a "=" makes another name.
func fill(t testing.TB, dir string, files ...string) {
	t.Helper()
	for _, f := range files {
		name, what, _ := strings.Cut(f, " ")
		path := filepath.Join(dir, name)
		check(t, os.MkdirAll(filepath.Dir(path), 0o755))
		switch other, isLink := strings.CutPrefix(what, "="); {
		case isLink:
			check(t, os.Link(filepath.Join(dir, other), path))
		default:
			n, err := strconv.Atoi(what)
			check(t, err)
			check(t, os.WriteFile(path, make([]byte, n<<10), 0o644))
		}
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// oracle is what du(1) counts.
func oracle(t testing.TB, path string) uint64 {
	t.Helper()
	out, err := exec.Command("du", "-s", "-k", path).Output()
	check(t, err)
	n, err := strconv.ParseUint(strings.Fields(string(out))[0], 10, 64)
	check(t, err)
	return n << 10
}

const k = 1 << 10

// of is what directories take themselves.
func of(t testing.TB, dir string, names ...string) uint64 {
	t.Helper()
	var all uint64
	for _, name := range names {
		var st unix.Stat_t
		check(t, unix.Lstat(filepath.Join(dir, name), &st))
		all += blocks(&st)
	}
	return all
}

// rows are the entries of a count, of which nothing is left out.
func rows(u *Usage) map[string][]uint64 {
	got := map[string][]uint64{"shared": u.Shared}
	for _, e := range u.Entries {
		got[e.Name] = e.Bytes
	}
	return got
}

func count(t testing.TB, path string, layers ...string) *Usage {
	t.Helper()
	u, err := Count(t.Context(), Options{Layers: layers, Path: path})
	check(t, err)
	return u
}

// TestLinks has files with several names count once, for whom they belong to, in whatever order
// they are found.
func TestLinks(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir,
		"store/a/bin/x 100", "store/a/y =store/a/bin/x", // one entry's
		"store/b/x 200", "store/c/x =store/b/x", // several
		"store/.links/1 =store/a/y", "store/.links/2 =store/c/x", "store/.links/3 400",
		"store/d 8", "var/log 16", "f 4")
	want := map[string][]uint64{
		".":            {of(t, dir, ".", "store")},
		"store/a":      {100*k + of(t, dir, "store/a", "store/a/bin")},
		"store/b":      {of(t, dir, "store/b")},
		"store/c":      {of(t, dir, "store/c")},
		"store/.links": {400*k + of(t, dir, "store/.links")},
		"store/d":      {8 * k},
		"var":          {16*k + of(t, dir, "var")},
		"f":            {4 * k},
		"shared":       {200 * k},
	}
	for name, n := range want {
		if n[0] == 0 {
			delete(want, name) // directories that take nothing, on some file systems
		}
	}
	for range 50 {
		u := count(t, ".", dir)
		if diff := cmp.Diff(want, rows(u)); diff != "" {
			t.Fatal(diff)
		}
		if total := u.Total()[0]; total != oracle(t, dir) || u.Names[0] != 18 {
			t.Fatalf("all together %d bytes in %d names; du says %d, and there are 18", total, u.Names[0], oracle(t, dir))
		}
	}
}

// TestLayers has each count by itself, and the path be in some of them.
func TestLayers(t *testing.T) {
	upper, lower, other := t.TempDir(), t.TempDir(), t.TempDir()
	fill(t, upper, "store/a/x 40", "store/.links/1 =store/a/x")
	fill(t, lower, "store/a/x 80", "store/b/y 12")
	fill(t, other, "else 4")
	u := count(t, "store", upper, lower, other)
	want := map[string][]uint64{
		".":      {of(t, upper, "store"), of(t, lower, "store"), 0},
		".links": {of(t, upper, "store/.links"), 0, 0},
		"a":      {40*k + of(t, upper, "store/a"), 80*k + of(t, lower, "store/a"), 0},
		"b":      {0, 12*k + of(t, lower, "store/b"), 0},
		"shared": {0, 0, 0},
	}
	got := rows(u)
	for _, name := range []string{".", ".links"} {
		if Sum(want[name]) == 0 {
			delete(want, name)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if u.Entries[0].Name != "a" || u.Entries[0].Sum() < u.Entries[1].Sum() {
		t.Errorf("the first is %s", u.Entries[0].Name)
	}
	if u := count(t, "store/b/y", upper, lower); len(u.Entries) != 1 || u.Entries[0].Sum() != 12*k {
		t.Errorf("a file: got %v", u.Entries)
	}
	_, err := Count(t.Context(), Options{Layers: []string{upper, lower}, Path: "store/c"})
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what is not there: got %v", err)
	}
}

// TestUnread counts what it can.
func TestUnread(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, "a/x 4", "b/x 4", "c/y 4")
	w := &walker{ctx: t.Context(), opts: &Options{Path: ".", Seen: func(int, uint64) {}}, tally: newTally(1), dir: dir, root: -1}
	w.tally.entry(".")
	w.read(task{"a", 0}) // no such descriptor
	if diff := cmp.Diff([]string{dir + "/a"}, w.tally.unread); diff != "" {
		t.Error(diff)
	}
	for range 5 {
		w.tally.miss("more")
	}
	if len(w.tally.unread) != 3 || w.tally.more != 3 {
		t.Errorf("got %v and %d more", w.tally.unread, w.tally.more)
	}
}

// TestCancelled ends early.
func TestCancelled(t *testing.T) {
	dir := t.TempDir()
	for i := range 40 {
		fill(t, dir, fmt.Sprintf("a/%d/x 0", i))
	}
	ctx, cancel := context.WithCancel(t.Context())
	var seen atomic.Int64
	_, err := Count(ctx, Options{Layers: []string{dir}, Path: ".", Seen: func(n int, _ uint64) {
		seen.Add(int64(n))
		cancel()
	}})
	if !errors.Is(err, context.Canceled) || seen.Load() > 45 {
		t.Errorf("got %v after %d names", err, seen.Load())
	}
}

// TestMany has du(1) agree on a tree of all kinds of files.
func TestMany(t *testing.T) {
	dir := t.TempDir()
	for i := range 300 {
		fill(t, dir, fmt.Sprintf("%d/%d/%d %d", i%7, i%5, i, i%9))
	}
	check(t, unix.Mkfifo(dir+"/1/fifo", 0o600))
	check(t, os.Symlink(strings.Repeat("x", 200), dir+"/1/link"))
	check(t, os.Symlink(dir, dir+"/1/up"))
	if got, want := Sum(count(t, ".", dir).Total()), oracle(t, dir); got != want {
		t.Errorf("got %d, du says %d", got, want)
	}
}

// BenchmarkCount counts a tree of ten thousand files, each with two names.
func BenchmarkCount(b *testing.B) {
	dir := b.TempDir()
	for i := range 100 {
		sub := filepath.Join(dir, "store", strconv.Itoa(i))
		check(b, os.MkdirAll(sub, 0o755))
		for j := range 100 {
			check(b, os.WriteFile(filepath.Join(sub, strconv.Itoa(j)), nil, 0o644))
			check(b, os.MkdirAll(filepath.Join(dir, "store/.links"), 0o755))
			check(b, os.Link(filepath.Join(sub, strconv.Itoa(j)), filepath.Join(dir, "store/.links", fmt.Sprint(i, "-", j))))
		}
	}
	for b.Loop() {
		count(b, ".", dir)
	}
}

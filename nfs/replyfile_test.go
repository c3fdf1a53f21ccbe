package nfs

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/bootid"
)

// openReplies opens the replies in a directory, which has to be possible.
func openReplies(t testing.TB, dir string, key Key) *Replies {
	t.Helper()
	r, err := OpenReplies(dir, key)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// removeOn has a server with r answer a call, and tells how often it ran.
func removeOn(t testing.TB, r *Replies) (reply []byte, ran int32) {
	t.Helper()
	f, n := counted()
	c := newTestConn(t, New(Options{FS: f, Key: testKey, Owner: 1000, Replies: r}))
	reply = inlineAs(t, c, nfsCall(7, procRemove, &owner, goodArgs()[procRemove]))
	return reply, n.Load()
}

// TestRepliesAreKept: the next server knows the replies, and so does the one after it.
// The servers are not stopped, as if killed.
func TestRepliesAreKept(t *testing.T) {
	dir := t.TempDir()
	want, ran := removeOn(t, openReplies(t, dir, testKey))
	if ran != 1 {
		t.Fatalf("ran %d times", ran)
	}
	for range 2 {
		if got, ran := removeOn(t, openReplies(t, dir, testKey)); !bytes.Equal(got, want) || ran != 0 {
			t.Errorf("got % x, want % x; ran %d times", got, want, ran)
		}
	}
}

// TestWorthlessReplies: what is no use is not used, and what follows is kept again.
func TestWorthlessReplies(t *testing.T) {
	flip := func(at int) func(string) error {
		return func(path string) error {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			b[at]++
			return os.WriteFile(path, b, 0o600)
		}
	}
	for _, tt := range []struct {
		name  string
		spoil func(path string) error
	}{
		{"gone", os.Remove},
		{"empty", func(path string) error { return os.Truncate(path, 0) }},
		{"cut", func(path string) error { return os.Truncate(path, replyFileSize-1) }},
		{"longer", func(path string) error { return os.Truncate(path, 1<<40) }},
		{"no head", flip(0)},
		{"another boot or key", flip(8)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			removeOn(t, openReplies(t, dir, testKey))
			if err := tt.spoil(filepath.Join(dir, repliesName)); err != nil {
				t.Fatal(err)
			}
			for _, want := range []int32{1, 0} {
				if _, ran := removeOn(t, openReplies(t, dir, testKey)); ran != want {
					t.Errorf("ran %d times, want %d", ran, want)
				}
			}
		})
	}
}

// TestNoPlaceForReplies: a server goes on without a file, and leaves what is there alone.
func TestNoPlaceForReplies(t *testing.T) {
	for _, tt := range []struct {
		name  string
		place func(path string) error
	}{
		{"directory", func(path string) error { return os.Mkdir(path, 0o700) }},
		{"FIFO", func(path string) error { return syscall.Mkfifo(path, 0o600) }},
		{"symbolic link", func(path string) error { return os.Symlink("elsewhere", path) }},
		{"directory in the way", func(path string) error { return os.MkdirAll(path+".new/full", 0o700) }},
		{"no directory", func(path string) error { return os.Remove(filepath.Dir(path)) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "state")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := tt.place(filepath.Join(dir, repliesName)); err != nil {
				t.Fatal(err)
			}
			r, err := OpenReplies(dir, testKey)
			if err == nil {
				t.Error("got no error")
			}
			for _, want := range []int32{1, 0} {
				if _, ran := removeOn(t, r); ran != want {
					t.Errorf("ran %d times, want %d", ran, want)
				}
			}
		})
	}
}

// TestReplyFileCutShort: the file goes from under the server, which goes on.
func TestReplyFileCutShort(t *testing.T) {
	dir := t.TempDir()
	r := openReplies(t, dir, testKey)
	if err := os.Truncate(filepath.Join(dir, repliesName), 0); err != nil {
		t.Fatal(err)
	}
	for _, want := range []int32{1, 0} {
		if _, ran := removeOn(t, r); ran != want {
			t.Errorf("ran %d times, want %d", ran, want)
		}
	}
	if !r.file.lost.Load() {
		t.Error("the fault was not noticed")
	}
}

// slots are what a server writes: of a call that ended, and of one that did not.
func slots() (b [][]byte) {
	for _, ended := range []uint64{0, 8} {
		e := entry{began: 7, ended: ended, n: replyStatusAt}
		e.identity = identity{whole: 1, args: 2, xid: 3, size: 4}
		copy(e.reply[:], []byte{0x80, 0, 0, replyStatusAt - 4, 0, 0, 0, 3})
		slot := make([]byte, slotSize)
		e.storeBegin(slot)
		if e.ended != 0 {
			e.storeEnd(slot)
		}
		b = append(b, slot)
	}
	return b
}

// FuzzReplySlot reads anything as a slot of the file. What is taken for a call is one that
// can be looked for and answered, and is written as it was read.
func FuzzReplySlot(f *testing.F) {
	f.Add([]byte{})
	for _, slot := range slots() {
		f.Add(slot)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		slot := make([]byte, slotSize)
		copy(slot, b)
		var e entry
		if !e.load(slot) {
			return
		}
		if e.began == 0 || max(e.began, e.ended) > maxTurn || e.n > maxReply || e.doubt != (e.ended == 0) || e.doubt != (e.n == 0) {
			t.Fatalf("took %+v", e)
		}
		again := bytes.Clone(slot)
		e.storeBegin(again)
		if !e.doubt {
			e.storeEnd(again)
		}
		if !bytes.Equal(again, slot) {
			t.Errorf("wrote % x, read % x", again, slot)
		}
	})
}

// TestHostileReplyFile: a file full of what no server wrote, under a head that fits, does no
// harm. Calls are answered, and remembered.
func TestHostileReplyFile(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	written := slots()
	for range 10 {
		dir := t.TempDir()
		r := openReplies(t, dir, testKey)
		boot, err := bootid.Get()
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, replyFileSize)
		copy(b, r.head(boot))
		for i := range replySlots {
			slot := slotOf(b, i)
			copy(slot, written[random.IntN(len(written))])
			for range random.IntN(8) {
				slot[random.IntN(slotHead)] = byte(random.Uint32())
			}
		}
		if err := os.WriteFile(filepath.Join(dir, repliesName), b, 0o600); err != nil {
			t.Fatal(err)
		}
		r = openReplies(t, dir, testKey)
		for _, want := range []int32{1, 0} {
			if _, ran := removeOn(t, r); ran != want {
				t.Errorf("ran %d times, want %d", ran, want)
			}
		}
	}
}

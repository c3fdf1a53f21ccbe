package nfs

import (
	"bytes"
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

// FuzzReplyFile reads anything as slots of the file: what is taken from them can be
// looked for, and is written as it was read.
func FuzzReplyFile(f *testing.F) {
	f.Add([]byte{}, uint16(0))
	for _, ended := range []uint64{0, 8} {
		e := entry{began: 7, ended: ended, n: replyStatusAt, slot: 5}
		e.identity = identity{whole: 1, args: 2, xid: 3, size: 4}
		copy(e.reply[:], []byte{0x80, 0, 0, replyStatusAt - 4, 0, 0, 0, 3})
		slot := make([]byte, slotSize)
		e.storeBegin(slot)
		e.storeEnd(slot)
		f.Add(slot, uint16(16))
	}
	image := make([]byte, replyFileSize)
	f.Fuzz(func(t *testing.T, b []byte, at uint16) {
		clear(image)
		r := newReplies(testKey)
		head := r.head(bootid.Get())
		copy(image, head)
		copy(image[(1+int(at)%replySlots)*slotSize:], b)
		r.load(head, image)
		checkLoaded(t, r, image)
	})
}

func checkLoaded(t *testing.T, r *Replies, image []byte) {
	c := newTestConn(t, &Server{replies: r})
	for i := range replySlots {
		s := &r.sets[i/replyWays]
		if s.turns[i%replyWays] == 0 {
			continue
		}
		e := &s.entries[i%replyWays]
		if e.began > r.turn.Load() || e.ended > r.turn.Load() || e.n > maxReply || e.doubt != (e.ended == 0) {
			t.Fatalf("slot %d: %+v", i, e)
		}
		again := bytes.Clone(slotOf(image, i))
		e.storeBegin(again)
		if e.storeEnd(again); !e.doubt && !bytes.Equal(again, slotOf(image, i)) {
			t.Fatalf("slot %d: wrote % x, read % x", i, again, slotOf(image, i))
		}
		id := e.identity
		if got, v, _ := r.begin(&id, c, nil); v == fresh && got == nil {
			t.Fatalf("slot %d: no room", i)
		}
	}
}

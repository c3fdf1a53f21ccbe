package nfs

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// TestStampClock: nothing has a stamp from before what the clock said last, and the clock
// is read again after a while, and when the machine's was set.
func TestStampClock(t *testing.T) {
	dir := t.TempDir()
	var c stampClock
	stamp := func(i int) int64 {
		path := filepath.Join(dir, strconv.Itoa(i))
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.ModTime().UnixNano()
	}
	for i := range 1000 {
		says := c.earliest(time.Now().UnixNano())
		if got := stamp(i); got < says {
			t.Fatalf("stamped %v before the earliest", time.Duration(says-got))
		}
	}
	now := time.Now().UnixNano()
	for _, tt := range []struct {
		name string
		now  int64
		read bool
	}{
		{"a moment later", now + int64(stampAge), false},
		{"later", now + int64(stampAge) + 1, true},
		{"set back", now - 1, true},
		{"set forwards", now + int64(time.Hour), true},
	} {
		c = stampClock{read: now, says: 1}
		if got := c.earliest(tt.now); (got != 1) != tt.read || (tt.read && c.read != tt.now) {
			t.Errorf("%s: got %d, read at %d", tt.name, got, c.read)
		}
	}
}

// TestBooted: the clock from which calls' ages are taken is the next server's too.
func TestBooted(t *testing.T) {
	a, b := booted(), booted()
	if d := b.Sub(a).Abs(); d > time.Minute {
		t.Errorf("%v apart", d)
	}
}

package overlay

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// replayed opens a journal and gives the names that it tells of.
func replayed(t *testing.T, dir, upper string) (*journal, []string) {
	t.Helper()
	var names []string
	j, err := openJournal(dir, upper, func(r *record) { names = append(names, string(r.name)) }, func(func(*record)) {})
	if err != nil {
		t.Fatal(err)
	}
	return j, names
}

func TestJournalEnds(t *testing.T) {
	long := strings.Repeat("n", 255)
	tests := []struct {
		name   string
		damage func(b []byte, used int) []byte
		upper  string
		want   []string
	}{
		{"killed", func(b []byte, _ int) []byte { return b }, "", []string{"a", long}},
		{"cut in the tail", func(b []byte, used int) []byte { return b[:used] }, "", []string{"a", long}},
		{"cut in a record", func(b []byte, used int) []byte { return b[:used-1] }, "", []string{"a"}},
		{"half a length", func(b []byte, used int) []byte { b[used] = 1; return b }, "", []string{"a", long}},
		{"a length of zero", func(b []byte, used int) []byte { b[used-255-recordHead], b[used-255-recordHead+1] = 0, 0; return b }, "", []string{"a"}},
		{"no head", func(b []byte, _ int) []byte { b[0] = 'x'; return b }, "", nil},
		{"empty", func([]byte, int) []byte { return nil }, "", nil},
		{"garbage", func([]byte, int) []byte { return bytes.Repeat([]byte{0xff}, 1<<16) }, "", nil},
		{"another upper", func(b []byte, _ int) []byte { return b }, "/other", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			j, _ := replayed(t, dir, "")
			j.add(record{op: recPlace, name: []byte("a")})
			j.add(record{op: recPlace, name: []byte(long)})
			used := int(j.base) + j.at
			path := filepath.Join(dir, journalName)
			b, err := os.ReadFile(path) // the process was killed: nobody closed it
			if err != nil {
				t.Fatal(err)
			}
			if err := j.close(); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, tt.damage(b, used), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, more := range []string{"", "b"} {
				j, got := replayed(t, dir, tt.upper)
				want := append([]string(nil), tt.want...)
				if more != "" {
					want = append(want, "last")
				}
				if strings.Join(got, " ") != strings.Join(want, " ") {
					t.Errorf("got %d names %.40q, want %.40q", len(got), got, want)
				}
				j.add(record{op: recPlace, name: []byte("last")})
				if err := j.close(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// A journal is worn after some number of records, whether odd or even.
func TestJournalWears(t *testing.T) {
	for first := range 2 {
		j, _ := replayed(t, t.TempDir(), "")
		for range first {
			j.add(record{op: recPlace, name: []byte("first")})
		}
		worn := false
		for i := 0; i < 1<<17 && !worn; i += 2 {
			j.add(record{op: recPlace, name: []byte("n")})
			j.add(record{op: recGone, name: []byte("n")})
			worn = j.worn(func() int { return 1 })
		}
		if !worn {
			t.Errorf("after %d records the journal is not worn", j.records)
		}
		if err := j.close(); err != nil {
			t.Error(err)
		}
	}
}

func TestJournalRewriteKeepsLaterRecords(t *testing.T) {
	dir := t.TempDir()
	j, _ := replayed(t, dir, "")
	for range 100000 { // over several windows
		j.add(record{op: recPlace, name: bytes.Repeat([]byte("x"), 200)})
	}
	j.all = func(put func(*record)) { put(&record{op: recPlace, name: []byte("kept")}) }
	j.rewrite()
	j.add(record{op: recPlace, name: []byte("later")})
	_, names := replayed(t, dir, "")
	if strings.Join(names, " ") != "kept later" {
		t.Errorf("the journal tells of %d names", len(names))
	}
	if err := j.close(); err != nil {
		t.Error(err)
	}
}

// A journal that cannot grow is given up, and what it told of before is kept.
func TestJournalFull(t *testing.T) {
	dir := t.TempDir()
	j, _ := replayed(t, dir, "")
	j.add(record{op: recPlace, name: []byte("kept")})
	j.file.Close() // every call on it fails from here on
	for range 2 * journalWindow / recordHead {
		j.add(record{op: recPlace})
	}
	if j.err == nil {
		t.Error("the journal did not meet its end")
	}
	_, names := replayed(t, dir, "")
	if len(names) == 0 || names[0] != "kept" {
		t.Errorf("the journal tells of %d names", len(names))
	}
}

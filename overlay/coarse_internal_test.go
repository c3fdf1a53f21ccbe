package overlay

import (
	"testing"
	"time"
)

// TestStandingTimes: changes show while the time on disk stands still, or behind what was shown,
// and no longer than that.
func TestStandingTimes(t *testing.T) {
	const tick = uint32(clockTick)
	tests := []struct {
		name       string
		whole      bool // the file system keeps whole seconds
		shown, now Time
		want       Time
	}{
		{"stands", false, Time{9, 5}, Time{9, 5}, Time{9, 6}},
		{"stood before", false, Time{9, 7}, Time{9, 5}, Time{9, 8}},
		{"stands at the end of a second", false, Time{9, 1e9 - 1}, Time{9, 1e9 - 1}, Time{10, 0}},
		{"stands behind in the second before", false, Time{10, 2}, Time{9, 1e9 - 1}, Time{10, 3}},
		{"went on", false, Time{9, 5}, Time{9, 6}, Time{9, 6}},
		{"went on to another second", false, Time{9, 5}, Time{10, 0}, Time{10, 0}},
		{"was far ahead", false, Time{9, tick}, Time{9, 0}, Time{9, 0}},
		{"set back", false, Time{99, 5}, Time{9, 5}, Time{9, 5}},
		{"stands at a second", true, Time{9, 0}, Time{9, 0}, Time{9, 1}},
		{"stood long at a second", true, Time{9, 900e6}, Time{9, 0}, Time{9, 900e6 + 1}},
		{"went on by a second", true, Time{9, 7}, Time{10, 0}, Time{10, 0}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fs, n := &FS{coarse: tt.whole}, newNode(ID{}, ModeDir)
			fs.advance(n, tt.shown, tt.now)
			for range 2 { // what is shown already stays
				st := sysStat{mtime: tt.now, ctime: tt.now}
				fs.showTimes(n, &st)
				fs.showTimes(n, &st)
				if st.mtime != tt.want {
					t.Errorf("mtime: got %v, want %v", st.mtime, tt.want)
				}
				if want := map[bool]Time{true: tt.want, false: tt.now}[tt.whole]; st.ctime != want {
					t.Errorf("ctime: got %v, want %v", st.ctime, want)
				}
			}
			st := sysStat{mtime: Time{Sec: 50}, ctime: Time{Sec: 60}}
			fs.showTimes(n, &st)
			if st.mtime != (Time{Sec: 50}) || st.ctime != (Time{Sec: 60}) {
				t.Errorf("other times: got %v and %v", st.mtime, st.ctime)
			}
		})
	}
}

// TestStandingStays: a directory is not evicted while it knows more of its times than the disk.
func TestStandingStays(t *testing.T) {
	fs, d := new(FS), newNode(ID{}, ModeDir)
	now := time.Now().Add(time.Hour)
	later := Time{Sec: now.Unix(), Nsec: uint32(now.Nanosecond())}
	fs.advance(d, later, later)
	if d.dir.canGo() {
		t.Error("it can go at once")
	}
	past := Time{Sec: time.Now().Unix() - int64(settleTime/time.Second) - 1}
	fs.advance(d, past, past)
	if !d.dir.canGo() {
		t.Error("it stays after that")
	}
}

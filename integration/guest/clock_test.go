//go:build linux

package guest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/internal/testenv"
)

// clockSlack is more than what may pass between a change and the look at the clock.
const clockSlack = time.Minute

// TestFaultClock sets the machine's clock back, forwards, to the beginning of the epoch and
// behind what 31 bits of seconds hold, with files open and the server restarted in between.
// (Linux cannot be told that it is before 1970.) What is open and what is known stays, new
// files have the new time, and what is added to a lower directory shows as soon as ever.
func TestFaultClock(t *testing.T) {
	testenv.Require(t, os.Getuid() == 0, "to set the clock takes root")
	l := layered(t, func(lowers []string) {
		for i, dir := range lowers {
			for n := range 200 { // which is worth an index of names
				writeFile(t, filepath.Join(dir, fmt.Sprintf("lower%d-%d", i, n)), "lower")
			}
		}
	})
	start := time.Now()
	now := func() time.Time { return start.Add(time.Since(start)) } // which nobody sets
	t.Cleanup(func() { setClock(t, now()) })
	open, err := os.Create(filepath.Join(l.merged, "open"))
	try(t, err)
	defer open.Close()
	written := ""
	for _, tt := range []struct {
		name string
		at   func() time.Time
	}{
		{"back", func() time.Time { return now().Add(-time.Hour) }},
		{"forwards", func() time.Time { return now().Add(time.Hour) }},
		{"back again", now},
		{"beginning of the epoch", func() time.Time { return time.Unix(0, 0).Add(sinceBoot(t) + time.Minute) }},
		{"after 2038", func() time.Time { return time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC) }},
		{"back for good", now},
	} {
		t.Run(tt.name, func(t *testing.T) {
			lookUpAll(t, l)
			setClock(t, tt.at())
			written += tt.name + "\n"
			_, err := open.WriteString(tt.name + "\n")
			try(t, errors.Join(err, open.Sync()))
			hasTimeOfNow(t, open.Name())
			dir := filepath.Join(l.merged, tt.name)
			try(t, os.Mkdir(dir, 0o755))
			writeFile(t, filepath.Join(dir, "file"), tt.name)
			hasTimeOfNow(t, filepath.Join(dir, "file"))
			hasTimeOfNow(t, dir)
			try(t, os.Rename(filepath.Join(dir, "file"), filepath.Join(l.merged, tt.name+" file")))
			hasTimeOfNow(t, dir)
			showsWhatIsAdded(t, l)
			Control(t, "restart")
			lookUpAll(t, l)
			checkFile(t, filepath.Join(l.merged, tt.name+" file"), tt.name)
			checkFile(t, open.Name(), written)
		})
	}
}

// setClock sets the machine's clock.
func setClock(t *testing.T, at time.Time) {
	t.Helper()
	ts := unix.NsecToTimespec(at.UnixNano())
	try(t, unix.ClockSettime(unix.CLOCK_REALTIME, &ts))
}

// sinceBoot is how old the machine is: no clock may say that it was started before 1970.
func sinceBoot(t *testing.T) time.Duration {
	t.Helper()
	var ts unix.Timespec
	try(t, unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts))
	return time.Duration(ts.Nano())
}

// hasTimeOfNow compares when an object was changed with what the clock says.
func hasTimeOfNow(t *testing.T, path string) {
	t.Helper()
	info, err := os.Stat(path)
	try(t, err)
	// Round strips the monotonic reading: this is about the clock.
	if now := time.Now().Round(0); info.ModTime().Before(now.Add(-clockSlack)) || info.ModTime().After(now.Add(clockSlack)) {
		t.Errorf("%s has the time %v, and it is %v", path, info.ModTime(), now)
	}
}

// lookUpAll has the server know the names of the lower directories.
func lookUpAll(t *testing.T, l layers) {
	t.Helper()
	entries, err := os.ReadDir(l.lowers[1])
	try(t, err)
	for _, e := range entries {
		if _, err := os.Stat(filepath.Join(l.merged, e.Name())); err != nil {
			t.Errorf("a name of a lower directory: %v", err)
		}
		// A name that the client does not know, and that is nowhere.
		if _, err := os.Stat(filepath.Join(l.merged, e.Name()+fmt.Sprint(time.Now().UnixNano()))); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a name that is nowhere: %v", err)
		}
	}
}

// showsWhatIsAdded adds names to a lower directory behind the server until one shows: each
// under a name that the client has not asked for yet.
func showsWhatIsAdded(t *testing.T, l layers) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		name := fmt.Sprint("added-", time.Now().UnixNano())
		writeFile(t, filepath.Join(l.lowers[0], name), "added")
		if _, err := os.Stat(filepath.Join(l.merged, name)); err == nil {
			return
		}
	}
	t.Error("what is added to a lower directory does not show")
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	try(t, os.WriteFile(path, []byte(text), 0o644))
}

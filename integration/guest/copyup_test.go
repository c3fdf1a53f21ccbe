//go:build linux

package guest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The large file has holes: a block of data, and nothing up to the next.
const (
	bigSize  = 4 << 30
	bigBlock = 1 << 20
	bigStep  = 4 << 20
	// bigChanges is how many blocks the client changes at once: more calls than the
	// server takes of one client.
	bigChanges = 100
)

// minBeside is how many calls of each kind have to be answered in each directory while
// the large file is copied up, and maxShare what part of that time one may take at most.
const (
	minBeside = 200
	maxShare  = 0.25
)

// TestOverLargeCopyUp has a client change a lower file of 4 GiB in many places at once.
// It is copied up once, and stays as sparse as it was; meanwhile other calls, in its
// directory and in another, are answered as if nothing happened.
func TestOverLargeCopyUp(t *testing.T) {
	l := layered(t, func(lowers []string) {
		for _, dir := range []string{"same", "other"} {
			try(t, os.MkdirAll(filepath.Join(lowers[1], dir), 0o755))
			try(t, os.WriteFile(filepath.Join(lowers[1], dir, "small"), nil, 0o644))
		}
		writeBig(t, filepath.Join(lowers[1], "same", "big"))
	})
	beside := []*besides{newBesides(t, l.merged+"/same"), newBesides(t, l.merged+"/other")}
	copying := make(chan struct{})
	var others sync.WaitGroup
	for _, b := range beside {
		others.Go(func() { b.run(copying) })
	}
	var most int
	others.Go(func() { most = mostInWork(Export(t)+".work", copying) })
	start := time.Now()
	changeBig(t, filepath.Join(l.merged, "same", "big"))
	took := time.Since(start)
	close(copying)
	others.Wait()
	t.Logf("the copy-up took %.1f s; in the work directory were %d files at most", took.Seconds(), most)
	for _, b := range beside {
		b.report(t, took)
	}
	if most != 1 {
		t.Errorf("the work directory held %d files at once, want the one copy", most)
	}
	checkBig(t, filepath.Join(l.upper, "same", "big"), filepath.Join(l.lowers[1], "same", "big"))
}

func writeBig(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	try(t, err)
	defer f.Close()
	block := make([]byte, bigBlock)
	for i := range bigSize / bigStep {
		fillBlock(block, i)
		_, err := f.WriteAt(block, int64(i)*bigStep)
		try(t, err)
	}
	try(t, f.Truncate(bigSize))
	try(t, f.Sync())
}

// changed are the bytes of a block that the client changes.
func changed(i int) bool { return i%(bigSize/bigStep/bigChanges) == 0 }

func fillChanged(block []byte, i int) { fillBlock(block, i+bigSize/bigStep) }

// changeBig returns when all changes are on the server's disk.
func changeBig(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	try(t, err)
	block := make([]byte, bigBlock)
	for i := range bigSize / bigStep {
		if changed(i) {
			fillChanged(block, i)
			_, err := f.WriteAt(block, int64(i)*bigStep)
			try(t, err)
		}
	}
	try(t, f.Close())
}

// checkBig compares the copy with what it ought to be: data and holes.
func checkBig(t *testing.T, copied, lower string) {
	t.Helper()
	var up, low unix.Stat_t
	try(t, unix.Stat(copied, &up))
	try(t, unix.Stat(lower, &low))
	if up.Size != bigSize || up.Blocks*9 > low.Blocks*10 {
		t.Errorf("the copy has %d bytes in %d blocks, the lower file %d in %d", up.Size, up.Blocks, low.Size, low.Blocks)
	}
	f, err := os.Open(copied)
	try(t, err)
	defer f.Close()
	got, want := make([]byte, bigBlock), make([]byte, bigBlock)
	for i := range bigSize / bigStep {
		fillBlock(want, i)
		if changed(i) {
			fillChanged(want, i)
		}
		_, err := f.ReadAt(got, int64(i)*bigStep)
		try(t, err)
		if !bytes.Equal(got, want) {
			t.Fatalf("block %d of the copy is not what it ought to be", i)
		}
	}
}

// mostInWork watches how many files are half made at once.
func mostInWork(dir string, until <-chan struct{}) (most int) {
	for {
		names, _ := filepath.Glob(dir + "/#*")
		names = slices.DeleteFunc(names, func(name string) bool {
			fi, err := os.Lstat(name)
			return err != nil || fi.Size() < bigSize/2 // whiteouts and small copies come and go
		})
		most = max(most, len(names))
		select {
		case <-until:
			return most
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// besides are a client's other calls, and how long each took.
type besides struct {
	dir   string
	small string
	took  map[string][]time.Duration
	err   error
}

func newBesides(t *testing.T, dir string) *besides {
	t.Helper()
	_, err := os.Stat(dir)
	try(t, err)
	return &besides{dir: dir, small: filepath.Join(dir, "small"), took: map[string][]time.Duration{}}
}

// run makes calls that no cache of the client's answers.
func (b *besides) run(until <-chan struct{}) {
	for i := 0; b.err == nil; i++ {
		select {
		case <-until:
			return
		default:
		}
		name := filepath.Join(b.dir, fmt.Sprint("new-", i))
		b.call("LOOKUP", func() error { return absent(name + "-not") })
		b.call("GETATTR", func() error { return openClose(b.small, os.O_RDONLY) })
		b.call("CREATE", func() error { return openClose(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY) })
		b.call("REMOVE", func() error { return os.Remove(name) })
	}
}

func (b *besides) call(what string, f func() error) {
	start := time.Now()
	if err := f(); err != nil {
		b.err = errors.Join(b.err, fmt.Errorf("%s in %s: %w", what, b.dir, err))
	}
	b.took[what] = append(b.took[what], time.Since(start))
}

func absent(name string) error {
	if _, err := os.Lstat(name); !errors.Is(err, syscall.ENOENT) {
		return fmt.Errorf("lstat gives %w, want that it does not exist", err)
	}
	return nil
}

func openClose(name string, flags int) error {
	f, err := os.OpenFile(name, flags, 0o644)
	if err != nil {
		return err
	}
	return f.Close()
}

// report compares the calls with the time that the copy-up took.
func (b *besides) report(t *testing.T, copyUp time.Duration) {
	t.Helper()
	if b.err != nil {
		t.Error(b.err)
	}
	for what, took := range b.took {
		slices.Sort(took)
		n := len(took)
		t.Logf("%s: %5d × %-7s median %8v, p99 %8v, longest %8v", strings.TrimPrefix(b.dir, nixRoot), n, what,
			took[n/2].Round(time.Microsecond), took[n*99/100].Round(time.Microsecond), took[n-1].Round(time.Microsecond))
		if n < minBeside || float64(took[n-1]) > maxShare*float64(copyUp) {
			t.Errorf("%s in %s: %d answered, the longest after %v; want %d at least, none after more than %.0f %% of the copy-up's %v",
				what, b.dir, n, took[n-1], minBeside, 100*maxShare, copyUp)
		}
	}
}

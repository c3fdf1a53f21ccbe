package overlay_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/internal/testenv"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// touchFiles is how many files TestMemory touches: 5000000 take minutes, and some GiB.
var touchFiles = flag.Int("touch", 300_000, "files that TestMemory touches")

// touching tells the process that TestMemory starts what to touch.
type touching struct {
	Dir   string
	Files int
}

// touchingVariable has it, in JSON.
const touchingVariable = "NIXNFSD_TEST_TOUCHING"

const (
	filesInDir = 1000
	// maxPeak is how many MiB the process may have had in memory at most. (A binary with tests
	// has some ten more than a server, and one that looks for races several times as much.)
	maxPeak = 150
	// maxHeap is how many MiB of it may be objects.
	maxHeap = 40
)

// However many files are touched, the server's memory is bounded, and their handles
// are good; after a restart the first of them is there at once. The test is its own server:
// what is measured is a process that does nothing else.
func TestMemory(t *testing.T) {
	if order := os.Getenv(touchingVariable); order != "" {
		touchAll(t, order)
		return
	}
	dir := t.TempDir()
	err := unix.Mount("touch", dir, "tmpfs", 0, "size=90%,nr_inodes=0")
	testenv.Require(t, err == nil, fmt.Sprint("no tmpfs: ", err))
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	files := *touchFiles
	if looksForRaces(t) { // which takes ten times as long
		files /= 10
	}
	plantFiles(t, filepath.Join(dir, "upper"), files)
	order, err := json.Marshal(touching{dir, files})
	if err != nil {
		t.Fatal(err)
	}
	for _, when := range []string{"first met", "after a restart"} {
		server := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^TestMemory$", "-test.v", "-test.timeout=1h")
		server.Env = append(os.Environ(), touchingVariable+"="+string(order))
		out, err := server.CombinedOutput()
		t.Logf("%s: %s", when, out)
		if err != nil {
			t.Fatal(err)
		}
	}
}

// plantFiles makes empty files, a thousand in each directory.
func plantFiles(t *testing.T, dir string, files int) {
	var all sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		all.Go(func() {
			for d := w; d*filesInDir < files; d += workers {
				sub := filepath.Join(dir, fmt.Sprint(d))
				if err := os.MkdirAll(sub, 0o755); err != nil {
					t.Error(err)
					return
				}
				for f := range min(filesInDir, files-d*filesInDir) {
					if err := unix.Mknod(filepath.Join(sub, fileName(f)), unix.S_IFREG|0o644, 0); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	all.Wait()
}

// fileName is as long as names in a store are.
func fileName(f int) string { return fmt.Sprintf("%032d-file", f) }

// touchAll is the server.
func touchAll(t *testing.T, order string) {
	var o touching
	if err := json.Unmarshal([]byte(order), &o); err != nil {
		t.Fatal(err)
	}
	fs, err := overlay.Open(overlay.Options{Upper: filepath.Join(o.Dir, "upper"), State: filepath.Join(o.Dir, "state")})
	if err != nil {
		t.Fatal(err)
	}
	defer fs.Close()
	tr := &tree{t: t, FS: fs}
	handles := filepath.Join(o.Dir, "handles")
	if b, err := os.ReadFile(handles); err == nil {
		tr.useHandles(b)
	}
	var kept []overlay.ID
	start := time.Now()
	for d := 0; d*filesInDir < o.Files; d++ {
		dir := tr.walk(fmt.Sprint(d))
		for f := range min(filesInDir, o.Files-d*filesInDir) {
			var a, da overlay.Attr
			if _, err := tr.Lookup(worker, dir.ID, []byte(fileName(f)), &a, &da); err != nil {
				t.Fatal(err)
			}
			if f%100 == 0 {
				kept = append(kept, a.ID)
			}
		}
	}
	t.Logf("%d ns for each look-up", time.Since(start).Nanoseconds()/int64(o.Files))
	b, err := json.Marshal(kept)
	if err != nil {
		t.Fatal(err)
	}
	tr.useHandles(b)
	if err := os.WriteFile(handles, b, 0o600); err != nil {
		t.Fatal(err)
	}
	var heap runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&heap)
	peak := peakMiB(t)
	t.Logf("%d nodes, %d MiB of heap, %d MiB at most in memory", tr.CountNodes(), heap.HeapAlloc>>20, peak)
	if heap.HeapAlloc>>20 > maxHeap || peak > maxPeak && !looksForRaces(t) {
		t.Errorf("more than %d MiB of heap, %d at most", maxHeap, maxPeak)
	}
}

// looksForRaces reports whether the test was built with -race.
func looksForRaces(t *testing.T) bool {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		t.Fatal("the test does not know how it was built")
	}
	return slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// useHandles uses the handles that were kept, and says how long that takes.
func (tr *tree) useHandles(b []byte) {
	tr.t.Helper()
	var ids []overlay.ID
	if err := json.Unmarshal(b, &ids); err != nil {
		tr.t.Fatal(err)
	}
	var first time.Duration
	start := time.Now()
	for i, id := range ids {
		var a overlay.Attr
		if err := tr.Getattr(id, &a); err != nil || a.ID != id {
			tr.t.Fatalf("handle %d of %d gives %v, %v", i, len(ids), a.ID, err)
		}
		if i == 0 {
			first = time.Since(start)
		}
	}
	tr.t.Logf("%v for the first handle, %v for each", first, time.Since(start)/time.Duration(len(ids)))
}

// peakMiB is the most that the process has had in memory, mapped files too.
func peakMiB(t *testing.T) int {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	kib, err := strconv.Atoi(string(regexp.MustCompile(`VmHWM:\s*(\d+) kB`).FindSubmatch(b)[1]))
	if err != nil {
		t.Fatal(err)
	}
	return kib >> 10
}

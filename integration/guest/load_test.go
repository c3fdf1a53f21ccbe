//go:build linux

package guest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/testenv"
	"golang.org/x/sys/unix"
)

// memoryLimit is what the server may need at most, in KiB.
const memoryLimit = 100 << 10

const (
	openFiles  = 10_000
	dirEntries = 100_000
	largeSize  = 1 << 30
	largeBlock = 1 << 20
)

// TestLoad has one client hold many files open, list a large directory while
// half of it is removed, and write and read a large file, all with the first files
// still open. The server's memory stays within its limit.
func TestLoad(t *testing.T) {
	Mount(t)
	pid, found := serverProcess("nixnfsd")
	dir := Dir(t)
	files := openMany(t, filepath.Join(dir, "open"))
	checkMemory(t, pid, "with 10,000 open files")
	t.Run("directory", func(t *testing.T) { listWhileRemoving(t, filepath.Join(dir, "many")) })
	checkMemory(t, pid, "after a directory of 100,000 entries")
	t.Run("large-file", func(t *testing.T) { writeAndRead(t, filepath.Join(dir, "large")) })
	checkMemory(t, pid, "after 1 GiB written and read")
	checkOpen(t, files)
	checkMemory(t, pid, "at the end")
	testenv.Require(t, found, "no nixnfsd runs whose memory could be measured")
}

// serverProcess finds the server by the name of its program.
func serverProcess(name string) (pid int, found bool) {
	procs, err := filepath.Glob("/proc/[0-9]*/comm")
	if err != nil {
		return 0, false
	}
	for _, proc := range procs {
		comm, err := os.ReadFile(proc)
		if err != nil || strings.TrimSpace(string(comm)) != name {
			continue
		}
		pid, err = strconv.Atoi(filepath.Base(filepath.Dir(proc)))
		return pid, err == nil
	}
	return 0, false
}

// checkMemory logs the resident memory of a server that is nixnfsd. The kernel keeps the maximum
// (VmHWM), so that nothing between two looks is missed.
func checkMemory(t *testing.T, pid int, when string) {
	t.Helper()
	if pid == 0 {
		return
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	try(t, err)
	now, most := statusKiB(string(status), "VmRSS:"), statusKiB(string(status), "VmHWM:")
	t.Logf("server memory %s: %.1f MiB, at most %.1f MiB so far", when, float64(now)/1024, float64(most)/1024)
	if most == 0 || most >= memoryLimit {
		t.Errorf("server memory %s: got %d KiB at most, want less than %d", when, most, memoryLimit)
	}
}

// statusKiB returns a number of /proc/PID/status, or 0.
func statusKiB(status, key string) int {
	_, rest, _ := strings.Cut(status, key)
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	n, err := strconv.Atoi(fields[0])
	if err != nil {
		return 0
	}
	return n
}

// openMany creates files and keeps them open until the test's end.
func openMany(t *testing.T, dir string) []*os.File {
	t.Helper()
	var limit unix.Rlimit
	try(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
	testenv.Require(t, limit.Max > openFiles+100, fmt.Sprintf("only %d files may be open", limit.Max))
	limit.Cur = limit.Max
	try(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &limit))
	try(t, os.Mkdir(dir, 0o755))
	files := make([]*os.File, openFiles)
	for i := range files {
		f, err := os.Create(filepath.Join(dir, strconv.Itoa(i)))
		try(t, err)
		t.Cleanup(func() { _ = f.Close() }) // closed and checked by checkOpen
		_, err = fmt.Fprintf(f, "%d\n", i)
		try(t, err)
		files[i] = f
	}
	return files
}

// checkOpen reads, writes and closes every file.
func checkOpen(t *testing.T, files []*os.File) {
	t.Helper()
	buf := make([]byte, 32)
	for i, f := range files {
		want := strconv.Itoa(i) + "\n"
		n, err := f.ReadAt(buf, 0)
		if string(buf[:n]) != want || (err != nil && !errors.Is(err, io.EOF)) {
			t.Errorf("%s: got %q and error %v, want %q", f.Name(), buf[:n], err, want)
		}
		_, err = f.WriteAt([]byte("end"), int64(len(want)))
		if err := errors.Join(err, f.Close()); err != nil {
			t.Errorf("write and close: %v", err)
		}
	}
}

// listWhileRemoving lists a directory in small steps, and removes every second
// entry meanwhile. Each that stays is seen exactly once, no other twice.
func listWhileRemoving(t *testing.T, dir string) {
	try(t, os.Mkdir(dir, 0o755))
	for i := range dirEntries {
		try(t, os.Symlink("target", filepath.Join(dir, entryName(i))))
	}
	removed := make(chan error, 1)
	go func() { removed <- removeOdd(dir) }()
	for done := false; !done; { // again and again until all are removed
		select {
		case err := <-removed:
			try(t, err)
			done = true
		default:
		}
		checkSeen(t, list(t, dir))
	}
	if got := len(list(t, dir)); got != dirEntries/2 {
		t.Errorf("after the removal: got %d names, want %d", got, dirEntries/2)
	}
}

func entryName(i int) string { return fmt.Sprintf("entry-%06d", i) }

func removeOdd(dir string) error {
	for i := 1; i < dirEntries; i += 2 {
		if err := os.Remove(filepath.Join(dir, entryName(i))); err != nil {
			return err
		}
	}
	return nil
}

// list counts how often each name is listed.
func list(t *testing.T, dir string) map[string]int {
	t.Helper()
	f, err := os.Open(dir)
	try(t, err)
	defer f.Close()
	seen := map[string]int{}
	for {
		entries, err := f.ReadDir(500)
		for _, e := range entries {
			seen[e.Name()]++
		}
		if errors.Is(err, io.EOF) {
			return seen
		}
		try(t, err)
	}
}

func checkSeen(t *testing.T, seen map[string]int) {
	t.Helper()
	for i := 0; i < dirEntries; i += 2 {
		if n := seen[entryName(i)]; n != 1 {
			t.Fatalf("%s, which stays: listed %d times, want 1", entryName(i), n)
		}
	}
	for name, n := range seen {
		if n > 1 {
			t.Fatalf("%s, which goes: listed %d times, want at most 1", name, n)
		}
	}
}

// writeAndRead writes a large file, drops the client's cache of it, and reads it back.
func writeAndRead(t *testing.T, path string) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	try(t, err)
	defer f.Close()
	block := make([]byte, largeBlock)
	for i := range largeSize / largeBlock {
		fillBlock(block, i)
		_, err := f.Write(block)
		try(t, err)
	}
	try(t, f.Sync())
	try(t, unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED))
	_, err = f.Seek(0, io.SeekStart)
	try(t, err)
	got := make([]byte, largeBlock)
	for i := range largeSize / largeBlock {
		fillBlock(block, i)
		_, err := io.ReadFull(f, got)
		try(t, err)
		if !bytes.Equal(got, block) {
			t.Fatalf("block %d of %s differs from what was written", i, path)
		}
	}
}

// fillBlock makes block i of the large file: no two blocks, and no two pages,
// are equal.
func fillBlock(block []byte, i int) {
	for off := 0; off < len(block); off += 4096 {
		line := fmt.Appendf(nil, "block %d offset %d\n", i, off)
		for n := copy(block[off:off+4096], line); n < 4096; n *= 2 {
			copy(block[off+n:off+4096], block[off:off+n])
		}
	}
}

//go:build linux

package guest

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// keptOpen counts the open files that were removed, behind the mount.
func keptOpen(t *testing.T) int {
	t.Helper()
	found, err := os.ReadDir(Export(t) + ".work/silly")
	try(t, err)
	return len(found)
}

// wantKept waits until the server keeps so many files: a client removes after the close.
func wantKept(t *testing.T, n int) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); keptOpen(t) != n; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the server keeps %d files open, want %d", keptOpen(t), n)
		}
	}
}

// removeOpen removes a file that is open, and its directory.
func removeOpen(t *testing.T, path string) {
	t.Helper()
	dir := filepath.Dir(path)
	try(t, os.Remove(path))
	for _, at := range []string{dir, filepath.Join(Export(t), filepath.Base(filepath.Dir(dir)), filepath.Base(dir))} {
		if names, err := os.ReadDir(at); err != nil || len(names) != 0 {
			t.Errorf("%s: got %v and error %v, want an empty directory", at, names, err)
		}
	}
	try(t, os.Remove(dir))
}

// newInside gives the path of a file in a new directory.
func newInside(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(Dir(t), "d")
	try(t, os.Mkdir(dir, 0o755))
	return filepath.Join(dir, "f")
}

// TestSillyOpenFile removes an open file and its directory: it stays what it was, also
// when the server is killed in between, until it is closed.
func TestSillyOpenFile(t *testing.T) {
	Mount(t)
	path := newInside(t)
	f, err := os.Create(path)
	try(t, err)
	_, err = f.WriteString("written before\n")
	try(t, err)
	removeOpen(t, path)
	wantKept(t, 1)
	_, err = f.WriteString("and after\n")
	try(t, err)
	try(t, f.Sync())
	Control(t, "restart")
	_, err = f.WriteString("and after a restart\n")
	try(t, err)
	try(t, f.Sync())
	again, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), os.O_RDWR, 0)
	try(t, err)
	got, err := io.ReadAll(again)
	try(t, err)
	if want := "written before\nand after\nand after a restart\n"; string(got) != want {
		t.Errorf("content: got %q, want %q", got, want)
	}
	try(t, f.Close())
	wantKept(t, 1)
	try(t, again.Close())
	wantKept(t, 0)
}

// TestSillyMapped goes on with a removed file through a mapping alone.
func TestSillyMapped(t *testing.T) {
	Mount(t)
	path := newInside(t)
	try(t, os.WriteFile(path, make([]byte, 1<<16), 0o644))
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	try(t, err)
	data, err := unix.Mmap(int(f.Fd()), 0, 1<<16, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	try(t, err)
	removeOpen(t, path)
	try(t, f.Close())
	Control(t, "restart")
	copy(data, "mapped")
	try(t, unix.Msync(data, unix.MS_SYNC))
	if got := string(data[:6]); got != "mapped" {
		t.Errorf("content: %q", got)
	}
	wantKept(t, 1)
	try(t, unix.Munmap(data))
	wantKept(t, 0)
}

// TestSillyProgram removes a program that runs, and its directory.
func TestSillyProgram(t *testing.T) {
	Mount(t)
	path := newInside(t)
	program, err := os.ReadFile("/bin/cat")
	try(t, err)
	try(t, os.WriteFile(path, program, 0o755))
	cmd := exec.CommandContext(t.Context(), path)
	in, err := cmd.StdinPipe()
	try(t, err)
	out, err := cmd.StdoutPipe()
	try(t, err)
	try(t, cmd.Start())
	answers := bufio.NewReader(out)
	for _, step := range []func(){func() {}, func() { removeOpen(t, path) }, func() { Control(t, "restart") }} {
		step()
		_, err := io.WriteString(in, "hello\n")
		try(t, err)
		if line, err := answers.ReadString('\n'); line != "hello\n" {
			t.Errorf("the program says %q, error %v", line, err)
		}
	}
	wantKept(t, 1)
	try(t, in.Close())
	try(t, cmd.Wait())
	wantKept(t, 0)
}

// TestSillyMany removes and renames over open files, in one directory, and closes them.
func TestSillyMany(t *testing.T) {
	Mount(t)
	const files = 200
	dir := Dir(t)
	var open []*os.File
	for i := range files {
		f, err := os.Create(filepath.Join(dir, fmt.Sprint(i)))
		try(t, err)
		_, err = fmt.Fprint(f, i)
		try(t, err)
		open = append(open, f)
	}
	for i := range files {
		name := filepath.Join(dir, fmt.Sprint(i))
		if i%2 == 0 {
			try(t, os.Remove(name))
			continue
		}
		try(t, os.WriteFile(name+"new", nil, 0o644))
		try(t, os.Rename(name+"new", name))
	}
	wantKept(t, files)
	names, err := os.ReadDir(dir)
	if err != nil || len(names) != files/2 {
		t.Errorf("%d names are listed, error %v; want %d", len(names), err, files/2)
	}
	for i, f := range open {
		b := make([]byte, 10)
		n, err := f.ReadAt(b, 0)
		if got := string(b[:n]); got != fmt.Sprint(i) || err != io.EOF {
			t.Errorf("file %d: content %q, error %v", i, got, err)
		}
		try(t, f.Close())
	}
	wantKept(t, 0)
}

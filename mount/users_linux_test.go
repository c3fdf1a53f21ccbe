package mount

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestUsers(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mnt")
	beside := dir + "2"
	for _, d := range []string{dir, beside, dir + "/sub"} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if got := Users(dir, 9); len(got) > 0 {
		t.Errorf("of nobody: %v", got)
	}
	cmd := exec.CommandContext(t.Context(), "/bin/sleep", "1h")
	cmd.Dir = dir + "/sub"
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Wait() }) // killed
	f, err := os.Create(dir + "/file")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got := map[int]string{}
	for _, h := range Users(dir, 9) {
		got[h.PID] = h.Name
	}
	if len(got) != 2 || got[cmd.Process.Pid] != "sleep" || got[os.Getpid()] == "" {
		t.Errorf("got %v, want %d and %d", got, cmd.Process.Pid, os.Getpid())
	}
	if got := Users(dir, 1); len(got) != 1 {
		t.Errorf("one at most: %v", got)
	}
	if got := Users(beside, 9); len(got) > 0 {
		t.Errorf("of a directory beside it: %v", got)
	}
}

package wholefile_test

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/wholefile"
)

// TestOneAtATime has many count in a file, each of whom reads it, and replaces it.
func TestOneAtATime(t *testing.T) {
	const many, times = 8, 10
	file := filepath.Join(t.TempDir(), "file")
	count := func() error {
		held, err := wholefile.Hold(file)
		if err != nil {
			return err
		}
		defer held.Release()
		b, _ := os.ReadFile(file)
		n, _ := strconv.Atoi(string(b))
		return wholefile.Replace(file, 0o640, strings.NewReader(strconv.Itoa(n+1)))
	}
	var all sync.WaitGroup
	for range many {
		all.Go(func() {
			for range times {
				if err := count(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	b, err := os.ReadFile(file)
	if want := strconv.Itoa(many * times); err != nil || string(b) != want {
		t.Errorf("got %s, %v, want %s", b, err, want)
	}
	if info, err := os.Stat(file); err != nil || info.Mode() != 0o640 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if names, _ := os.ReadDir(filepath.Dir(file)); len(names) != 1 {
		t.Errorf("left: %v", names)
	}
}

// TestLeft has a process die that was writing, whatever it had written.
func TestLeft(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if wholefile.Left(file) {
		t.Error("something is left")
	}
	for _, name := range []string{wholefile.LockName(file), wholefile.PartName(file)} {
		if err := os.WriteFile(name, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
		if !wholefile.Left(file) {
			t.Errorf("%s is not seen", name)
		}
		held, err := wholefile.Hold(file)
		if err != nil {
			t.Fatal(err)
		}
		held.Release()
		if wholefile.Left(file) {
			t.Errorf("%s is left", name)
		}
	}
}

type failing struct{}

var errFails = errors.New("it fails")

func (failing) Read(b []byte) (int, error) { return copy(b, "half"), errFails }

// TestReplaceFails has what was there stay.
func TestReplaceFails(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := wholefile.Replace(file, 0o600, failing{}); !errors.Is(err, errFails) {
		t.Errorf("got %v", err)
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "old" || wholefile.Left(file) {
		t.Errorf("got %q, %v", b, err)
	}
}

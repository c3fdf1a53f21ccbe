package overlay

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/sysfault"
	"github.com/nixnfsd/nixnfsd/internal/testenv"
)

// withoutRename calls f while nothing can be given another name.
func withoutRename(t *testing.T, f func()) {
	t.Helper()
	rule := func(c sysfault.Call) (a sysfault.Answer) {
		if strings.HasPrefix(c.Name, "rename") {
			a.Errno = syscall.ENOSPC
		}
		return a
	}
	testenv.Require(t, sysfault.Run(rule, f) == nil, "the kernel has no seccomp user notification")
}

// A copy-up that fails at its last step leaves the counts of names as they were.
func TestCopyUpFailsBesideHiddenName(t *testing.T) {
	fs := openOver(t, "f")
	lower := fs.layers[1].path
	for _, name := range []string{"/g", "/h"} {
		if err := os.Link(lower+"/f", lower+name); err != nil {
			t.Fatal(err)
		}
	}
	id := lookupRoot(t, fs, "f").ID
	mustRemove(t, fs, "h")
	var w Change
	withoutRename(t, func() {
		if err := fs.Setattr(blocking, id, &SetAttr{SetMode: true, Mode: 0o600}, &w); err != syscall.ENOSPC {
			t.Errorf("got %v", err)
		}
	})
	if got := lookupRoot(t, fs, "g"); got.ID != id || got.Nlink != 2 {
		t.Errorf("after the failure it is %+v", got)
	}
	mustRemove(t, fs, "f")
	mustRemove(t, fs, "g")
	var a Attr
	if err := fs.Getattr(id, &a); err != syscall.ESTALE {
		t.Errorf("without names: %+v, %v", a, err)
	}
	left, err := os.ReadDir(fs.layers[0].path + ".work/index")
	if err != nil || len(left) > 0 {
		t.Errorf("the index holds %v, %v", left, err)
	}
}

// A copy that was not put in place is not known by the object's ID: its inode is used again.
func TestCopyUpFailsOfLink(t *testing.T) {
	fs := openOver(t)
	if err := os.Symlink("to", fs.layers[1].path+"/l"); err != nil {
		t.Fatal(err)
	}
	id := lookupRoot(t, fs, "l").ID
	var w Change
	withoutRename(t, func() {
		if err := fs.Setattr(blocking, id, &SetAttr{SetMtime: ServerTime}, &w); err != syscall.ENOSPC {
			t.Errorf("got %v", err)
		}
	})
	for found, known := range fs.origins.cache {
		if known == id {
			t.Errorf("%v is known as the link", found)
		}
	}
}

// What of a large copy could not be written is told once, while it is copied perhaps: then
// there is no copy.
func TestCopyUpFailsHalfWay(t *testing.T) {
	for errno, want := range map[syscall.Errno]error{syscall.EIO: syscall.EIO, syscall.ENOSPC: syscall.ENOSPC, syscall.ENOSYS: nil} {
		fs := openOver(t)
		data := bytes.Repeat([]byte("data"), 3*copyStep/4)
		if err := os.WriteFile(fs.layers[1].path+"/f", data, 0o644); err != nil {
			t.Fatal(err)
		}
		id := lookupRoot(t, fs, "f").ID
		calls := 0
		rule := func(c sysfault.Call) (a sysfault.Answer) {
			if c.Name == "sync_file_range" {
				calls++
				a.Errno = errno
			}
			return a
		}
		err := sysfault.Run(rule, func() {
			var w Change
			if err := fs.Setattr(blocking, id, &SetAttr{SetMode: true, Mode: 0o600}, &w); err != want {
				t.Errorf("%v: got %v", errno, err)
			}
		})
		testenv.Require(t, err == nil, "the kernel has no seccomp user notification")
		got, err := os.ReadFile(fs.layers[0].path + "/f")
		if calls == 0 || want == nil && !bytes.Equal(got, data) || want != nil && !os.IsNotExist(err) {
			t.Errorf("%v, %d times: the copy has %d bytes, %v", errno, calls, len(got), err)
		}
	}
}

// A removed file is not kept open by who read it meanwhile.
func TestReadBesideRemoval(t *testing.T) {
	fs := openOver(t)
	for i := range 3000 {
		name := fmt.Sprint("f", i)
		path := fs.layers[0].path + "/" + name
		if err := os.WriteFile(path, []byte("data"), 0o644); err != nil {
			t.Fatal(err)
		}
		id := lookupRoot(t, fs, name).ID
		n, err := fs.node(id)
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				var a Attr
				var b [4]byte
				_, _, _ = fs.Read(blocking, id, b[:], 0, &a)
			})
		}
		mustRemove(t, fs, name)
		wg.Wait()
		if n.file.acquire() != nil {
			t.Fatalf("%s is held open", name)
		}
	}
}

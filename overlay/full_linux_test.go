package overlay_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/internal/testenv"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// shortages are what a disk can be out of.
var shortages = []string{"room", "inodes", "room and inodes"}

// On a disk without room, or without inodes, each operation is done or gives ENOSPC and
// leaves what was; when there is room again, it is done. What takes something from the
// upper alone needs no room.
func TestNoSpace(t *testing.T) {
	disk := t.TempDir()
	err := unix.Mount("full", disk, "tmpfs", 0, "size=2m,nr_inodes=200")
	testenv.Require(t, err == nil, "a small file system cannot be mounted here")
	t.Cleanup(func() { unix.Unmount(disk, unix.MNT_DETACH) })
	done, refused := 0, 0
	eachScene(t, func(t *testing.T, sc *scene, lowers int) {
		r := sc.rehearse(t, lowers)
		for i, short := range shortages {
			if !*wholeMatrix && (len(sc.name)+lowers)%len(shortages) != i {
				continue
			}
			s := sc.set(t, filepath.Join(disk, "stage"), lowers)
			if s.squeeze(r, short) {
				done++
			} else {
				refused++
			}
			s.close()
			s.isSoundButForCounts(short)
			s.strike()
		}
	})
	t.Logf("%d operations done without space, %d refused", done, refused)
}

// squeeze does the operation on a disk that is full, and once more with room where it
// was refused. It reports whether it was done at once.
func (s *stage) squeeze(r *reference, short string) (atOnce bool) {
	s.t.Helper()
	fillings := filepath.Join(s.dir, "fillings")
	mustMkdir(s.t, fillings)
	op := s.sc.op(s.tree)
	if short != shortages[1] {
		fill(s.t, filepath.Join(fillings, "large"))
	}
	if short != shortages[0] {
		fillInodes(s.t, fillings)
	}
	err := op()
	if err := os.RemoveAll(fillings); err != nil {
		s.t.Fatal(err)
	}
	before, after := exactly(s.before), r.of(s.before)
	v := s.look("after")
	if err == nil {
		if d := after.differs(v); d != "" {
			s.t.Errorf("no error, but: %s", d)
		}
		return true
	}
	if !errors.Is(err, syscall.ENOSPC) {
		s.t.Errorf("the error is %v", err)
	}
	if len(s.options.Lowers) == 0 && (strings.HasPrefix(s.sc.name, "remove") || strings.HasPrefix(s.sc.name, "rmdir")) {
		s.t.Errorf("nothing can be removed: %v", err)
	}
	if d := before.differs(v); d != "" && !(s.sc.parts && between(before, after, v)) {
		s.t.Errorf("refused, but: %s", d)
	}
	if err := op(); err != nil {
		s.t.Errorf("with room again: %v", err)
	} else if d := after.differs(s.look("with room again")); d != "" {
		s.t.Errorf("with room again: %s", d)
	}
	return false
}

// isSoundButForCounts has fsck find nothing wrong but what package overlay's documentation
// grants: a count of links that there was no room for.
func (s *stage) isSoundButForCounts(label string) {
	s.t.Helper()
	err := overlay.Fsck(s.t.Context(), s.options, false, func(p overlay.Problem) {
		if !p.Harmless && p.Kind != "hidden-count" {
			s.t.Errorf("%s: fsck finds %s: %s: %s", label, p.Kind, p.Path, p.What)
		}
	})
	if err != nil {
		s.t.Errorf("%s: %v", label, err)
	}
}

// fillInodes makes files until the disk has no inode left for one.
func fillInodes(t *testing.T, dir string) {
	t.Helper()
	for i := 0; ; i++ {
		err := unix.Mknod(filepath.Join(dir, fmt.Sprint(i)), unix.S_IFREG|0o600, 0)
		if err == syscall.ENOSPC {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

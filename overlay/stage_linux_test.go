package overlay_test

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/internal/sysfault"
	"github.com/nixnfsd/nixnfsd/internal/testenv"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// fixedTime is the time of files in layers.
var fixedTime = time.Unix(1e9, 5e6)

// stage is a scene set up on a disk.
type stage struct {
	*tree
	sc     *scene
	dir    string
	before view
}

// set sets the scene up in a directory and opens it.
func (sc *scene) set(t *testing.T, dir string, lowers int) *stage {
	t.Helper()
	tr := &tree{t: t, options: optionsIn(dir, lowers)}
	d := disk{t, append([]string{tr.options.Upper}, tr.options.Lowers...)}
	for _, layer := range d.dirs {
		mustMkdir(t, layer)
	}
	sc.layers(&d)
	s := &stage{tree: tr, sc: sc, dir: dir}
	s.openAgain()
	if sc.before != nil {
		sc.before(tr)
	}
	s.before = s.look("before")
	return s
}

// optionsIn gives the options of a scene's overlay.
func optionsIn(dir string, lowers int) overlay.Options {
	o := overlay.Options{Upper: filepath.Join(dir, "upper"), State: filepath.Join(dir, "state"), MaxOpen: 64}
	for i := range lowers {
		o.Lowers = append(o.Lowers, filepath.Join(dir, fmt.Sprint("lower", i+1)))
	}
	return o
}

func (s *stage) openAgain() {
	s.t.Helper()
	fs, err := overlay.Open(s.options)
	if err != nil {
		s.t.Fatalf("open: %v", err)
	}
	s.FS = fs
}

func (s *stage) look(when string) view {
	s.t.Helper()
	v, err := look(s.FS)
	if err != nil {
		s.t.Fatalf("%s: %v", when, err)
	}
	return v
}

// close ends the stage.
func (s *stage) close() {
	s.t.Helper()
	if err := s.Close(); err != nil {
		s.t.Fatalf("close: %v", err)
	}
}

func (s *stage) strike() { os.RemoveAll(s.dir) }

// fastDir gives a directory for stages: in memory, where that is to be had.
func fastDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "overlay-stage")
	if err != nil || unix.Setxattr(dir, "user.test", []byte("y"), 0) != nil {
		os.Remove(dir)
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// reference is what a scene's operation does when nothing disturbs it.
type reference struct {
	before, after view
	calls         []met
}

// met is a system call that the operation made.
type met struct {
	sysfault.Call
	changed bool // the disk or the journal, since the call before
}

func (r *reference) of(before view) expected { return after(before, r.before, r.after) }

// rehearse runs a scene undisturbed.
func (sc *scene) rehearse(t *testing.T, lowers int) *reference {
	t.Helper()
	return sc.set(t, fastDir(t), lowers).rehearse()
}

// rehearse runs the operation undisturbed and ends the stage.
func (s *stage) rehearse() *reference {
	t := s.t
	t.Helper()
	defer s.strike()
	r := &reference{before: s.before}
	op, changed, written := s.sc.op(s.tree), true, -1
	rule := func(c sysfault.Call) sysfault.Answer {
		if size := len(bytes.TrimRight(s.journal()["1"], "\x00")); size != written {
			changed, written = true, size
		}
		r.calls = append(r.calls, met{c, changed})
		changed = c.Mutates
		return sysfault.Answer{Pretend: isSync(c)}
	}
	var failed atomic.Pointer[error]
	err := sysfault.Run(rule, func() {
		if err := op(); err != nil {
			failed.Store(&err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := failed.Load(); err != nil {
		t.Fatalf("undisturbed: %v", *err)
	}
	r.after = s.look("after")
	s.close()
	return r
}

// wholeMatrix takes minutes. Without it two lower directories stand for one as well,
// and each system call fails with one error, every time another.
var wholeMatrix = flag.Bool("matrix", false, "run the crash and fault matrices whole")

// eachScene runs f for each scene and number of lower directories.
func eachScene(t *testing.T, f func(t *testing.T, sc *scene, lowers int)) {
	t.Helper()
	lowers := []int{0, 2}
	if *wholeMatrix {
		lowers = []int{0, 1, 2}
	}
	err := sysfault.Run(func(sysfault.Call) sysfault.Answer { return sysfault.Answer{} }, func() {})
	testenv.Require(t, err == nil, "the kernel has no seccomp user notification")
	for _, sc := range scenes() {
		for _, n := range lowers {
			if n < sc.lowers {
				continue
			}
			t.Run(fmt.Sprintf("%s/%d lowers", sc.name, n), func(t *testing.T) { f(t, &sc, n) })
		}
	}
}

// isSync reports whether a call only waits for the disk. Of power cuts the tests say
// nothing, so it is not made.
func isSync(c sysfault.Call) bool { return strings.HasSuffix(c.Name, "sync") }

// keepState gives a function that puts the journal back as it is now.
func (s *stage) keepState() (restore func()) {
	files := s.journal()
	dir := filepath.Join(s.options.State, "places")
	return func() {
		if err := os.RemoveAll(dir); err != nil {
			s.t.Error(err)
		}
		mustMkdir(s.t, dir)
		for name, b := range files {
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
				s.t.Error(err)
			}
		}
	}
}

// journal gives what is in the journal's files.
func (s *stage) journal() map[string][]byte {
	files := map[string][]byte{}
	dir := filepath.Join(s.options.State, "places")
	entries, err := os.ReadDir(dir)
	if err != nil {
		s.t.Error(err)
	}
	for _, e := range entries {
		read := readWritten
		if e.Name() == "index" {
			read = os.ReadFile
		}
		b, err := read(filepath.Join(dir, e.Name()))
		if err != nil {
			s.t.Error(err)
		}
		files[e.Name()] = b
	}
	return files
}

// readWritten reads a file until there are only zeros: a segment's room is larger
// than what is in it.
func readWritten(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []byte
	for block := make([]byte, 4096); ; {
		n, err := f.Read(block)
		all = append(all, block[:n]...)
		if err == io.EOF || err == nil && len(bytes.Trim(block[:n], "\x00")) == 0 {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

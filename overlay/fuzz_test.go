package overlay_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/overlay"
)

// FuzzLayers makes lower directories of whatever somebody could put there by a script: marks
// with any value, whiteouts, redirects that lead anywhere, dictionaries that lie, links out.
// Then it does what clients do, over restarts. Each answer is one that a client can be given, what
// is outside neither shows nor changes, and fsck finds nothing that it cannot mend.
func FuzzLayers(f *testing.F) {
	for seed := range uint64(5) {
		b := make([]byte, 400)
		for i, r := 0, rand.New(rand.NewPCG(seed, 9)); i < len(b); i++ {
			b[i] = byte(r.Uint32())
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		needMarks(t)
		w := newWild(t, script)
		half := len(script) / 2
		for w.dirs = slices.Clone(w.options.Lowers); len(w.script) > half; {
			w.plant()
		}
		w.unplantNames()
		w.planted = w.plantedKinds()
		w.open()
		w.known = []overlay.ID{w.Root()}
		for len(w.script) > 0 && !t.Failed() {
			w.step()
		}
		w.close()
		w.checkFsck()
		w.checkSecret()
	})
}

// wild is a tree over layers that nobody has looked after.
type wild struct {
	*tree
	script  []byte
	base    string
	dirs    []string // in the lower layers
	known   []overlay.ID
	planted []string // kinds of problems
}

func newWild(t *testing.T, script []byte) *wild {
	t.Helper()
	w := &wild{tree: newTree(t, 3), script: script}
	w.spoilt = true
	w.base = filepath.Dir(w.options.Upper)
	mustWrite(t, filepath.Join(w.base, "secret", "secretfile"), "secret")
	layers := append(slices.Clone(w.options.Lowers), w.options.Upper)
	for _, dir := range layers {
		if w.n(3) == 0 {
			escape(t, dir)
			mustWrite(t, filepath.Join(dir, "%~names", storedLong("../../secret")), "../../secret")
		}
	}
	return w
}

// n takes a number below max from the script; 0 at its end.
func (w *wild) n(max int) int {
	if len(w.script) == 0 {
		return 0
	}
	b := w.script[0]
	w.script = w.script[1:]
	return int(b) % max
}

// pick takes one of some texts, of the first three as often as of all.
func (w *wild) pick(texts ...string) string {
	if w.n(2) == 0 {
		return texts[w.n(min(3, len(texts)))]
	}
	return texts[w.n(len(texts))]
}

func (w *wild) name() string {
	long := strings.Repeat("x", 255)
	return w.pick("a", "b", "c", "A", "^a", "%41", "%2f", "%2e%2e", "%00", "#1", "%~names", ".nfs0000000000000001", ".nfs.00000001.0001",
		long, strings.ToUpper(long), "%~"+storedLong("../../secret"))
}

// plant puts something into a lower layer.
func (w *wild) plant() {
	path := filepath.Join(w.dirs[w.n(len(w.dirs))], w.name())
	switch w.n(8) {
	case 0, 1, 2, 3:
		if os.Mkdir(path, 0o755) == nil {
			w.dirs = append(w.dirs, path)
		}
	case 4:
		_ = os.WriteFile(path, nil, 0o644) // what is there already may stay
		mayMark(path, "user.overlay.whiteout", "y")
	case 5:
		_ = os.Symlink(w.pick("../..", w.base+"/secret", "/", "b"), path)
	case 6:
		_ = os.WriteFile(path, []byte("low"), 0o644)
	case 7:
		_ = os.Link(filepath.Join(w.dirs[w.n(len(w.dirs))], w.name()), path)
	}
	switch w.n(3) {
	case 0:
		mayMark(path, w.pick("user.overlay.opaque", "user.overlay.whiteout", "user.overlay.redirect", "user.overlay.impure",
			"user.nixnfsd.origin", "user.nixnfsd.lowerlinks", "user.nixnfsd.hidden", "user.nixnfsd.names"),
			w.pick("y", "x", "", "zz", strings.Repeat("y", 300)))
	case 1:
		mayMark(path, "user.overlay.redirect", w.redirect())
		mayMark(filepath.Dir(path), "user.overlay.opaque", "x")
	}
}

func (w *wild) redirect() string {
	return w.pick("/a", "/b", "/a/b", "/c/a", "b", "..", "/..", "/../secret", "a/b", "", "/", "//", "/a/", ".", "/a/../b", "/\x00",
		"%2e%2e", "/%2e%2e/secret", "/%~"+storedLong("../../secret"), "/^a", strings.Repeat("/a", 2000), strings.Repeat("/b", 3000))
}

// mayMark marks what can be marked.
func mayMark(path, name, value string) { _ = unix.Lsetxattr(path, name, []byte(value), 0) }

// unplantNames takes marks off the lower layers' roots that say nothing of their names: such a
// layer is refused.
func (w *wild) unplantNames() {
	for _, dir := range w.options.Lowers {
		if n, err := unix.Getxattr(dir, "user.nixnfsd.names", make([]byte, 400)); err == nil && n != len("escaped") {
			_ = unix.Removexattr(dir, "user.nixnfsd.names")
		}
	}
}

// plantedKinds are what fsck may come to find for no other reason than what is in the layers.
func (w *wild) plantedKinds() []string {
	w.t.Helper()
	kinds := []string{"needless-mark", "unreadable", "foreign-name", "lost-name"}
	for _, o := range w.shownBelow() {
		if o.names > 1 && (o.IsDir() || o.Nlink == 1) { // by a redirect to where all can see: one cannot be told from a copy
			kinds = append(kinds, "shared-origin")
		}
		if !o.IsDir() && o.names < o.Nlink { // the rest are out of view, and nobody can remove the last
			kinds = append(kinds, "orphan-index", "hidden-leftover")
		}
	}
	return kinds
}

// shown is an object that clients see, and by how many names.
type shown struct {
	overlay.Attr
	names uint32
}

// shownBelow gives what the lower layers show under an upper of nothing.
func (w *wild) shownBelow() map[overlay.ID]shown {
	w.t.Helper()
	fresh := newTree(w.t, 0)
	fresh.options.Lowers = w.options.Lowers
	fresh.open()
	defer fresh.close()
	all := map[overlay.ID]shown{}
	for dirs := []overlay.ID{fresh.Root()}; len(dirs) > 0; dirs = dirs[1:] {
		var d overlay.Attr
		_, err := fresh.Readdir(worker, dirs[0], 0, true, &d, func(e *overlay.DirEntry) bool {
			if e.Attr == nil || string(e.Name) == "." || string(e.Name) == ".." {
				return true
			}
			before := all[e.Attr.ID].names
			all[e.Attr.ID] = shown{*e.Attr, before + 1}
			if e.Attr.IsDir() && before == 0 {
				dirs = append(dirs, e.Attr.ID)
			}
			return true
		})
		w.expected(nil, err)
	}
	return all
}

// client gives a name as clients make them, silly ones among them.
func (w *wild) client() []byte {
	if w.n(6) == 0 {
		return fmt.Appendf(nil, ".nfs%016x%08x", w.id().Fileid, 1)
	}
	return []byte(w.name())
}

func (w *wild) id() overlay.ID { return w.known[w.n(len(w.known))] }

func (w *wild) met(a *overlay.Attr, err error) {
	if err == nil && !slices.Contains(w.known, a.ID) {
		w.known = append(w.known, a.ID)
	}
}

// step does one operation.
func (w *wild) step() {
	w.t.Helper()
	var a, d overlay.Attr
	var c, c2 overlay.Change
	var err error
	dir, name := w.id(), w.client()
	switch w.n(11) {
	case 0, 1:
		_, err = w.Lookup(worker, dir, name, &a, &d)
		w.met(&a, err)
	case 2:
		err = w.listWild(dir)
	case 3:
		err = w.Mkdir(worker, dir, name, &overlay.SetAttr{}, &a, &c)
		w.met(&a, err)
	case 4, 5:
		err = w.Rename(worker, dir, name, w.id(), w.client(), &c, &c2)
	case 6:
		err = w.Rmdir(worker, dir, name, &c)
	case 7:
		err = w.Remove(worker, dir, name, &c)
	case 8:
		_, err = w.Link(worker, dir, w.id(), name, &a, &c)
	case 9:
		err = w.Setattr(worker, dir, &overlay.SetAttr{SetMode: true, Mode: []uint32{0o755, 0o700, 0}[w.n(3)]}, &c)
	case 10:
		if w.n(4) == 0 {
			w.reopen()
		}
		_, _, err = w.Read(worker, dir, make([]byte, 100), 0, &a)
	}
	w.expected(name, err)
}

// listWild looks at all names of a directory.
func (w *wild) listWild(dir overlay.ID) error {
	var d overlay.Attr
	_, err := w.Readdir(worker, dir, 0, true, &d, func(e *overlay.DirEntry) bool {
		name := string(e.Name)
		if name == "" || len(name) > 255 || strings.ContainsAny(name, "/\x00") || name == "secretfile" {
			w.t.Errorf("listed %q", name)
		}
		if e.Attr != nil {
			w.met(e.Attr, nil)
		}
		return true
	})
	return err
}

// expected complains of errors that a client cannot make anything of.
func (w *wild) expected(name []byte, err error) {
	w.t.Helper()
	switch err {
	case nil, syscall.ENOTSUP, syscall.EMLINK, syscall.ENOENT, syscall.ESTALE, syscall.EEXIST, syscall.ENOTDIR, syscall.EISDIR,
		syscall.ENOTEMPTY, syscall.EINVAL, syscall.EPERM, syscall.EACCES, syscall.ENAMETOOLONG, overlay.ErrBadType:
		return
	}
	w.t.Errorf("%.20q: %v", name, err)
}

// checkFsck finds nothing but what was planted, and nothing after it was mended.
func (w *wild) checkFsck() {
	w.t.Helper()
	look := func(repair bool) (found []string) {
		err := overlay.Fsck(w.t.Context(), w.options, repair, func(p overlay.Problem) {
			if p.Err != nil || !slices.Contains(w.planted, p.Kind) {
				found = append(found, fmt.Sprint(p.Kind, " ", strings.TrimPrefix(p.Path, w.base), " ", p.What, " ", p.Err))
			}
		})
		if err != nil && !(repair && strings.Contains(err.Error(), "is empty")) {
			w.t.Errorf("fsck: %v", err)
		}
		return found
	}
	for _, repair := range []bool{false, true, false} {
		if found := look(repair); len(found) > 0 {
			w.t.Errorf("fsck, repair %v, found %q", repair, found)
		}
	}
}

func (w *wild) checkSecret() {
	w.t.Helper()
	dir := filepath.Join(w.base, "secret")
	b, err := os.ReadFile(filepath.Join(dir, "secretfile"))
	entries, err2 := os.ReadDir(dir)
	if string(b) != "secret" || len(entries) != 1 || err != nil || err2 != nil {
		w.t.Errorf("outside there are %q and %v: %v, %v", b, entries, err, err2)
	}
}

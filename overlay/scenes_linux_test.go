package overlay_test

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/nixnfsd/nixnfsd/overlay"
)

// scene is an operation on a certain state of the layers.
type scene struct {
	name   string
	lowers int                         // it needs at least so many
	layers func(d *disk)               // makes what is in the layers
	before func(tr *tree)              // is done through the overlay first; may be nil
	op     func(tr *tree) func() error // finds what the operation is about, and gives it
	// parts says that the operation sets several attributes, each by itself.
	parts bool
	// again says that the operation may be sent once more after it was done.
	again bool
}

// where says which layers have an object.
type where string

const (
	up   where = "upper"
	low  where = "lower"  // the lowest
	both where = "merged" // all
)

// lowersFor is how many lower directories it takes.
func lowersFor(at ...where) int {
	for _, w := range at {
		if w != up {
			return 1
		}
	}
	return 0
}

// disk is the layers of a scene, the upper first.
type disk struct {
	t    *testing.T
	dirs []string
}

func (d *disk) layersOf(at where) []string {
	switch at {
	case up:
		return d.dirs[:1]
	case low:
		return d.dirs[len(d.dirs)-1:]
	}
	return d.dirs
}

// put makes an object: what "empty" and "tree" are directories of, "file", "linked"
// (a file with three names), "symlink" or "fifo".
func (d *disk) put(at where, kind, name string) {
	for _, layer := range d.layersOf(at) {
		if err := putIn(layer, kind, name); err != nil {
			d.t.Fatal(err)
		}
	}
}

func putIn(layer, kind, name string) error {
	full := filepath.Join(layer, name)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		return err
	}
	switch kind {
	case "empty":
		return os.Mkdir(full, 0o750)
	case "tree":
		if err := putIn(layer, "file", name+"/f"); err != nil {
			return err
		}
		return putIn(layer, "file", name+"/sub/g")
	case "symlink":
		return os.Symlink("to", full)
	case "fifo":
		return syscall.Mkfifo(full, 0o640)
	}
	if err := putFile(full, filepath.Base(layer)); err != nil || kind != "linked" {
		return err
	}
	if err := os.Link(full, full+".2"); err != nil {
		return err
	}
	return os.Link(full, filepath.Join(layer, "third"))
}

func putFile(path, data string) error {
	if err := os.WriteFile(path, []byte("of "+data), 0o640); err != nil {
		return err
	}
	return os.Chtimes(path, fixedTime, fixedTime)
}

// scenes gives every mutating operation on every state of the layers that it could
// matter for.
func scenes() (all []scene) {
	for _, group := range [][]scene{removals(), makings(), links(), renames(), sillyRenames(), settings(), writes()} {
		all = append(all, group...)
	}
	return all
}

var everywhere = []where{up, low, both}

// layersWith makes a directory d with the object x, and what else is in d below.
func layersWith(at where, kind string) func(d *disk) {
	return func(d *disk) {
		d.put(at, kind, "d/x")
		d.put(low, "file", "d/sibling")
	}
}

func removals() (all []scene) {
	for _, at := range everywhere {
		for _, kind := range []string{"file", "linked", "symlink", "fifo"} {
			all = append(all, scene{
				name: fmt.Sprintf("remove %s %s", at, kind), lowers: lowersFor(at),
				layers: layersWith(at, kind), op: remove("d", "x"),
			})
		}
		all = append(all, scene{
			name: fmt.Sprintf("rmdir %s", at), lowers: lowersFor(at),
			layers: layersWith(at, "empty"), op: rmdir("d", "x"),
		}, scene{
			name: fmt.Sprintf("rmdir %s, emptied", at), lowers: lowersFor(at),
			layers: func(d *disk) { d.put(at, "file", "d/x/inside"); d.put(low, "file", "d/sibling") },
			before: removed("d", "x", "inside"), op: rmdir("d", "x"),
		})
	}
	return all
}

// places are the states of a name that something is about to be made under.
func places() (all []scene) {
	for _, at := range []where{up, low} {
		all = append(all, scene{
			name: fmt.Sprintf("in %s directory", at), lowers: lowersFor(at),
			layers: func(d *disk) { d.put(at, "file", "d/sibling") },
		})
	}
	for _, at := range []where{low, both} {
		all = append(all, scene{
			name: fmt.Sprintf("over whiteout of %s file", at), lowers: 1,
			layers: layersWith(at, "file"), before: removed("d", "x"),
		})
	}
	return all
}

func makings() (all []scene) {
	mode := overlay.SetAttr{SetMode: true, Mode: 0o604}
	full := mode
	full.SetSize, full.Size = true, 5
	full.SetMtime, full.Mtime = overlay.ClientTime, overlay.Time{Sec: 1e9}
	if os.Getuid() == 0 {
		full.SetUID, full.UID, full.SetGID, full.GID = true, 1000, true, 1000
	}
	ops := []struct {
		name string
		make func(tr *tree, dir overlay.ID, name []byte, a *overlay.Attr, w *overlay.Change) error
	}{
		{"create unchecked", creating(overlay.CreateHow{Mode: overlay.Unchecked, Attr: mode})},
		{"create guarded with all attributes", creating(overlay.CreateHow{Mode: overlay.Guarded, Attr: full})},
		{"create exclusive", creating(overlay.CreateHow{Mode: overlay.Exclusive, Verifier: [8]byte{1, 2, 3, 4, 5, 6, 7, 8}})},
		{"mkdir", func(tr *tree, dir overlay.ID, name []byte, a *overlay.Attr, w *overlay.Change) error {
			return tr.Mkdir(worker, dir, name, &mode, a, w)
		}},
		{"mkdir with owner", func(tr *tree, dir overlay.ID, name []byte, a *overlay.Attr, w *overlay.Change) error {
			s := full
			s.SetSize = false
			return tr.Mkdir(worker, dir, name, &s, a, w)
		}},
		{"symlink", func(tr *tree, dir overlay.ID, name []byte, a *overlay.Attr, w *overlay.Change) error {
			return tr.Symlink(worker, dir, name, []byte("target"), &overlay.SetAttr{}, a, w)
		}},
		{"mknod", func(tr *tree, dir overlay.ID, name []byte, a *overlay.Attr, w *overlay.Change) error {
			return tr.Mknod(worker, dir, name, overlay.ModeFIFO, 0, 0, &mode, a, w)
		}},
	}
	for _, op := range ops {
		for _, sc := range places() {
			sc.name, sc.again = op.name+" "+sc.name, op.name == "create exclusive"
			sc.op = func(tr *tree) func() error {
				dir := tr.walk("d").ID
				return func() error { return op.make(tr, dir, []byte("x"), new(overlay.Attr), new(overlay.Change)) }
			}
			all = append(all, sc)
		}
	}
	return all
}

func creating(how overlay.CreateHow) func(tr *tree, dir overlay.ID, name []byte, a *overlay.Attr, w *overlay.Change) error {
	return func(tr *tree, dir overlay.ID, name []byte, a *overlay.Attr, w *overlay.Change) error {
		return tr.Create(worker, dir, name, &how, a, w)
	}
}

func links() (all []scene) {
	sources := []struct {
		at   where
		kind string
	}{{up, "file"}, {low, "file"}, {both, "file"}, {low, "linked"}, {low, "symlink"}}
	for _, source := range sources {
		for _, sc := range places() {
			layers := sc.layers
			sc.name = fmt.Sprintf("link %s %s %s", source.at, source.kind, sc.name)
			sc.lowers = max(sc.lowers, lowersFor(source.at))
			sc.layers = func(d *disk) { layers(d); d.put(source.at, source.kind, "source") }
			sc.op = func(tr *tree) func() error {
				id, dir := tr.walk("source").ID, tr.walk("d").ID
				return func() error {
					_, err := tr.Link(worker, id, dir, []byte("x"), new(overlay.Attr), new(overlay.Change))
					return err
				}
			}
			all = append(all, sc)
		}
	}
	return all
}

// shape is what a rename finds under the new name.
type shape struct {
	kind string // "" nothing, "whiteout", "emptied", else as of disk.put
	at   where
}

func (s shape) String() string {
	if s.kind == "" {
		return "a free name"
	}
	return fmt.Sprintf("%s %s", s.at, s.kind)
}

func renames() (all []scene) {
	for _, at := range everywhere {
		for _, kind := range []string{"file", "linked", "symlink", "fifo", "empty", "tree"} {
			all = append(all, renaming(at, kind, shape{}, "d"), renaming(at, kind, shape{}, "e"))
		}
		for _, kind := range []string{"file", "tree"} {
			all = append(all, renaming(at, kind, shape{"whiteout", low}, "d"), renaming(at, kind, shape{"whiteout", both}, "e"))
		}
		for _, over := range everywhere {
			all = append(all, renaming(at, "file", shape{"file", over}, "d"), renaming(at, "tree", shape{"empty", over}, "d"),
				renaming(at, "linked", shape{"file", over}, "e"), renaming(at, "file", shape{"linked", over}, "d"))
		}
		for _, over := range []where{low, both} {
			all = append(all, renaming(at, "tree", shape{"emptied", over}, "e"))
		}
	}
	return all
}

// renaming is the rename of d/x to y in d or e.
func renaming(at where, kind string, over shape, to string) scene {
	sc := scene{
		name: fmt.Sprintf("rename %s %s to %s in %s", at, kind, over, to), lowers: lowersFor(at, over.at),
		layers: func(d *disk) {
			layersWith(at, kind)(d)
			d.put(low, "file", "e/sibling")
			over.put(d, to+"/y")
		},
		op: rename(to),
	}
	if over.kind == "" {
		sc.lowers = lowersFor(at)
	}
	switch over.kind {
	case "whiteout":
		sc.before = removed(to, "y")
	case "emptied":
		sc.before = removed(to, "y", "inside")
	}
	return sc
}

func (s shape) put(d *disk, name string) {
	switch s.kind {
	case "":
	case "whiteout":
		d.put(s.at, "file", name)
	case "emptied":
		d.put(s.at, "file", name+"/inside")
	case "linked": // another file than the one that is renamed
		for _, layer := range d.layersOf(s.at) {
			full := filepath.Join(layer, name)
			if err := putIn(layer, "file", name); err != nil {
				d.t.Fatal(err)
			}
			if err := os.Link(full, full+".2"); err != nil {
				d.t.Fatal(err)
			}
		}
	default:
		d.put(s.at, s.kind, name)
	}
}

func settings() (all []scene) {
	full := overlay.SetAttr{SetMode: true, Mode: 0o600, SetSize: true, Size: 2, SetMtime: overlay.ClientTime, Mtime: overlay.Time{Sec: 1e9 + 7}}
	if os.Getuid() == 0 {
		full.SetUID, full.UID, full.SetGID, full.GID = true, 1000, true, 1000
	}
	sets := []struct {
		name  string
		set   overlay.SetAttr
		kinds []string
	}{
		{"mode", overlay.SetAttr{SetMode: true, Mode: 0o705}, []string{"file", "linked", "fifo", "tree"}},
		{"owner", overlay.SetAttr{SetUID: full.SetUID, UID: 1000}, []string{"file", "symlink"}},
		{"size", overlay.SetAttr{SetSize: true, Size: 1}, []string{"file", "linked"}},
		{"times", overlay.SetAttr{SetMtime: overlay.ClientTime, Mtime: overlay.Time{Sec: 1e9 + 7}}, []string{"file", "symlink", "tree"}},
		{"everything", full, []string{"file"}},
	}
	for _, s := range sets {
		for _, kind := range s.kinds {
			for _, at := range everywhere {
				all = append(all, scene{
					name: fmt.Sprintf("set %s of %s %s", s.name, at, kind), lowers: lowersFor(at),
					layers: layersWith(at, kind), op: set(s.set), parts: s.name == "everything",
				})
			}
		}
	}
	return all
}

func set(s overlay.SetAttr) func(tr *tree) func() error {
	return func(tr *tree) func() error {
		id := tr.walk("d", "x").ID
		return func() error { return tr.Setattr(worker, id, &s, new(overlay.Change)) }
	}
}

func writes() (all []scene) {
	for _, at := range everywhere {
		for _, kind := range []string{"file", "linked"} {
			all = append(all, scene{
				name: fmt.Sprintf("write %s %s", at, kind), lowers: lowersFor(at), layers: layersWith(at, kind),
				op: func(tr *tree) func() error {
					id := tr.walk("d", "x").ID
					return func() error {
						return tr.Write(worker, id, []byte("new data"), 1, overlay.FileSync, new(overlay.Change))
					}
				},
			})
		}
		all = append(all, scene{
			name: fmt.Sprintf("create over %s file", at), lowers: lowersFor(at), layers: layersWith(at, "file"),
			op: func(tr *tree) func() error {
				dir := tr.walk("d").ID
				how := overlay.CreateHow{Mode: overlay.Unchecked, Attr: overlay.SetAttr{SetSize: true}}
				return func() error {
					return tr.Create(worker, dir, []byte("x"), &how, new(overlay.Attr), new(overlay.Change))
				}
			},
		})
	}
	return all
}

func remove(dir, name string) func(tr *tree) func() error {
	return func(tr *tree) func() error {
		id := tr.walk(dir).ID
		return func() error { return tr.Remove(worker, id, []byte(name), new(overlay.Change)) }
	}
}

func rmdir(dir, name string) func(tr *tree) func() error {
	return func(tr *tree) func() error {
		id := tr.walk(dir).ID
		return func() error { return tr.Rmdir(worker, id, []byte(name), new(overlay.Change)) }
	}
}

func rename(to string) func(tr *tree) func() error {
	return func(tr *tree) func() error {
		from, to := tr.walk("d").ID, tr.walk(to).ID
		return func() error {
			return tr.Rename(worker, from, []byte("x"), to, []byte("y"), new(overlay.Change), new(overlay.Change))
		}
	}
}

// removed removes a file beforehand.
func removed(names ...string) func(tr *tree) {
	return func(tr *tree) {
		dir, last := names[:len(names)-1], names[len(names)-1]
		if err := tr.Remove(worker, tr.walk(dir...).ID, []byte(last), new(overlay.Change)); err != nil {
			tr.t.Fatal(err)
		}
	}
}

package du

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

const (
	// workers wait for the disk more than they work.
	workers = 8
	// batch is how many names are read at once.
	batch = 1024
	// block is what st_blocks counts in, whatever the file system does.
	block = 512
	// store is the directory of the export whose entries count each by itself.
	store = "store"
	// farm is where Nix keeps a name of each file that it has optimised.
	farm = "store/.links"
)

// each is the entry of a directory whose names are entries.
const each = -1

// task is a directory to read.
type task struct {
	path  string // in the layer
	entry int    // that it belongs to, or each
}

// walker counts one layer. Directories to read are a stack, so that those beneath one come before its
// neighbours, and few are waiting.
type walker struct {
	ctx   context.Context
	opts  *Options
	tally *tally
	layer int
	dir   string // of the layer
	root  int    // its descriptor
	dev   uint64 // of directories: others are not entered. In an overlayfs files may have others
	self  int    // the entry "."
	farm  int    // the entry of Nix's links, which there may be none of

	mu    sync.Mutex
	wake  sync.Cond
	stack []task
	busy  int
}

// countLayer counts one layer.
func countLayer(ctx context.Context, o *Options, t *tally, layer int, dir string) error {
	root, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	defer unix.Close(root)
	var st unix.Stat_t
	if err := unix.Fstatat(root, o.Path, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return &fs.PathError{Op: "stat", Path: path.Join(dir, o.Path), Err: err}
	}
	t.begin()
	w := &walker{
		ctx: ctx, opts: o, tally: t, layer: layer, dir: dir, root: root,
		dev: uint64(st.Dev), self: t.entry("."), farm: t.entry(nameOf(farm, o.Path)),
	}
	w.wake.L = &w.mu
	t.add(layer, w.self, blocks(&st))
	t.saw(layer, 1)
	if isDir(&st) {
		w.stack = []task{{o.Path, each}}
		w.walk()
	}
	return ctx.Err()
}

func blocks(st *unix.Stat_t) uint64 { return uint64(st.Blocks) * block }

func isDir(st *unix.Stat_t) bool { return st.Mode&unix.S_IFMT == unix.S_IFDIR }

// walk reads all directories.
func (w *walker) walk() {
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for {
				t, ok := w.next()
				if !ok {
					return
				}
				w.read(t)
				w.done()
			}
		})
	}
	wg.Wait()
}

// next waits for a directory to read; there is none any more when nobody reads one.
func (w *walker) next() (task, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.stack) == 0 && w.busy > 0 {
		w.wake.Wait()
	}
	last := len(w.stack) - 1
	if last < 0 || w.ctx.Err() != nil {
		w.wake.Broadcast()
		return task{}, false
	}
	t := w.stack[last]
	w.stack = w.stack[:last]
	w.busy++
	return t, true
}

func (w *walker) done() {
	w.mu.Lock()
	w.busy--
	w.mu.Unlock()
	w.wake.Broadcast()
}

func (w *walker) push(dirs []task) {
	if len(dirs) == 0 {
		return
	}
	w.mu.Lock()
	w.stack = append(w.stack, dirs...)
	w.mu.Unlock()
	w.wake.Broadcast()
}

// read counts what is in a directory.
func (w *walker) read(t task) {
	fd, err := unix.Openat(w.root, t.path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		w.missed(t, err)
		return
	}
	f := os.NewFile(uintptr(fd), t.path)
	defer f.Close()
	for w.ctx.Err() == nil {
		names, err := f.Readdirnames(batch)
		w.count(t, fd, names)
		if err == io.EOF {
			return
		}
		if err != nil {
			w.missed(t, err)
			return
		}
	}
}

// missed notes a directory that is there and cannot be read.
func (w *walker) missed(t task, err error) {
	if !errors.Is(err, fs.ErrNotExist) {
		w.tally.miss(path.Join(w.dir, t.path))
	}
}

// count counts names of a directory.
func (w *walker) count(t task, fd int, names []string) {
	var bytes uint64 // of the directory's own entry
	var about uint64 // of all, where each name of a file has its part
	var links []link
	var dirs []task
	seen := 0
	for _, name := range names {
		var st unix.Stat_t
		if unix.Fstatat(fd, name, &st, unix.AT_SYMLINK_NOFOLLOW) != nil {
			continue // removed meanwhile
		}
		seen++
		about += blocks(&st) / max(uint64(st.Nlink), 1)
		child := w.child(t, name, &st)
		switch {
		case isDir(&st) && uint64(st.Dev) != w.dev:
			continue
		case isDir(&st):
			dirs = append(dirs, child)
		case st.Nlink > 1:
			links = append(links, link{inode{uint64(st.Dev), st.Ino}, claim{child.entry, blocks(&st)}})
			continue
		}
		if child.entry == t.entry {
			bytes += blocks(&st)
		} else {
			w.tally.add(w.layer, child.entry, blocks(&st))
		}
	}
	w.tally.add(w.layer, w.entryOf(t), bytes)
	w.tally.addLinks(w.layer, links, w.farm)
	w.tally.saw(w.layer, seen)
	w.opts.Seen(seen, about)
	w.push(dirs)
}

// entryOf is the entry that a directory's own blocks count for.
func (w *walker) entryOf(t task) int {
	if t.entry == each {
		return w.self
	}
	return t.entry
}

// child is a name as a task, with an entry of its own where it stands by itself. Without one a file
// has no need of a path.
func (w *walker) child(t task, name string, st *unix.Stat_t) task {
	if t.entry != each && !isDir(st) {
		return task{entry: t.entry}
	}
	c := task{path.Join(t.path, name), t.entry}
	if t.entry == each && (c.path != store || !isDir(st)) {
		c.entry = w.tally.entry(nameOf(c.path, w.opts.Path))
	}
	return c
}

// nameOf is a path in a layer, relative to another, which it lies in.
func nameOf(path, above string) string {
	if above == "." {
		return path
	}
	return strings.TrimPrefix(path, above+"/")
}

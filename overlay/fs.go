package overlay

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/dchest/siphash"
	"golang.org/x/sys/unix"
)

// FS is an open overlay. All its methods are safe for concurrent use.
type FS struct {
	layers   []layer
	readOnly bool
	warn     func(error)
	uid, gid uint32 // that the process runs as
	// marked is set when the layers can hold overlayfs's marks: there are lower
	// directories, or once were.
	marked bool
	// escaped is set when the upper holds stored names, and so all names inside are.
	escaped bool
	long    longNames
	// coarse is set when the upper keeps whole seconds.
	coarse bool
	// stepwise is set when the upper cannot exchange names, and so whiteouts and objects
	// change places in several steps; swapping is held meanwhile.
	stepwise bool
	swapping sync.Mutex

	root  *node
	work  *node // the work directory, a parent of what is half made
	index *node // links to copied-up files that had several names

	nodes   *nodeTable
	origins *originCache
	indexed indexSet
	hidden  hiddenNames
	silly   sillyNames
	files   *fileCache
	lists   listCache
	dirents direntBuffers
	gathers gathers
	young   youngFiles
	copies  copyUps
	tallies tallies
	belows  *belowIndexes
	journal *journal
	// modes are held, by inode numbers, while modes change: what is widened for a moment must
	// not be taken for the mode that was set, nor be put back over a new one.
	modes numberLocks
	// counts are held, by fileids, while the lower names of a file change that has several.
	counts numberLocks
	// epoch counts the refreshes; refreshing is held by each.
	epoch      atomic.Uint64
	refreshing sync.Mutex
	// refreshed is when the last one ended; nil before that, and during one.
	refreshed atomic.Pointer[Time]
	// moving is held by renames from one directory into another, and by links while they
	// lock two, so that the tree's shape is steady meanwhile. Over lower layers all renames
	// hold it, so that an intent's paths are good until its end.
	moving sync.Mutex

	losses   atomic.Uint64 // see Losses
	tmp      atomic.Uint64 // names in the work directory
	noNowait atomic.Bool   // the upper cannot tell whether a read would wait
	locks    []*os.File    // that keep other servers away
	// inherited are the locks of a predecessor.
	inherited []*os.File
}

// hashKey0 and hashKey1 only have to be the same at every start.
const hashKey0, hashKey1 = 0x6e69786e66736431, 0x6f7665726c617921

func hashBytes(b []byte) uint64 { return siphash.Hash(hashKey0, hashKey1, b) }

// Open opens an overlay. It holds locks on its directories but the lower ones until
// Close; another holder gives a *LockedError, a directory that cannot serve as what it
// was given an *UnfitError.
func Open(o Options) (*FS, error) {
	o.setDefaults()
	fs := newFS(&o)
	err := fs.open(&o)
	if err != nil {
		return nil, errors.Join(err, fs.Close())
	}
	return fs, nil
}

func newFS(o *Options) *FS {
	return &FS{
		readOnly: o.ReadOnly, warn: o.Warn, inherited: o.Locks, nodes: newNodeTable(o.MaxNodes), origins: newOriginCache(),
		files: newFileCache(maxOpen(o.MaxOpen)), belows: newBelowIndexes(),
		uid: uint32(os.Geteuid()), gid: uint32(os.Getegid()),
	}
}

func (fs *FS) open(o *Options) error {
	if len(o.Lowers) > maxLowers {
		return fmt.Errorf("%d lower directories are more than the %d that can be served", len(o.Lowers), maxLowers)
	}
	if err := fs.lock(o.Upper); err != nil {
		return err
	}
	if err := fs.openLayers(append([]string{o.Upper}, o.Lowers...)); err != nil {
		return err
	}
	if err := fs.openWork(o); err != nil {
		return err
	}
	if err := fs.finishCounts(o.Work); err != nil {
		return err
	}
	if err := fs.numberLayers(o.Work); err != nil {
		return err
	}
	if err := fs.keepLowers(o); err != nil {
		return err
	}
	if err := fs.checkNames(o); err != nil {
		return err
	}
	if err := fs.checkMarks(o); err != nil {
		return err
	}
	if err := fs.openRoot(); err != nil {
		return err
	}
	if err := fs.openState(o); err != nil {
		return err
	}
	defer leave(fs.enter(fs.root.id))
	if err := fs.loadSilly(); err != nil {
		return err
	}
	return fs.finishRename(o.Work)
}

// maxLowers leaves a layer's number room in a byte.
const maxLowers = 200

// maxOpen bounds the cache of descriptors.
func maxOpen(limit int) int {
	if limit > 0 {
		return limit
	}
	var r unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &r) != nil {
		return 64
	}
	return int(max(64, min(r.Cur/2, 4096)))
}

// lock takes a directory for this process alone, until Close.
func (fs *FS) lock(dir string) error {
	f, err := openDirectory(dir)
	if err == nil {
		f, err = fs.inherit(f)
	}
	if err != nil {
		return err
	}
	fs.locks = append(fs.locks, f)
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == unix.EWOULDBLOCK {
		return &LockedError{Dir: dir, PID: lockHolder(f)}
	}
	if err != nil {
		return &UnfitError{Dir: dir, Reason: "cannot be locked", Err: err}
	}
	return nil
}

func openDirectory(dir string) (*os.File, error) {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err == syscall.ENOTDIR {
		return nil, &UnfitError{Dir: dir, Reason: "is not a directory", Mend: "give a directory"}
	}
	if err != nil {
		return nil, &UnfitError{Dir: dir, Reason: "cannot be opened", Err: err}
	}
	return os.NewFile(uintptr(fd), dir), nil
}

// openLayers opens the layers' roots.
func (fs *FS) openLayers(dirs []string) error {
	root := &stack{steady: true}
	fs.root = newNode(ID{}, ModeDir)
	fs.root.places.Store(&place{name: "\x00"})
	fs.root.dir.stack.Store(root)
	for i, dir := range dirs {
		f, err := openDirectory(dir)
		if err != nil {
			return err
		}
		var st sysStat
		fd, err := unix.Dup(int(f.Fd()))
		if err == nil {
			unix.CloseOnExec(fd)
			err = sysFstat(fd, &st)
		}
		f.Close()
		if err != nil {
			return &UnfitError{Dir: dir, Reason: "cannot be examined", Err: err}
		}
		fs.layers = append(fs.layers, layer{path: dir, dev: st.dev, hfsplus: sysIsHFSPlus(fd)})
		root.parts = append(root.parts, stackPart{layer: i, dir: pinnedSlot(fd)})
	}
	return nil
}

// pinnedSlot holds a descriptor that stays open: the cache does not know of it.
func pinnedSlot(fd int) *partDir {
	s := new(partDir)
	s.p.Store(newOpenFile(fd, false))
	return s
}

// outsideDir makes a node for a directory outside the merged tree.
func outsideDir(dir string) (*node, error) {
	f, err := openDirectory(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	fd, err := unix.Dup(int(f.Fd()))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", dir, err)
	}
	unix.CloseOnExec(fd)
	n := newNode(ID{}, ModeDir)
	n.places.Store(&place{name: "\x00"})
	n.dir.stack.Store(&stack{steady: true, parts: []stackPart{{dir: pinnedSlot(fd)}}})
	return n, nil
}

// openRoot gives the root its ID: that of the upper's root directory.
func (fs *FS) openRoot() error {
	var st sysStat
	part := &fs.root.dir.stack.Load().parts[0]
	dir, err := fs.partDir(fs.root, part)
	if err != nil {
		return err
	}
	defer dir.release()
	if err := sysFstat(dir.fd, &st); err != nil {
		return err
	}
	fs.root.id = fs.identity(0, &st)
	s := fs.nodes.shard(fs.root.id.Fileid)
	s.m[fs.root.id] = fs.root
	roots := fs.root.dir.stack.Load()
	if err := fs.lookAtRoots(roots); err != nil {
		return err
	}
	roots.compare(nil)
	return nil
}

// readRootMarks puts the marks of the layers' roots into a stack that is not in use yet.
func (fs *FS) readRootMarks(s *stack) error {
	if !fs.marked {
		return nil
	}
	for i := range s.parts {
		part := &s.parts[i]
		dir, err := fs.partDir(fs.root, part)
		if err != nil {
			return err
		}
		marks, err := fs.readDirMarks(part.layer, dirTarget(dir.fd))
		dir.release()
		if err != nil {
			return err
		}
		part.whiteouts, part.impure = marks.whiteouts, marks.impure
	}
	return nil
}

// Close closes the overlay and gives up the lock.
func (fs *FS) Close() error {
	fs.belows.close()
	fs.keepAllTimes()
	err := fs.journal.close()
	fs.young.closeAll()
	fs.files.shrink()
	for _, n := range []*node{fs.root, fs.work, fs.index, fs.silly.dir} {
		if n == nil {
			continue
		}
		for i := range n.dir.stack.Load().parts {
			n.dir.stack.Load().parts[i].dir.drop()
		}
	}
	return errors.Join(err, closeAll(fs.locks))
}

// Root names the root directory.
func (fs *FS) Root() ID { return fs.root.id }

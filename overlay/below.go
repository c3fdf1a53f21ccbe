package overlay

import (
	"errors"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// belowIndex says in which lower layer of a directory a name is found first. With it a
// look-up looks into one lower layer, however many there are. It is made of a directory in
// which many names were looked up, and is only a hint: a name that it knows is still
// looked at, in that layer and the ones below.
type belowIndex struct {
	epoch uint64
	// first has the number of the first layer for the hash of each name.
	first map[uint64]uint8
	// ctimes are of the directory's lower parts, from before their names were read.
	ctimes []Time
	// checked is when they were compared last, in nanoseconds of belowIndexes.clock.
	checked atomic.Int64
}

const (
	// belowWorth is how many look-ups in lower layers are worth to read all their names.
	belowWorth = 100
	// minParts is how many parts a directory has to have: with the upper and one lower
	// there is nothing to leave out.
	minParts = 3
	// maxBelow bounds the names in all indexes: some 20 bytes each.
	maxBelow = 1 << 20
	// belowTrust is how long a change of a lower layer behind the server may stay unseen.
	belowTrust = time.Second
	// noLayer is behind all layers.
	noLayer = math.MaxInt
)

var errBelowFull = errors.New("no room for more names of lower layers")

// belowState is what a directory has for its index.
type belowState struct {
	index    atomic.Pointer[belowIndex]
	lookups  atomic.Uint32 // in lower layers, without an index
	building atomic.Bool
}

// belowIndexes are what all indexes have in common.
type belowIndexes struct {
	names   atomic.Int64 // in all of them
	work    sync.WaitGroup
	started time.Time
	closed  atomic.Bool
}

// close ends what is being made.
func (b *belowIndexes) close() {
	b.closed.Store(true)
	b.work.Wait()
}

func newBelowIndexes() *belowIndexes { return &belowIndexes{started: time.Now()} }

// clock is the time since the overlay was opened: a machine's clock that is set back
// does not make an index good for longer.
func (b *belowIndexes) clock() int64 { return int64(time.Since(b.started)) }

// firstBelow gives the first lower layer that can have a name.
func (fs *FS) firstBelow(d *node, s *stack, name *byte) int {
	if len(s.parts) < minParts {
		return 1
	}
	b := &d.dir.below
	index := b.index.Load()
	if index == nil || !fs.holds(index, d, s) {
		if b.lookups.Add(1) >= belowWorth && b.building.CompareAndSwap(false, true) {
			under := fs.enter(d.id)
			fs.belows.work.Go(func() {
				defer leave(under)
				fs.buildBelow(d, s)
			})
		}
		return 1
	}
	if layer, ok := index.first[hashBytes(nameBytes(name))]; ok {
		return int(layer)
	}
	return noLayer
}

// holds reports whether an index still says what the layers have.
func (fs *FS) holds(index *belowIndex, d *node, s *stack) bool {
	if index.epoch != fs.epoch.Load() {
		return false
	}
	now := fs.belows.clock()
	if now-index.checked.Load() < int64(belowTrust) {
		return true
	}
	ctimes, err := fs.lowerTimes(d, s)
	if err != nil || !slices.Equal(ctimes, index.ctimes) {
		return false
	}
	index.checked.Store(now)
	return true
}

// lowerTimes gives when the names of each lower part changed last.
func (fs *FS) lowerTimes(d *node, s *stack) ([]Time, error) {
	var ctimes []Time
	for i := range s.parts {
		part := &s.parts[i]
		if part.layer == 0 {
			continue
		}
		dir, err := fs.partDir(d, part)
		if err != nil {
			return nil, err
		}
		var st sysStat
		err = sysFstat(dir.fd, &st)
		dir.release()
		if err != nil {
			return nil, err
		}
		ctimes = append(ctimes, st.ctime)
	}
	return ctimes, nil
}

// buildBelow makes the index of a directory anew. Without room or names there is none.
func (fs *FS) buildBelow(d *node, s *stack) {
	b := &d.dir.below
	defer b.building.Store(false)
	b.lookups.Store(0)
	fs.setBelow(d, nil)
	index := &belowIndex{epoch: s.epoch, first: map[uint64]uint8{}}
	if s.steady {
		index.epoch = fs.epoch.Load()
	}
	index.checked.Store(fs.belows.clock())
	var err error
	index.ctimes, err = fs.lowerTimes(d, s)
	if err != nil || slices.ContainsFunc(index.ctimes, inThisTick) { // not to be told from a later change
		return
	}
	for i := range s.parts {
		if err := index.read(fs, d, &s.parts[i]); err != nil {
			return
		}
	}
	fs.setBelow(d, index)
	if d.places.Load() == nil { // removed since: nobody else would give it back
		fs.setBelow(d, nil)
	}
}

// read adds the names of one lower part, in the form that find is given.
func (x *belowIndex) read(fs *FS, d *node, part *stackPart) error {
	if part.layer == 0 {
		return nil
	}
	return fs.listPart(d, part, func(_ int, _ uint64, _ uint8, disk []byte) error {
		name, err := fs.inside(part.layer, disk)
		hash := hashBytes(name)
		if _, known := x.first[hash]; known || name == nil {
			return err
		}
		if fs.belows.names.Load()+int64(len(x.first)) >= maxBelow || fs.belows.closed.Load() {
			return errBelowFull
		}
		x.first[hash] = uint8(part.layer)
		return nil
	})
}

// setBelow replaces a directory's index.
func (fs *FS) setBelow(d *node, index *belowIndex) {
	if index != nil {
		fs.belows.names.Add(int64(len(index.first)))
	}
	if old := d.dir.below.index.Swap(index); old != nil {
		fs.belows.names.Add(-int64(len(old.first)))
	}
}

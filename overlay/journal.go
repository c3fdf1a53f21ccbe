package overlay

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/internal/bootid"
)

// journal remembers the places of all objects that clients have been told of, so that
// their handles resolve after a restart, and after their nodes were evicted. It is a log
// of records, in segments, and an index of it. Both are stored into through shared
// mappings of the files: a record is safe from the end of the process, kill -9
// too, as soon as it is stored, without a system call. The journal is of no use after
// the machine stopped, for no client outlives that: it starts anew then.
type journal struct {
	mu   sync.Mutex
	dir  string
	head []byte
	// segment is how long a segment is made.
	segment int64
	index   *journalIndex // nil: there is no journal
	last    *segment
	base    int64 // where in the log that begins
	// files are the segments by their numbers; the map does not change.
	files atomic.Pointer[map[int64]*segment]
	// mapped is held while records are read in mappings, and by who takes one away.
	mapped sync.RWMutex
	seen   atomic.Int32 // parts of the mappings that were touched
	// begin is where the log's first segment begins.
	begin atomic.Int64
	// counts are of the records about objects, by their hashes: who has read about
	// an object sees whether there can be more by now.
	counts [1 << 8]atomic.Uint32
	// asked is set when the journal may know of objects that are not in memory.
	asked atomic.Bool
	// origins is set when it has recOrigins.
	origins atomic.Bool
	// present gives the records of what is in memory.
	present func(put func(record))
	// err is why the journal is not kept any more.
	err     error
	refused int         // records, since the disk is full
	due     atomic.Bool // to look whether to compact
	tidying atomic.Bool // one goroutine compacts
	work    sync.WaitGroup
}

const (
	// journalName is the directory of the journal in the state directory.
	journalName = "places"
	// A segment's offset in the log is its number times segmentBytes; on a disk that is
	// nearly full it has room for smallSegment only.
	segmentBytes = 8 << 20
	smallSegment = 64 << 10
	firstSegment = 1
	// growStep is at how many more records to try again to make the index larger.
	growStep = 1 << 10
	// refusedStep is after how many records that a full disk had no room for to try again.
	refusedStep = 1 << 8
)

// journalHead is what the index starts with. Another head means another run of
// the kernel or another upper: what follows is of no use. Other lower directories do no
// harm: in which layer a place is, and whether it is still there, is found out again.
func journalHead(upper string) ([]byte, error) {
	boot, err := bootid.Get()
	if err != nil {
		return nil, err
	}
	b := []byte("nixnfsd places 3\n" + boot + "\n" + upper + "\n")
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], hashBytes(b))
	return append([]byte("nixnfsd2"), n[:]...), nil
}

// openJournal opens the journal in a state directory, or begins one. segment is how long its
// segments are; zero: segmentBytes. present gives the records of what is in memory, when the
// journal has to begin anew.
func openJournal(state, upper string, segment int64, present func(put func(record))) (*journal, error) {
	if segment == 0 {
		segment = segmentBytes
	}
	head, err := journalHead(upper)
	if err != nil {
		return nil, err
	}
	j := &journal{dir: filepath.Join(state, journalName), head: head, segment: segment, present: present}
	index, err := openIndex(j.dir, j.head)
	if err != nil {
		return nil, fmt.Errorf("open the places of known objects: %w", err)
	}
	ok := false
	if j.index = index; index != nil {
		ok, err = j.openLog()
	}
	if err == nil && !ok {
		err = errors.Join(j.discard(), j.beginAnew())
	}
	if isFull(err) {
		// The store has to be served all the same, or nobody could remove anything from it.
		j.err, err = err, nil
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("begin the places of known objects: %w", err), j.close())
	}
	return j, nil
}

// makeJournalDir makes the journal's directory. The journal was a file once; of an earlier
// server's nothing is of use.
func makeJournalDir(dir string) error {
	if info, err := os.Lstat(dir); err == nil && info.Mode().IsRegular() {
		if err := os.Remove(dir); err != nil {
			return err
		}
	}
	return os.MkdirAll(dir, 0o700)
}

// beginAnew replaces the journal by one of what is in memory. Nothing is synced: after a
// power cut it is of no use.
func (j *journal) beginAnew() error {
	if err := makeJournalDir(j.dir); err != nil {
		return err
	}
	first := int64(firstSegment)
	if numbers, err := segmentNumbers(j.dir); err != nil {
		return err
	} else if len(numbers) > 0 {
		first = numbers[len(numbers)-1] + 1
	}
	if j.index != nil {
		err := j.index.close()
		j.index = nil
		if err != nil {
			return err
		}
	}
	index, err := makeIndex(j.dir, minBuckets)
	if isFull(err) {
		index, err = makeIndex(j.dir, fewBuckets)
	}
	if err != nil {
		return err
	}
	copy(index.bytes, j.head)
	j.index = index
	if err := j.fill(first); err != nil {
		j.index = nil
		return errors.Join(err, index.close())
	}
	return j.dropSegments(first)
}

// fill begins a log of what is in memory, and puts the index in its place.
func (j *journal) fill(first int64) error {
	j.setBegin(first)
	err := j.nextSegment(first)
	if err != nil {
		return err
	}
	j.present(func(r record) {
		if err == nil {
			err = j.put(&r, 1)
		}
	})
	if err != nil {
		return err
	}
	return j.index.install(j.dir)
}

// setBegin makes the log begin with a segment.
func (j *journal) setBegin(number int64) {
	j.index.set(wordBegin, number*segmentBytes)
	j.begin.Store(number * segmentBytes)
}

// write appends the record that f gives, which is called when no other is written; live
// is how many more records are of use then. It reports false where the record is not
// kept: a journal that cannot grow is given up until the disk has room again.
func (j *journal) write(f func() (r record, live int)) bool {
	if j == nil {
		return false
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	r, live := f()
	return j.writeLocked(&r, live)
}

// writeFirst writes the only place of an object that nothing was written about and no node is
// made of. It reports false where that is not so any more: changes were counted before, and free
// is called when no other writes.
func (j *journal) writeFirst(r *record, changes uint32, free func() bool) bool {
	j.asked.Store(true) // before the place can be known
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.changed(r.id) == changes && free() && j.writeLocked(r, 1)
}

func (j *journal) writeLocked(r *record, live int) bool {
	if j.err != nil && !j.tryAgain() || len(r.name) > maxName {
		return false
	}
	switch ok := guarded(func() { j.err = j.put(r, live) }); {
	case !ok && !j.cutShort():
		j.err = errNoBlock
	case !ok:
		// What is in memory has to do. Where the files are cut short again meanwhile,
		// nothing can be kept.
		j.err = errCutShort
		guarded(func() {
			if j.err = j.beginAnew(); j.err == nil {
				j.err = j.put(r, live)
			}
		})
	}
	return j.err == nil
}

// tryAgain reports whether it is time to see whether a disk that was full still is.
func (j *journal) tryAgain() bool {
	if !isFull(j.err) {
		return false
	}
	if j.refused++; j.refused%refusedStep != 0 {
		return false
	}
	j.err = nil
	return true
}

var (
	errCutShort = errors.New("the files were cut short")
	// errNoBlock is what a fault tells of a file that is as long as it was: btrfs never
	// writes a block in its place, and a full disk has no other.
	errNoBlock = fmt.Errorf("store into the mapped files: %w", unix.ENOSPC)
)

// cutShort reports whether a file is shorter than its mapping.
func (j *journal) cutShort() bool {
	segment := j.segments()[j.base/segmentBytes]
	if j.index == nil || segment == nil {
		return true
	}
	index, err := os.Lstat(filepath.Join(j.dir, journalIndexName))
	if err != nil || index.Size() < int64(len(j.index.bytes)) {
		return true
	}
	log, err := segment.file.Stat()
	return err != nil || log.Size() < int64(len(j.last.b))
}

// guarded calls f, which uses the mappings. It reports false when a file was cut short
// behind our back, or a full disk has no block for it: to touch what is not there is a fault,
// and would end the process.
// (To expect it costs 10 ns; a system call would take a hundred times as long.)
func guarded(f func()) (ok bool) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	f()
	return true
}

// put stores a record. What the process does not live to store is not there: the log
// ends before it, or it is in no chain.
func (j *journal) put(r *record, live int) error {
	if err := j.makeRoom(); err != nil {
		return err
	}
	x, hash := j.index, hashID(r.id)
	slot := x.bucket(hash)
	chain, end := bucket(atomic.LoadUint64(slot)), x.get(wordEnd)
	r.link = j.linkFor(r, chain, hash)
	var buf [maxRecord]byte
	b := r.append(buf[:0])
	j.see(j.last, end-j.base)
	copy(j.last.b[end-j.base:], b)
	x.set(wordEnd, end+int64(len(b)))
	if r.link == 0 {
		chain = 0
	}
	atomic.StoreUint64(slot, uint64(chain.with(end, hash)))
	records := x.get(wordRecords) + 1
	x.set(wordRecords, records)
	if records%lookStep == 0 {
		j.due.Store(true)
	}
	x.set(wordLive, max(x.get(wordLive)+int64(live), 0))
	if r.op == recOrigin {
		x.set(wordOrigins, 1)
		j.origins.Store(true)
	}
	j.counts[hash>>56].Add(1)
	return nil
}

// linkFor gives the record before r in its chain. Where r makes those of its object
// useless, and they are at hand, they are left out: an object that is renamed
// again and again does not make the chain long for others.
func (j *journal) linkFor(r *record, chain bucket, hash uint64) int64 {
	link := chain.offset()
	for r.only && link >= j.base && chain.mayHold(hash) {
		last, _, ok := decodeRecord(j.last.b[link-j.base:])
		if !ok || last.id != r.id {
			break
		}
		link = last.link
	}
	if link < j.begin.Load() {
		return 0
	}
	return link
}

// makeRoom makes room for a record, and for more in the index. Without room for a larger
// index the chains get longer.
func (j *journal) makeRoom() error {
	x := j.index
	if int64(len(j.last.b))-(x.get(wordEnd)-j.base) <= maxRecord {
		if err := j.nextSegment(x.get(wordEnd)/segmentBytes + 1); err != nil {
			return err
		}
	}
	n := x.get(wordRecords)
	if n <= bucketLoad*int64(x.buckets()) || n%growStep != 0 {
		return nil
	}
	if next, err := x.twice(j.dir); err == nil {
		j.index = next
		return x.close()
	}
	return nil
}

// works reports whether what was written can be read. When the files were cut short, and could
// not be made anew, it cannot.
func (j *journal) works() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.index != nil
}

// trouble gives why the journal is not kept any more, or nil.
func (j *journal) trouble() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.err
}

// changed gives a number that is another when more was written about an object.
func (j *journal) changed(id ID) uint32 {
	if j == nil {
		return 0
	}
	return j.counts[hashID(id)>>56].Load()
}

// close ends the journal. Compacting ends with it.
func (j *journal) close() error {
	if j == nil {
		return nil
	}
	j.mu.Lock()
	j.err = os.ErrClosed
	j.mu.Unlock()
	j.work.Wait()
	j.mu.Lock()
	defer j.mu.Unlock()
	var err error
	if j.index != nil {
		err = j.index.close()
		j.index = nil
	}
	j.mapped.Lock()
	defer j.mapped.Unlock()
	err = errors.Join(err, closeSegments(j.segments()))
	j.last = nil
	j.files.Store(nil)
	return err
}

package overlay

import (
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// The log is a row of files that are named by their numbers. The last one has zeros behind
// its records; those before it are only read.

// segments gives the files of the log by their numbers.
func (j *journal) segments() map[int64]*segment {
	if m := j.files.Load(); m != nil {
		return *m
	}
	return nil
}

func (j *journal) segmentPath(number int64) string {
	return filepath.Join(j.dir, strconv.FormatInt(number, 10))
}

// segmentNumbers gives the numbers of the segments that a directory has, in their order.
func segmentNumbers(dir string) ([]int64, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var numbers []int64
	for _, e := range entries {
		if n, err := strconv.ParseInt(e.Name(), 10, 32); err == nil && n >= firstSegment {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

// openLog opens the segments that the index tells of, and reports whether they are
// there.
func (j *journal) openLog() (ok bool, err error) {
	if !guarded(func() { ok, err = j.openSegments() }) {
		return false, nil
	}
	return ok, err
}

func (j *journal) openSegments() (ok bool, err error) {
	begin, end := j.index.get(wordBegin), j.index.get(wordEnd)
	first, last := begin/segmentBytes, end/segmentBytes
	if first < firstSegment || first > last {
		return false, nil
	}
	files := make(map[int64]*segment)
	for n := first; n <= last; n++ {
		s, err := openSegment(j.segmentPath(n))
		if err != nil {
			if errors.Is(err, os.ErrNotExist) {
				err = nil
			}
			return false, errors.Join(err, closeSegments(files))
		}
		files[n] = s
	}
	j.files.Store(&files)
	j.begin.Store(begin)
	j.asked.Store(true)
	j.origins.Store(j.index.get(wordOrigins) != 0)
	if !j.goOn(last, end) {
		return false, nil
	}
	return true, j.dropSegments(first)
}

// discard removes a log that is of no use: a full disk has no room for another.
func (j *journal) discard() error {
	err := closeSegments(j.segments())
	j.files.Store(nil)
	numbers, e := segmentNumbers(j.dir)
	if errors.Is(e, os.ErrNotExist) || errors.Is(e, unix.ENOTDIR) {
		e = nil
	}
	err = errors.Join(err, e)
	for _, n := range numbers {
		err = errors.Join(err, os.Remove(j.segmentPath(n)))
	}
	return err
}

func closeSegments(files map[int64]*segment) (err error) {
	for _, s := range files {
		err = errors.Join(err, s.close())
	}
	return err
}

// goOn lets the log go on in its last segment, if all that is said to be in it has room there.
func (j *journal) goOn(number, end int64) (ok bool) {
	s, base := j.segments()[number], number*segmentBytes
	size := int64(len(s.b))
	if end > base+size {
		return false
	}
	j.last, j.base = s, base
	// Of a record that the process did not live to finish something can be left. What is
	// clear is not touched: a full disk may have no block for it; see errNoBlock.
	if rest := s.b[end-base : min(size, end-base+maxRecord)]; slices.ContainsFunc(rest, func(b byte) bool { return b != 0 }) {
		clear(rest)
	}
	return true
}

// nextSegment makes a segment and lets the log go on there.
func (j *journal) nextSegment(number int64) error {
	s, err := makeSegment(j.segmentPath(number), j.segment)
	if err != nil {
		return err
	}
	files := maps.Clone(j.segments())
	if files == nil {
		files = make(map[int64]*segment)
	}
	files[number] = s
	j.files.Store(&files)
	j.last, j.base = s, number*segmentBytes
	j.index.set(wordEnd, j.base)
	return nil
}

// extend makes n bytes of zeros at off, with blocks behind them: a store into a hole on a
// full disk would end the process.
func extend(f *os.File, off, n int64) error {
	if allocate(int(f.Fd()), off, n) == nil {
		return f.Truncate(off + n)
	}
	_, err := f.WriteAt(make([]byte, n), off)
	return err
}

// dropSegments removes what the log does not have any more: the segments before the
// first, and any behind the last that the process did not live to use.
func (j *journal) dropSegments(first int64) error {
	numbers, err := segmentNumbers(j.dir)
	if err != nil {
		return err
	}
	files := maps.Clone(j.segments())
	last := j.base / segmentBytes
	for _, n := range numbers {
		if first <= n && n <= last {
			continue
		}
		err = errors.Join(err, os.Remove(j.segmentPath(n)))
	}
	j.mapped.Lock()
	defer j.mapped.Unlock()
	maps.DeleteFunc(files, func(n int64, s *segment) bool {
		if n < first {
			err = errors.Join(err, s.close())
		}
		return n < first
	})
	j.files.Store(&files)
	return err
}

// readRecord reads the record at an offset of the log. The name is buf's.
func (j *journal) readRecord(off int64, buf *[maxRecord]byte) (record, error) {
	s := j.segments()[off/segmentBytes]
	if s == nil {
		return record{}, os.ErrClosed
	}
	n := j.readMapped(s, off%segmentBytes, buf)
	if n == 0 {
		var err error
		if n, err = s.file.ReadAt(buf[:], off%segmentBytes); err != nil && err != io.EOF {
			return record{}, err
		}
	}
	r, _, ok := decodeRecord(buf[:n])
	if !ok {
		return record{}, errNoRecord
	}
	return r, nil
}

var errNoRecord = errors.New("no record is there")

// readMapped reads from a segment's mapping; 0: it is not there.
func (j *journal) readMapped(s *segment, off int64, buf *[maxRecord]byte) int {
	j.mapped.RLock()
	defer j.mapped.RUnlock()
	j.see(s, off)
	return s.read(off, buf)
}

// see notes that a segment's mapping is about to be touched at an offset. What the process has
// of the log in memory is bounded: then all of it is left to the kernel. It is for who holds
// mapped or mu.
func (j *journal) see(s *segment, off int64) {
	if !s.see(off) || j.seen.Add(1) <= maxSeen {
		return
	}
	j.seen.Store(1)
	for _, other := range j.segments() {
		other.leave()
	}
	s.see(off)
}

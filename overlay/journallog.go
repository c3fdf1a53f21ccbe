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

// The log is a row of files that are named by their numbers. The last one is mapped and
// has zeros behind its records; those before it are only read.

// segments gives the files of the log by their numbers.
func (j *journal) segments() map[int64]*os.File {
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
	files := make(map[int64]*os.File)
	for n := first; n <= last; n++ {
		f, err := os.OpenFile(j.segmentPath(n), os.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
		if err != nil {
			closeSegments(files)
			if errors.Is(err, os.ErrNotExist) {
				return false, nil
			}
			return false, err
		}
		files[n] = f
	}
	j.files.Store(&files)
	j.begin.Store(begin)
	j.asked.Store(true)
	j.origins.Store(j.index.get(wordOrigins) != 0)
	if ok, err = j.mapSegment(last, end); ok && err == nil {
		err = j.dropSegments(first)
	}
	return ok, err
}

// discard removes a log that is of no use: a full disk has no room for another.
func (j *journal) discard() error {
	closeSegments(j.segments())
	j.files.Store(nil)
	numbers, err := segmentNumbers(j.dir)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return nil
	}
	for _, n := range numbers {
		err = errors.Join(err, os.Remove(j.segmentPath(n)))
	}
	return err
}

func closeSegments(files map[int64]*os.File) {
	for _, f := range files {
		f.Close()
	}
}

// mapSegment maps the last segment, if all that is said to be in it has room there.
func (j *journal) mapSegment(number, end int64) (ok bool, err error) {
	f, base := j.segments()[number], number*segmentBytes
	info, err := f.Stat()
	if err != nil {
		return false, err
	}
	size := info.Size()
	if !info.Mode().IsRegular() || size == 0 || size > segmentBytes || end > base+size {
		return false, nil
	}
	win, err := unix.Mmap(int(f.Fd()), 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return false, err
	}
	j.win, j.base = win, base
	// Of a record that the process did not live to finish something can be left. What is
	// clear is not touched: a full disk may have no block for it; see errNoBlock.
	if rest := win[end-base : min(size, end-base+maxRecord)]; slices.ContainsFunc(rest, func(b byte) bool { return b != 0 }) {
		clear(rest)
	}
	return true, nil
}

// nextSegment makes a segment and lets the log go on there.
func (j *journal) nextSegment(number int64) error {
	f, err := os.OpenFile(j.segmentPath(number), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	size := j.segment
	if err = extend(f, 0, size); err != nil { // a disk that is nearly full may have room for less
		size = smallSegment
		err = errors.Join(f.Truncate(0), extend(f, 0, size))
	}
	var win []byte
	if err == nil {
		win, err = unix.Mmap(int(f.Fd()), 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	}
	if err != nil {
		return errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	if j.win != nil {
		err = unix.Munmap(j.win)
	}
	files := maps.Clone(j.segments())
	if files == nil {
		files = make(map[int64]*os.File)
	}
	files[number] = f
	j.files.Store(&files)
	j.win, j.base = win, number*segmentBytes
	j.index.set(wordEnd, j.base)
	return err
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
	maps.DeleteFunc(files, func(n int64, f *os.File) bool {
		if n < first {
			f.Close()
		}
		return n < first
	})
	j.files.Store(&files)
	return err
}

// readRecord reads the record at an offset of the log. The name is buf's.
func (j *journal) readRecord(off int64, buf *[maxRecord]byte) (record, error) {
	f := j.segments()[off/segmentBytes]
	if f == nil {
		return record{}, os.ErrClosed
	}
	n, err := f.ReadAt(buf[:], off%segmentBytes)
	if err != nil && err != io.EOF {
		return record{}, err
	}
	r, _, ok := decodeRecord(buf[:n])
	if !ok {
		return record{}, errNoRecord
	}
	return r, nil
}

var errNoRecord = errors.New("no record is there")

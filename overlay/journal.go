package overlay

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/internal/bootid"
)

// journal remembers the places of all objects that clients have been told of,
// so that their handles resolve after a restart. Records are stored into a
// shared mapping of a file: a record is safe from the end of the process, kill -9
// too, as soon as it is stored, without a system call. The journal is of no use after
// the machine stopped, for no client outlives that: it starts anew then.
type journal struct {
	mu   sync.Mutex
	path string
	head []byte
	file *os.File
	win  []byte // mapping of the file from base on
	base int64
	at   int // in win, where the next record goes
	// records says how much of the file is of use, to know when to rewrite it.
	records int
	// look is at how many records to look next whether that is due.
	look int
	// all gives the records that make the present state.
	all func(put func(*record))
	err error // the journal is not kept any more
}

const (
	journalName   = "places"
	journalWindow = 4 << 20
	smallWindow   = 64 << 10
	// minWorn is how many records are worth a rewrite; lookStep how many more are
	// waited for after one was not due, since to count the nodes takes time.
	minWorn  = 1 << 16
	lookStep = 1 << 12
	// maxRecord bounds a record, with the longest name.
	maxRecord = recordHead + 255
)

// The journal's records.
const (
	recPlace  = 1 // an object has a name
	recUnname = 2 // it lost a name
	recGone   = 3 // it is gone
	recOrigin = 4 // an inode without marks had another ID before copy-up
)

// record is one entry of the journal. Of recOrigin, id is the inode found and
// other the ID that it stands for; else other is the directory of name.
//
// In which layer a name is found is not recorded: a copy-up changes it, and the
// process can end between the two.
type record struct {
	op    uint8
	typ   uint32
	id    ID
	other ID
	name  []byte
}

func (r *record) append(b []byte) []byte {
	at := len(b)
	b = append(b, 0, 0, r.op, 0)
	b = binary.BigEndian.AppendUint32(b, r.typ)
	for _, v := range [...]uint64{r.id.Fileid, r.id.Gen, r.other.Fileid, r.other.Gen} {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	b = append(b, r.name...)
	binary.BigEndian.PutUint16(b[at:], uint16(len(b)-at))
	return b
}

// recordHead is a record without its name: length, op, a spare byte, type, two IDs.
const recordHead = 2 + 1 + 1 + 4 + 4*8

// decodeRecord takes the first record off b; ok is false at the end.
func decodeRecord(b []byte) (r record, rest []byte, ok bool) {
	if len(b) < recordHead {
		return r, nil, false
	}
	n := int(binary.BigEndian.Uint16(b))
	if n < recordHead || n > len(b) || b[2] == 0 {
		return r, nil, false
	}
	r.op, r.typ = b[2], binary.BigEndian.Uint32(b[4:])
	r.id = ID{binary.BigEndian.Uint64(b[8:]), binary.BigEndian.Uint64(b[16:])}
	r.other = ID{binary.BigEndian.Uint64(b[24:]), binary.BigEndian.Uint64(b[32:])}
	r.name = b[recordHead:n]
	return r, b[n:], true
}

// journalHead is what the file starts with. Another head means another run of
// the kernel or another upper: what follows is of no use. Other lower directories do no
// harm: in which layer a place is, and whether it is still there, is found out again.
func journalHead(upper string) []byte {
	b := []byte("nixnfsd places 2\n" + bootid.Get() + "\n" + upper + "\n")
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], hashBytes(b))
	return append([]byte("nixnfsd1"), n[:]...)
}

// openJournal opens the journal in dir and gives its records to replay. all gives
// the records of the present state, when the journal is rewritten.
func openJournal(dir, upper string, replay func(*record), all func(put func(*record))) (*journal, error) {
	j := &journal{path: filepath.Join(dir, journalName), head: journalHead(upper), all: all}
	b, err := readRegular(j.path)
	if err != nil {
		return nil, fmt.Errorf("read the places of known objects: %w", err)
	}
	if len(b) < len(j.head) || string(b[:len(j.head)]) != string(j.head) {
		return j, j.begin(j.rewriteLocked())
	}
	rest := b[len(j.head):]
	for {
		r, tail, ok := decodeRecord(rest)
		if !ok {
			break
		}
		replay(&r)
		rest = tail
		j.records++
	}
	return j, j.begin(j.open(int64(len(b) - len(rest))))
}

// begin gives a journal up that a full disk has no room for: the store has to be
// served all the same, or nobody could remove anything from it.
func (j *journal) begin(err error) error {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		j.err, err = err, nil
	}
	return err
}

// readRegular reads a file that may not be there. It does not wait for a FIFO.
func readRegular(path string) ([]byte, error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	return os.ReadFile(path)
}

// open maps the file from off on, which is where the next record goes.
func (j *journal) open(off int64) error {
	f, err := os.OpenFile(j.path, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("open the places of known objects: %w", err)
	}
	j.file = f
	return j.mapAt(off)
}

// mapAt moves the mapping so that there is room from off on. The blocks are
// allocated first: a store into a hole on a full disk would end the process.
func (j *journal) mapAt(off int64) error {
	page := int64(os.Getpagesize())
	base := off / page * page
	if err := j.file.Truncate(off); err != nil {
		return err
	}
	window := int64(journalWindow)
	err := extend(j.file, off, base+window-off)
	if err != nil { // a disk that is nearly full may have room for less
		window = smallWindow
		err = errors.Join(j.file.Truncate(off), extend(j.file, off, base+window-off))
	}
	if err != nil {
		return err
	}
	if err := j.unmap(); err != nil {
		return err
	}
	win, err := unix.Mmap(int(j.file.Fd()), base, int(window), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	j.win, j.base, j.at = win, base, int(off-base)
	return nil
}

// extend makes n bytes of zeros at off, with blocks behind them.
func extend(f *os.File, off, n int64) error {
	if allocate(int(f.Fd()), off, n) == nil {
		return f.Truncate(off + n)
	}
	_, err := f.WriteAt(make([]byte, n), off)
	return err
}

func (j *journal) unmap() error {
	if j.win == nil {
		return nil
	}
	err := unix.Munmap(j.win)
	j.win = nil
	return err
}

// add appends a record. A journal that cannot grow is given up: handles then
// work until the next restart.
func (j *journal) add(r record) {
	if j == nil {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err != nil {
		return
	}
	if len(j.win)-j.at < maxRecord+recordHead {
		if j.err = j.mapAt(j.base + int64(j.at)); j.err != nil {
			return
		}
	}
	var buf [maxRecord]byte
	b := r.append(buf[:0])
	if !j.store(b) {
		j.err = j.rewriteLocked() // the record is part of the present state
		return
	}
	j.at += len(b)
	j.records++
}

// store puts a record into the mapping. It reports false when the file was cut short
// behind our back: a store to where it was is a fault, and would end the process.
// (To expect it costs 10 ns; a system call would take a hundred times as long.)
func (j *journal) store(b []byte) (ok bool) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	// The length goes last: until then the record is not there.
	copy(j.win[j.at+2:], b[2:])
	copy(j.win[j.at:], b[:2])
	return true
}

// worn reports whether most of the journal is of no use any more.
func (j *journal) worn(live func() int) bool {
	if j == nil {
		return false
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err != nil || j.records < max(j.look, minWorn) {
		return false
	}
	j.look = j.records + lookStep
	return j.records > 4*live()
}

// rewrite rewrites the journal while it is in use, or gives it up.
func (j *journal) rewrite() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.err = j.rewriteLocked()
}

// rewriteLocked replaces the journal by the present state. Nothing is synced: after a
// power cut it is of no use.
func (j *journal) rewriteLocked() error {
	size, err := j.writeNew()
	if err == nil {
		err = os.Rename(j.path+".new", j.path)
	}
	if err != nil {
		return fmt.Errorf("write the places of known objects: %w", err)
	}
	if j.file != nil {
		j.file.Close()
	}
	return j.open(size)
}

func (j *journal) writeNew() (size int64, err error) {
	f, err := os.OpenFile(j.path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<20)
	_, err = w.Write(j.head)
	size, j.records, j.look = int64(len(j.head)), 0, 0
	var b []byte
	j.all(func(r *record) {
		b = r.append(b[:0])
		if err == nil {
			_, err = w.Write(b)
		}
		size += int64(len(b))
		j.records++
	})
	return size, errors.Join(err, w.Flush())
}

func (j *journal) close() error {
	if j == nil {
		return nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.err = os.ErrClosed
	if j.file == nil {
		return nil
	}
	if j.win != nil {
		if err := errors.Join(j.unmap(), j.file.Truncate(j.base+int64(j.at))); err != nil {
			return err
		}
	}
	return j.file.Close()
}

package overlay

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// journalIndex is a hash table that says where in the log an object's records are. Each
// bucket has the newest record of the objects that fall into it, and each record has the
// one before it, so that nothing has to be moved in the table, ever: one of twice the size
// begins as the old one twice. It is mapped, and good at every moment without a
// system call, as the log is.
//
// The file begins with the head of journalHead and numbers, each in a word of 8 bytes as
// the machine has them; then come the buckets, a word each.
type journalIndex struct {
	bytes []byte
	words []uint64
	mask  uint64 // of buckets, whose number is a power of two
}

// The words of the index's head.
const (
	wordBegin   = 2 + iota // where the log's first record is
	wordEnd                // where its next record goes
	wordRecords            // how many there are
	wordLive               // and how many of them are of use, more or less
	wordOrigins            // how many inodes had another ID, ever
)

const (
	journalIndexName = "index"
	// indexHead is what the head takes: a page, so that buckets lie well in theirs.
	indexHead = 4096
	// minBuckets is what a journal begins with, and load how many records to a bucket
	// are worth twice the number. A chain keeps what both halves had before, so that it is the
	// shorter the later the first doubling is: with this, a directory of 100,000 names is listed
	// before it. Of buckets that nobody asks for no memory is taken. A disk that is nearly full
	// has room for fewBuckets only.
	minBuckets = 1 << 16
	fewBuckets = 1 << 13
	bucketLoad = 3
)

// bucket is where a chain of records begins: offBits of it are where its newest record is,
// in units of recordAlign, the others a filter: of each record's hash one bit. An object
// that has none of its own is not in the chain.
type bucket uint64

const (
	offBits    = 44
	filterBits = 64 - offBits
)

func (b bucket) offset() int64 { return int64(b&(1<<offBits-1)) * recordAlign }

func filterBit(hash uint64) bucket { return 1 << (offBits + (hash>>32)%filterBits) }

// mayHold reports whether an object can be in the chain.
func (b bucket) mayHold(hash uint64) bool { return b&filterBit(hash) != 0 }

// with is the bucket when it has one more record.
func (b bucket) with(off int64, hash uint64) bucket {
	return b&^(1<<offBits-1) | bucket(off/recordAlign) | filterBit(hash)
}

func hashID(id ID) uint64 {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], id.Fileid)
	binary.BigEndian.PutUint64(b[8:], id.Gen)
	return hashBytes(b[:])
}

func (x *journalIndex) buckets() uint64 { return x.mask + 1 }

func (x *journalIndex) bucket(hash uint64) *uint64 { return &x.words[indexHead/8+hash&x.mask] }

func (x *journalIndex) get(word int) int64 { return int64(atomic.LoadUint64(&x.words[word])) }

func (x *journalIndex) set(word int, v int64) { atomic.StoreUint64(&x.words[word], uint64(v)) }

// makeIndex makes an index in a directory, with the blocks that it needs. What it holds
// is to be written before it is put in the place of another.
func makeIndex(dir string, buckets uint64) (*journalIndex, error) {
	path := filepath.Join(dir, journalIndexName+newSuffix)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	size := indexHead + 8*int64(buckets)
	defer f.Close()
	var x *journalIndex
	if err = extend(f, 0, size); err == nil {
		x, err = mapIndex(f, size)
	}
	if err != nil {
		return nil, errors.Join(err, os.Remove(path))
	}
	return x, nil
}

// newSuffix ends the name of an index that is not in place yet.
const newSuffix = ".new"

// install puts a new index in its place.
func (x *journalIndex) install(dir string) error {
	path := filepath.Join(dir, journalIndexName)
	return os.Rename(path+newSuffix, path)
}

// openIndex opens the index of a directory; nil where there is none with that head.
func openIndex(dir string, head []byte) (*journalIndex, error) {
	f, err := os.OpenFile(filepath.Join(dir, journalIndexName), os.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || !isIndexSize(info.Size()) {
		return nil, err
	}
	b := make([]byte, len(head))
	if _, err := f.ReadAt(b, 0); err != nil || string(b) != string(head) {
		return nil, err
	}
	return mapIndex(f, info.Size())
}

// isIndexSize reports whether a file of that size can be an index.
func isIndexSize(size int64) bool {
	buckets := (size - indexHead) / 8
	return buckets > 0 && buckets&(buckets-1) == 0 && size == indexHead+8*buckets
}

func mapIndex(f *os.File, size int64) (*journalIndex, error) {
	b, err := unix.Mmap(int(f.Fd()), 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map the index of known objects: %w", err)
	}
	words := unsafe.Slice((*uint64)(unsafe.Pointer(&b[0])), len(b)/8)
	return &journalIndex{bytes: b, words: words, mask: uint64(len(words)-indexHead/8) - 1}, nil
}

func (x *journalIndex) close() error { return unix.Munmap(x.bytes) }

// twice gives an index of twice the size with the same in it.
func (x *journalIndex) twice(dir string) (*journalIndex, error) {
	n := x.buckets()
	next, err := makeIndex(dir, 2*n)
	if err != nil {
		return nil, err
	}
	copy(next.words, x.words)
	copy(next.words[indexHead/8+n:], x.words[indexHead/8:])
	if err := next.install(dir); err != nil {
		return nil, errors.Join(err, next.close())
	}
	return next, nil
}

package hfsplus

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
	"unicode/utf16"
)

const (
	blockSize  = 4096
	headerAt   = 1024 // bytes from the start, and its copy from the end
	headerSize = 512
	// MinSize and MaxSize bound a volume; over the latter blocks would have to be larger.
	MinSize = 1 << 20
	MaxSize = 1 << 44
)

// The numbers of the special files and folders, and the first that is free.
const (
	rootParentID  = 1
	rootFolderID  = 2
	firstUserID   = 16
	threadRecord  = 3
	folderRecord  = 1
	unmountedFlag = 1 << 8 // of the volume: it was unmounted
)

// extent is a run of blocks.
type extent struct{ Start, Count uint32 }

// fork is a special file's size and place. All of ours are in one extent.
type fork struct {
	Size    uint64
	Clump   uint32
	Blocks  uint32
	Extents [8]extent
}

// volumeHeader is what every driver reads first (TN1150, "Volume Header").
type volumeHeader struct {
	Signature                         [2]byte
	Version                           uint16
	Attributes                        uint32
	LastMountedBy                     [4]byte
	JournalInfo                       uint32
	Created, Modified, Saved, Checked uint32
	Files, Folders                    uint32
	BlockSize, Blocks, Free           uint32
	NextBlock, ResourceClump, Clump   uint32
	NextID, Writes                    uint32
	Encodings                         uint64
	FinderInfo                        [8]uint32
	Bitmap, Extents, Catalog, XAttrs  fork
	Startup                           fork
}

// Format makes an empty volume of size bytes with a name. What is not written has to
// read as zeros. Times are those of the volume's birth; its root folder belongs to root.
func Format(w io.WriterAt, size int64, name string, now time.Time) error {
	if size < MinSize || size > MaxSize {
		return fmt.Errorf("a volume of %d bytes: it has to have from %d to %d", size, MinSize, int64(MaxSize))
	}
	label := utf16.Encode([]rune(name))
	if len(label) == 0 || len(label) > 255 {
		return errors.New("a volume's name has from 1 to 255 characters")
	}
	l := newLayout(uint32(size / blockSize))
	f := formatter{w: w, layout: l, now: hfsTime(now)}
	f.bitmap()
	f.tree(l.extents, header{MaxKey: 10, Attributes: bigKeys}, nil)
	f.tree(l.attributes, header{MaxKey: 266, Attributes: bigKeys | variableKeys}, nil)
	f.tree(l.catalog, header{MaxKey: 516, Attributes: bigKeys | variableKeys}, f.rootFolder(label))
	head := f.header()
	f.write(headerAt, head)
	f.write(size/headerSize*headerSize-headerAt, head)
	return f.err
}

// hfsTime counts seconds from 1904.
func hfsTime(t time.Time) uint32 { return uint32(t.Unix() + 2082844800) }

// layout says where the special files lie: one behind the other after the header.
type layout struct {
	blocks                               extent
	bitmap, extents, attributes, catalog extent
}

func newLayout(blocks uint32) layout {
	l := layout{blocks: extent{0, blocks}}
	next := uint32(1) // the header's block
	take := func(n uint32) extent {
		e := extent{next, n}
		next += n
		return e
	}
	l.bitmap = take((blocks + blockSize*8 - 1) / (blockSize * 8))
	// Trees grow when they have to; the catalog does so less often when it starts large.
	tree := max(2*nodeBlocks, min(blocks/256, maxNodes*nodeBlocks)/nodeBlocks*nodeBlocks)
	l.extents, l.attributes, l.catalog = take(2*nodeBlocks), take(tree), take(tree)
	return l
}

func (l *layout) used() uint32 { return l.catalog.Start + l.catalog.Count }

func (e extent) fork() fork {
	return fork{
		Size: uint64(e.Count) * blockSize, Clump: e.Count * blockSize, Blocks: e.Count,
		Extents: [8]extent{e},
	}
}

// formatter writes until the first error.
type formatter struct {
	w   io.WriterAt
	now uint32
	err error
	layout
}

func (f *formatter) write(off int64, b []byte) {
	if f.err == nil {
		_, f.err = f.w.WriteAt(b, off)
	}
}

// bitmap marks the blocks in use: the first ones, and the last two, where the
// header's copy is.
func (f *formatter) bitmap() {
	mark := func(from, to uint32) {
		bits := make([]byte, (to+7)/8-from/8)
		for i := from; i < to; i++ {
			bits[i/8-from/8] |= 0x80 >> (i % 8)
		}
		f.write(int64(f.layout.bitmap.Start)*blockSize+int64(from/8), bits)
	}
	mark(0, f.used())
	if last := f.blocks.Count; f.used()/8 == (last-2)/8 {
		f.err = errors.Join(f.err, errors.New("no block is free"))
	}
	mark(f.blocks.Count-2, f.blocks.Count)
}

func (f *formatter) header() []byte {
	return encode(volumeHeader{
		Signature: [2]byte{'H', '+'}, Version: 4, Attributes: unmountedFlag, LastMountedBy: [4]byte{'1', '0', '.', '0'},
		Created: f.now, Modified: f.now, Checked: f.now,
		BlockSize: blockSize, Blocks: f.blocks.Count, Free: f.blocks.Count - f.used() - 2,
		NextBlock: f.used(), ResourceClump: 16 * blockSize, Clump: 16 * blockSize, NextID: firstUserID, Encodings: 1,
		Bitmap: f.layout.bitmap.fork(), Extents: f.extents.fork(), Catalog: f.catalog.fork(), XAttrs: f.attributes.fork(),
	})
}

// catalogKey is the key of a name in a folder.
type catalogKey struct {
	Length uint16
	Parent uint32
	Name   uint16 // its length in UTF-16 units, which follow
}

// folder is a folder's record in the catalog.
type folder struct {
	Type, Flags                                 uint16
	Valence, ID                                 uint32
	Created, Modified, Changed, Accessed, Saved uint32
	Owner, Group                                uint32
	AdminFlags, OwnerFlags                      uint8
	Mode                                        uint16
	Special                                     uint32
	Finder                                      [8]uint32
	Encoding, Folders                           uint32
}

// thread leads from a folder's number to its name.
type thread struct {
	Type, Reserved uint16
	Parent         uint32
	Name           uint16
}

// rootFolder gives the catalog's records of an empty volume, in the order of their keys.
func (f *formatter) rootFolder(label []uint16) [][]byte {
	name := encode(label)
	key := func(parent uint32, name []byte) []byte {
		return append(encode(catalogKey{uint16(6 + len(name)), parent, uint16(len(name) / 2)}), name...)
	}
	root := encode(folder{
		Type: folderRecord, ID: rootFolderID, Created: f.now, Modified: f.now, Changed: f.now, Accessed: f.now,
		Mode: 0o040755,
	})
	back := append(encode(thread{Type: threadRecord, Parent: rootParentID, Name: uint16(len(label))}), name...)
	return [][]byte{append(key(rootParentID, name), root...), append(key(rootFolderID, nil), back...)}
}

// encode gives a structure of fixed size as it is on disk.
func encode(v any) []byte {
	var b bytes.Buffer
	_ = binary.Write(&b, binary.BigEndian, v) // a buffer takes all
	return b.Bytes()
}

// Create makes an image file that holds an empty volume.
func Create(path string, size int64, name string, now time.Time) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(size), Format(f, size, name, now), f.Close())
}

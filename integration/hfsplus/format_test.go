package hfsplus

import (
	"encoding/binary"
	"io"
	"math/bits"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestFormat checks what the parts of a volume say of each other. That a driver takes it
// is shown in the guest.
func TestFormat(t *testing.T) {
	for _, size := range []int64{MinSize, 100_000_000, 4 << 30} {
		image := filepath.Join(t.TempDir(), "image")
		if err := Create(image, size, "Ünit", time.Now()); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(image)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		var h, last volumeHeader
		for _, at := range []struct {
			off int64
			h   *volumeHeader
		}{{headerAt, &h}, {size/headerSize*headerSize - headerAt, &last}} {
			if err := binary.Read(io.NewSectionReader(f, at.off, headerSize), binary.BigEndian, at.h); err != nil {
				t.Fatal(err)
			}
		}
		if h != last {
			t.Errorf("the header's copy differs from it")
		}
		if binary.Size(h) != headerSize || string(h.Signature[:]) != "H+" {
			t.Errorf("a header of %d bytes, %q", binary.Size(h), h.Signature)
		}
		if used := usedBlocks(t, f, h.Bitmap); h.Blocks-used != h.Free {
			t.Errorf("%d bytes: %d of %d blocks in use, but %d free", size, used, h.Blocks, h.Free)
		}
		for _, tree := range []fork{h.Extents, h.Catalog, h.XAttrs} {
			checkTree(t, f, tree)
		}
	}
}

func usedBlocks(t *testing.T, r io.ReaderAt, bitmap fork) (used uint32) {
	t.Helper()
	b := make([]byte, bitmap.Size)
	if _, err := r.ReadAt(b, int64(bitmap.Extents[0].Start)*blockSize); err != nil {
		t.Fatal(err)
	}
	for _, c := range b {
		used += uint32(bits.OnesCount8(c))
	}
	return used
}

func checkTree(t *testing.T, r io.ReaderAt, tree fork) {
	t.Helper()
	var n node
	var h header
	at := int64(tree.Extents[0].Start) * blockSize
	if err := binary.Read(io.NewSectionReader(r, at, nodeSize), binary.BigEndian, &n); err != nil {
		t.Fatal(err)
	}
	if err := binary.Read(io.NewSectionReader(r, at+headerRecord, nodeSize), binary.BigEndian, &h); err != nil {
		t.Fatal(err)
	}
	if n.Kind != headerNode || n.Records != 3 || h.NodeSize != nodeSize || uint64(h.Nodes)*nodeSize != tree.Size {
		t.Errorf("the tree at %d starts with %+v %+v", at, n, h)
	}
}

func TestFormatRefuses(t *testing.T) {
	for _, size := range []int64{0, MinSize - 1, MaxSize + 1} {
		if err := Create(filepath.Join(t.TempDir(), "image"), size, "x", time.Now()); err == nil {
			t.Errorf("%d bytes are a volume", size)
		}
	}
}

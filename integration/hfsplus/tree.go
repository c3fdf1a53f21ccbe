package hfsplus

import "encoding/binary"

const (
	nodeSize   = 8192
	nodeBlocks = nodeSize / blockSize
	// A header node's records: what the tree is, 128 bytes for anyone, and a bitmap of the
	// nodes in use. maxNodes is how many that bitmap has room for.
	headerRecord = 14
	userRecord   = headerRecord + 106
	mapRecord    = userRecord + 128
	mapEnd       = nodeSize - 4*2
	maxNodes     = (mapEnd - mapRecord) * 8

	leafNode   = 0xff // -1
	headerNode = 1

	bigKeys      = 1 << 1
	variableKeys = 1 << 2
)

// node is what every node of a tree starts with.
type node struct {
	Next, Previous uint32
	Kind, Height   uint8
	Records        uint16
	Reserved       uint16
}

// header is a header node's first record (TN1150, "Header Record").
type header struct {
	Depth               uint16
	Root, Leaves        uint32
	FirstLeaf, LastLeaf uint32
	NodeSize, MaxKey    uint16
	Nodes, Free         uint32
	Reserved            uint16
	Clump               uint32
	Type, KeyCompare    uint8
	Attributes          uint32
	Spare               [16]uint32
}

// tree writes a tree that holds some records, which have to fit in one leaf.
func (f *formatter) tree(at extent, h header, records [][]byte) {
	h.NodeSize, h.Clump = nodeSize, at.Count*blockSize
	h.Nodes = at.Count / nodeBlocks
	h.Free = h.Nodes - 1
	inUse := byte(0x80)
	if len(records) > 0 {
		h.Depth, h.Root, h.FirstLeaf, h.LastLeaf, h.Leaves = 1, 1, 1, 1, uint32(len(records))
		h.Free--
		inUse |= 0x40
		f.write(int64(at.Start)*blockSize+nodeSize, makeNode(node{Kind: leafNode, Height: 1}, records))
	}
	bitmap := make([]byte, mapEnd-mapRecord)
	bitmap[0] = inUse
	f.write(int64(at.Start)*blockSize, makeNode(node{Kind: headerNode}, [][]byte{encode(h), make([]byte, mapRecord-userRecord), bitmap}))
}

// makeNode puts records behind each other, and where each begins at the node's end.
func makeNode(n node, records [][]byte) []byte {
	n.Records = uint16(len(records))
	b := make([]byte, nodeSize)
	at := copy(b, encode(n))
	for i, r := range records {
		binary.BigEndian.PutUint16(b[nodeSize-2*(i+1):], uint16(at))
		at += copy(b[at:], r)
	}
	binary.BigEndian.PutUint16(b[nodeSize-2*(len(records)+1):], uint16(at))
	return b
}

package overlay

import (
	"slices"
	"sync"
)

const (
	// entryBlock is how many entries are in a block, nameBlock how many bytes of names at most.
	entryBlock    = 1 << 11
	nameBlockBits = 16
	nameBlock     = 1 << nameBlockBits
)

// gather is where entries are put until it is clear how many there are. It keeps what is full
// in blocks: slices that grew with a large directory would be copied again and again, and leave
// several times their size to be collected.
type gather struct {
	entries     []listEntry // the last block
	names       []byte      // likewise
	fullEntries [][]listEntry
	fullNames   [][]byte
}

// gathers lends gathers: all that a listing leaves behind is itself.
type gathers struct{ pool sync.Pool }

func (p *gathers) get() *gather {
	if g, ok := p.pool.Get().(*gather); ok {
		return g
	}
	return &gather{} // whose blocks grow with the largest directory: most are small
}

func (p *gathers) put(g *gather) {
	*g = gather{entries: g.entries[:0], names: g.names[:0]}
	p.pool.Put(g)
}

// add adds a name; fileid 0: it hides those of parts that come after.
func (g *gather) add(name []byte, fileid uint64) {
	if len(g.entries) == entryBlock {
		g.fullEntries = append(g.fullEntries, slices.Clone(g.entries))
		g.entries = g.entries[:0]
	}
	if len(g.names)+len(name) > nameBlock {
		g.fullNames = append(g.fullNames, slices.Clone(g.names))
		g.names = g.names[:0]
	}
	at := len(g.fullNames)<<nameBlockBits + len(g.names)
	g.names = append(g.names, name...)
	g.entries = append(g.entries, listEntry{
		cookie: cookieOf(name), fileid: fileid, at: uint32(at), size: uint8(len(name)),
	})
}

// fill gives a listing all that was added.
func (g *gather) fill(l *listing) {
	l.entries = slices.Concat(append(g.fullEntries, g.entries)...)
	l.names = append(g.fullNames, slices.Clone(g.names))
}

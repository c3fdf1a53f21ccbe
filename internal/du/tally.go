package du

import "sync"

// tally is what was counted so far, in all layers.
type tally struct {
	mu      sync.Mutex
	index   map[string]int // of entries
	entries []Entry
	shared  []uint64
	names   []uint64
	unread  []string
	more    int
	claims  map[inode]claim // of the layer that is counted
}

// inode tells a file of a layer from the others.
type inode struct{ dev, ino uint64 }

// claim is a file with several names.
type claim struct {
	entry int // whose it is, or many
	bytes uint64
}

// many is the entry of a file that several have.
const many = -1

// link is one name of such a file.
type link struct {
	inode
	claim
}

func newTally(layers int) *tally {
	return &tally{index: map[string]int{}, shared: make([]uint64, layers), names: make([]uint64, layers)}
}

// begin begins with another layer, whose inodes are others.
func (t *tally) begin() { t.claims = map[inode]claim{} }

// entry gives the number of an entry.
func (t *tally) entry(name string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	i, ok := t.index[name]
	if !ok {
		i = len(t.entries)
		t.index[name] = i
		t.entries = append(t.entries, Entry{Name: name, Bytes: make([]uint64, len(t.names))})
	}
	return i
}

// add adds what belongs to an entry.
func (t *tally) add(layer, entry int, bytes uint64) {
	t.mu.Lock()
	t.entries[entry].Bytes[layer] += bytes
	t.mu.Unlock()
}

// addLinks adds names of files that may have others. farm is the entry that only has what nobody
// else has.
func (t *tally) addLinks(layer int, links []link, farm int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, l := range links {
		have, known := t.claims[l.inode]
		switch {
		case !known:
			t.claims[l.inode] = l.claim
			t.entries[l.entry].Bytes[layer] += l.bytes
		case have.entry == l.entry || have.entry == many || l.entry == farm:
		case have.entry == farm:
			t.entries[farm].Bytes[layer] -= have.bytes
			t.entries[l.entry].Bytes[layer] += have.bytes
			t.claims[l.inode] = claim{l.entry, have.bytes}
		default:
			t.entries[have.entry].Bytes[layer] -= have.bytes
			t.shared[layer] += have.bytes
			t.claims[l.inode] = claim{many, have.bytes}
		}
	}
}

// saw adds to the number of names.
func (t *tally) saw(layer, names int) {
	t.mu.Lock()
	t.names[layer] += uint64(names)
	t.mu.Unlock()
}

// miss notes a directory that cannot be read.
func (t *tally) miss(path string) {
	const enough = 3
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.unread) == enough {
		t.more++
		return
	}
	t.unread = append(t.unread, path)
}

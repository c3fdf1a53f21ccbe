package overlay

import "sync/atomic"

// Stats are what an overlay has in memory, and what it has done since it was opened.
type Stats struct {
	Objects int64 `json:"objects"` // in memory
	// Loaded are objects that had left memory and were made again.
	Loaded uint64 `json:"loadedObjects"`
	// OpenFiles are the descriptors that are kept open between calls.
	OpenFiles int `json:"openFiles"`
	// FileHits are reads and writes of files that were open, FileMisses those that opened one.
	FileHits   uint64 `json:"fileHits"`
	FileMisses uint64 `json:"fileMisses"`
	// ListingBytes are what listings of directories take in memory.
	ListingBytes int `json:"listingBytes"`
	// ListingHits are pages of listings that were in memory, ListingMisses directories that were read.
	ListingHits   uint64 `json:"listingHits"`
	ListingMisses uint64 `json:"listingMisses"`
	// CopyUps are objects of lower layers that were copied up, CopiedBytes the files' sizes, and
	// Copying how many are on their way.
	CopyUps     uint64 `json:"copyUps"`
	CopiedBytes uint64 `json:"copiedBytes"`
	Copying     int    `json:"copying"`
}

// tallies count what is rare. Hits of open files are counted in the shards of the node table,
// which a call touches anyway.
type tallies struct {
	loaded, opened        atomic.Uint64
	listingHits, listings atomic.Uint64
	copyUps, copiedBytes  atomic.Uint64
}

// Stats counts. It holds up nobody.
func (fs *FS) Stats() Stats {
	t := &fs.tallies
	s := Stats{
		Objects: fs.nodes.count.Load(), Loaded: t.loaded.Load(),
		OpenFiles: fs.files.held(), FileMisses: t.opened.Load(),
		ListingBytes: fs.lists.held(), ListingHits: t.listingHits.Load(), ListingMisses: t.listings.Load(),
		CopyUps: t.copyUps.Load(), CopiedBytes: t.copiedBytes.Load(), Copying: fs.copies.underWay(),
	}
	for i := range fs.nodes.shards {
		s.FileHits += fs.nodes.shards[i].hits.Load()
	}
	return s
}

// copiedUp counts an object that was copied up.
func (t *tallies) copiedUp(st *sysStat) {
	t.copyUps.Add(1)
	if st.typ() == ModeRegular {
		t.copiedBytes.Add(st.size)
	}
}

// held is how many slots hold a descriptor.
func (c *fileCache) held() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.ring {
		if e.slot != nil && e.slot.p.Load() == e.file {
			n++
		}
	}
	return n
}

// held is how many bytes listings take.
func (c *listCache) held() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bytes
}

func (u *copyUps) underWay() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.of)
}

package overlay

// DropCaches closes what is only kept open to save calls.
func (fs *FS) DropCaches() { fs.files.shrink() }

// ShortSegments has the journal's segments be short, for tests that read and write them all
// the time.
func (o *Options) ShortSegments() { o.segment = smallSegment }

// CountNodes is how many objects are in memory.
func (fs *FS) CountNodes() int64 { return fs.nodes.count.Load() }

package overlay

// DropCaches closes what is only kept open to save calls.
func (fs *FS) DropCaches() { fs.files.shrink() }

// CountNodes is how many objects are in memory.
func (fs *FS) CountNodes() int64 { return fs.nodes.count.Load() }

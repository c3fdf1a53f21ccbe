package overlay

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"
)

// Usage is what a layer itself takes: the names in its directory, marks and hidden
// files among them, and what they hold on disk. A file with several names counts once.
type Usage struct {
	Names uint64 `json:"names"`
	Bytes uint64 `json:"bytes"` // on disk
	// Complete is false where the count was cut short, or a directory could not be
	// read: it is the least that there is.
	Complete bool `json:"complete"`
}

// CountUsage counts a directory until ctx ends, which gives what was counted so far and
// no error. It reads the directory itself, follows no link and does not cross
// into other file systems.
func CountUsage(ctx context.Context, dir string) (Usage, error) {
	f, err := openDirectory(dir)
	if err != nil {
		return Usage{}, fmt.Errorf("count %s: %w", dir, err)
	}
	defer f.Close()
	var st sysStat
	fd := int(f.Fd())
	if err := sysFstat(fd, &st); err != nil {
		return Usage{}, fmt.Errorf("count %s: %w", dir, err)
	}
	c := counter{ctx: ctx, dev: st.dev, seen: map[uint64]struct{}{}}
	c.Bytes, c.Complete = st.used, true
	c.count(fd)
	return c.Usage, nil
}

type counter struct {
	Usage
	ctx  context.Context
	dev  uint64
	seen map[uint64]struct{} // inodes with several names
	buf  direntBuffer
}

// count adds what is inside a directory. Subdirectories come when the directory has
// been read: no more are open at once than the tree is deep.
func (c *counter) count(fd int) {
	var dirs []string
	err := readDirents(fd, &c.buf, func(_ uint64, _ uint8, name []byte) error {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		if c.add(fd, name) {
			dirs = append(dirs, string(name)+"\x00")
		}
		return nil
	})
	if err != nil {
		c.Complete = false
	}
	for _, name := range dirs {
		if c.ctx.Err() != nil {
			c.Complete = false
			return
		}
		c.inside(fd, name)
	}
}

// add counts one name and reports whether it is a directory to go into.
func (c *counter) add(fd int, name []byte) (dir bool) {
	var n cName
	var st sysStat
	if sysStatAt(fd, n.set(name), &st) != nil {
		return false // removed meanwhile
	}
	c.Names++
	if st.dev != c.dev {
		return false
	}
	if st.nlink > 1 && !st.isDir() {
		if _, ok := c.seen[st.ino]; ok {
			return false
		}
		c.seen[st.ino] = struct{}{}
	}
	c.Bytes += st.used
	return st.isDir()
}

func (c *counter) inside(fd int, name string) {
	sub, err := sysOpenAt(fd, cString(name), openList, 0)
	if err != nil {
		c.Complete = c.Complete && err == unix.ENOENT
		return
	}
	defer unix.Close(sub)
	c.count(sub)
}

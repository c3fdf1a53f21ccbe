package overlay

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// checkWork looks at the names in the work directory.
func (c *checker) checkWork() error {
	entries, err := os.ReadDir(c.o.Work)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("list the work directory: %w", err)
	}
	var notes []string
	for _, e := range entries {
		path := filepath.Join(c.o.Work, e.Name())
		switch {
		case isKept(e.Name()) && (e.Name() != sillyDir || e.IsDir()):
		case strings.HasPrefix(e.Name(), tmpPrefix), isCountNote(e.Name()):
			c.leftover(path)
		case isModeNote(e.Name()):
			notes = append(notes, path)
		case e.Name() == intentName:
			c.found(kindUnfinished, path, "", func() error { return c.fs.finishRename(c.o.Work) })
		case e.Name() == intentHiding:
			if !slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.Name() == intentName }) {
				c.leftover(path)
			}
		default:
			c.found(kindForeign, path, "", nil)
		}
	}
	c.checkNotes(notes)
	return c.checkSilly()
}

// leftover reports what is half made.
func (c *checker) leftover(path string) {
	var st sysStat
	if sysStatAt(unix.AT_FDCWD, cString(path+"\x00"), &st) == nil {
		c.loses(&st)
	}
	c.found(kindLeftover, path, "", func() error { return removeTree(path) })
}

// checkNotes looks at what was noted before objects' modes were widened. What lies deeper
// comes first, as in mendModes.
func (c *checker) checkNotes(paths []string) {
	to := func(path string) string {
		to, _ := os.Readlink(path)
		return to
	}
	slices.SortStableFunc(paths, func(a, b string) int { return cmp.Compare(len(to(b)), len(to(a))) })
	for _, path := range paths {
		m, ok := parseModeNote(filepath.Base(path))
		if object := to(path); ok && object != "" {
			c.found(kindWidened, path, "of "+object, func() error {
				if err := m.putBack(object); err != nil {
					return err
				}
				return os.Remove(path)
			})
			continue
		}
		c.leftover(path)
	}
}

// loses notes that a file has a name that goes.
func (c *checker) loses(st *sysStat) {
	if !st.isDir() && st.nlink > 1 {
		c.gone[c.fs.identity(0, st)]++
	}
}

// checkSilly looks at the files that were removed while they were open. Clients may
// have them open still.
func (c *checker) checkSilly() error {
	dir := filepath.Join(c.o.Work, sillyDir)
	if info, err := os.Lstat(dir); err != nil || !info.IsDir() {
		return nil
	}
	var err error
	if c.fs.silly.run, err = kernelRun(); err != nil {
		return err
	}
	return c.eachIn(dir, c.checkSillyFile)
}

// eachIn calls f for what is in a directory outside the upper.
func (c *checker) eachIn(dir string, f func(*object) error) error {
	n, err := outsideDir(dir)
	if err != nil {
		return err
	}
	part := &n.dir.stack.Load().parts[0]
	defer part.dir.drop()
	return c.enter(n, part, func(fd int) error {
		l, err := c.names(fd)
		for err == nil && len(l) > 0 {
			var e dirName
			e, l = l.next()
			o := &object{fd: fd, name: e.name, dir: dir}
			if err = c.look(o); err == nil {
				err = f(o)
			}
		}
		return err
	})
}

func (c *checker) checkSillyFile(o *object) error {
	run, _, _, ok := parseSilly(goString(o.name))
	switch {
	case !ok || o.st.isDir():
		c.found(kindForeignFile, o.path(), "", nil)
	case c.fs.silly.unused(run) || o.isWhiteout():
		c.unlink(kindLeftover, o)
	case o.origin() != ID{}:
		c.origins[o.origin()] = c.fs.identity(0, &o.st)
	}
	return nil
}

// unlink reports a file that can go.
func (c *checker) unlink(k *kind, o *object) {
	c.loses(&o.st)
	c.found(k, o.path(), "", func() error { return sysUnlinkAt(o.fd, o.name, 0) })
}

// indexEntry is a file in the index.
type indexEntry struct {
	path  string
	inode ID
	nlink uint32 // with the names that were removed since
	// links is what the file says of its lower names. Only a regular file is sure to
	// be able to.
	links         int32
	says, regular bool
}

func (c *checker) indexPath() string { return filepath.Join(c.o.Work, indexDir) }

// openWork opens the work directory, which has to be the upper's, and the index.
func (c *checker) openWork() error {
	if err := c.fs.lock(c.o.Work); err != nil {
		return err
	}
	was, _, err := c.fs.upperNotes(c.o.Work)
	if err != nil {
		return err
	}
	if c.fs.work, err = outsideDir(c.o.Work); err != nil {
		return err
	}
	_, err = os.Lstat(c.indexPath())
	switch {
	case err == nil:
		c.fs.index, err = outsideDir(c.indexPath())
		return err
	case was == upperNote{}:
		return &UnfitError{Dir: c.o.Work, Reason: "was never a server's work directory", Mend: "give the one that serve is given"}
	}
	return nil
}

// inIndexDir calls f with the index's descriptor. It makes an index where there is none.
func (c *checker) inIndexDir(f func(fd int) error) error {
	if c.fs.index == nil {
		if err := os.MkdirAll(c.indexPath(), 0o700); err != nil {
			return err
		}
		var err error
		if c.fs.index, err = outsideDir(c.indexPath()); err != nil {
			return err
		}
	}
	dir, err := c.fs.dirFD(c.fs.index, 0)
	if err != nil {
		return err
	}
	defer dir.release()
	return f(dir.fd)
}

// checkIndex looks at the index by itself, and takes in what it says.
func (c *checker) checkIndex() error {
	if c.fs.index == nil {
		return nil
	}
	return c.eachIn(c.indexPath(), c.checkIndexEntry)
}

func (c *checker) checkIndexEntry(o *object) error {
	name := goString(o.name)
	if id, ok := parseIndexName(name); ok && !o.st.isDir() {
		c.checkIndexed(o, id)
		return nil
	}
	if id, n, ok := parseHiddenName(name); ok && o.st.typ() == ModeRegular && o.st.size == 0 {
		c.takeCount(id, n)
		return nil
	}
	if !o.st.isDir() && o.st.nlink > 1 || o.st.typ() == ModeRegular && o.st.size == 0 {
		c.unlink(kindLeftover, o)
		return nil
	}
	c.found(kindBadIndex, o.path(), "", nil)
	return nil
}

// checkIndexed looks at a copied-up file.
func (c *checker) checkIndexed(o *object, id ID) {
	inode := c.fs.identity(0, &o.st)
	e := &indexEntry{path: o.path(), inode: inode, nlink: o.st.nlink, regular: o.st.typ() == ModeRegular}
	if c.repair {
		e.nlink += c.gone[inode]
	}
	e.links, e.says = linksOf(o.marks)
	c.inIndex[inode] = id
	c.origins[id] = inode
	c.lowerObject(id).indexed = e
	if e.regular && o.origin() != id {
		c.found(kindIndexOrigin, o.path(), "", func() error { return c.setMark(o, markOrigin, encodeOrigin(id)) })
	}
}

// takeCount takes in a count of hidden names. Of two the larger is newer.
func (c *checker) takeCount(id ID, n int32) {
	less := min(n, c.counted[id])
	c.counted[id] = max(n, c.counted[id])
	c.lowerObject(id)
	c.uncount(id, less)
}

func (c *checker) hiddenPath(name string) string {
	return filepath.Join(c.indexPath(), strings.TrimSuffix(name, "\x00"))
}

// judgeIndexed looks at a copied-up file that has, or had, several lower names.
func (c *checker) judgeIndexed(id ID, l *lowerObject) {
	e, have, want := l.indexed, c.counted[id], l.nlink-(l.all-l.shown)
	switch {
	case e.nlink-c.gone[e.inode] == 1 && l.shown == 0:
		c.uncount(id, have)
		c.found(kindOrphanIndex, e.path, "", func() error {
			return c.inIndexDir(func(fd int) error { return sysUnlinkAt(fd, cString(indexName(id)+"\x00"), 0) })
		})
	case !e.regular && !e.says: // it cannot
		c.recount(id, have, want)
	case !e.says || e.links != want:
		c.found(kindIndexLinks, e.path, fmt.Sprintf("%d for %d", e.links, want), func() error {
			return c.inIndexDir(func(fd int) error { return c.noteLinks(fd, cString(indexName(id)+"\x00"), want) })
		})
		fallthrough
	default:
		c.uncount(id, have)
	}
}

func (c *checker) noteLinks(fd int, name *byte, links int32) error {
	_, err := c.fs.setLowerLinks(fd, name, links)
	return err
}

// judgeCopy looks at a copied-up file that is not in the index.
func (c *checker) judgeCopy(id ID, l *lowerObject) {
	c.uncount(id, c.counted[id])
	if l.nlink < 2 || l.shown == 0 {
		return
	}
	c.found(kindMissingIndex, l.copy, "", func() error {
		return c.at(l.copy, func(fd int, name *byte) error {
			return c.inIndexDir(func(index int) error {
				if err := c.noteLinks(fd, name, l.nlink-(l.all-l.shown)); err != nil {
					return err
				}
				return sysLinkAt(fd, name, index, cString(indexName(id)+"\x00"))
			})
		})
	})
}

// judgeCount looks at the number of hidden names of a file that was not copied up.
func (c *checker) judgeCount(id ID, l *lowerObject) {
	have, want := c.counted[id], l.all-l.shown
	switch {
	case l.shown > 0:
		c.recount(id, have, want)
	case have != want:
		c.uncount(id, have)
	}
}

// uncount reports a count that is not needed; 0 is none.
func (c *checker) uncount(id ID, n int32) {
	if n == 0 {
		return
	}
	name := hiddenName(id, n)
	c.found(kindHiddenLeftover, c.hiddenPath(name), "", func() error {
		return c.inIndexDir(func(fd int) error { return sysUnlinkAt(fd, cString(name), 0) })
	})
}

// recount reports a count that is not what it ought to be.
func (c *checker) recount(id ID, have, want int32) {
	if have == want {
		return
	}
	path := c.hiddenPath(hiddenName(id, max(have, want)))
	c.found(kindHiddenCount, path, fmt.Sprintf("%d for %d", have, want), func() error {
		return c.inIndexDir(func(fd int) error {
			switch {
			case have == 0:
				return c.fs.makeEmpty(fd, cString(hiddenName(id, want)))
			case want == 0:
				return sysUnlinkAt(fd, cString(hiddenName(id, have)), 0)
			}
			return sysRenameAt(fd, cString(hiddenName(id, have)), fd, cString(hiddenName(id, want)))
		})
	})
}

// checkJournal looks at the state directory's journal. One of another run of the
// kernel is of no use, and replaced.
func (c *checker) checkJournal() error {
	if c.o.State == "" {
		return nil
	}
	dir := filepath.Join(c.o.State, journalName)
	info, err := os.Lstat(dir)
	switch {
	case errors.Is(err, os.ErrNotExist), err == nil && info.Mode().IsRegular(): // an older server's
		return nil
	case err != nil:
		return fmt.Errorf("look at the places of known objects: %w", err)
	case !info.IsDir():
		c.found(kindForeignJournal, dir, "", nil)
		return nil
	}
	path := filepath.Join(dir, journalIndexName)
	if _, err := os.Lstat(path + newSuffix); err == nil {
		c.found(kindLeftover, path+newSuffix, "", func() error { return os.Remove(path + newSuffix) })
	}
	var index *journalIndex
	head, err := journalHead(c.fs.layers[0].path)
	if err == nil {
		index, err = openIndex(dir, head)
	}
	if err != nil {
		return fmt.Errorf("open the places of known objects: %w", err)
	}
	if index == nil {
		return nil
	}
	defer index.close()
	return c.checkLog(dir, index.get(wordBegin), index.get(wordEnd))
}

// checkLog looks for what no server can have written in the log of a journal.
func (c *checker) checkLog(dir string, begin, end int64) error {
	for n := begin / segmentBytes; n <= end/segmentBytes; n++ {
		path := filepath.Join(dir, strconv.FormatInt(n, 10))
		b, err := readRegular(path)
		if err != nil {
			return fmt.Errorf("read the places of known objects: %w", err)
		}
		used := len(b)
		if n == end/segmentBytes {
			used = int(end % segmentBytes)
		}
		if good := goodRecords(b[:min(used, len(b))]); good < used {
			index := filepath.Join(dir, journalIndexName)
			c.found(kindBadJournal, path, fmt.Sprintf("from byte %d on", good), func() error { return os.Remove(index) })
			return nil
		}
	}
	return nil
}

// goodRecords gives where what is not a record, and not the zeros behind the last one,
// begins; len(b) where nothing does.
func goodRecords(b []byte) (off int) {
	for {
		_, rest, ok := decodeRecord(b[off:])
		if !ok {
			break
		}
		off = len(b) - len(rest)
	}
	for _, v := range b[off:] {
		if v != 0 {
			return off
		}
	}
	return len(b)
}

package overlay

import (
	"context"
	"errors"
	"os"
)

// Problem is something in a store that is not as a server would have left it.
type Problem struct {
	// Kind names what is wrong, for programs: see the list in fsckkinds.go.
	Kind string
	// Path is what it is about.
	Path string
	// What says what is wrong, and what it does to who uses the store.
	What string
	// Mend says what repair does about it. Empty: nothing, somebody has to decide.
	Mend string
	// Harmless marks leftovers: nobody who uses the store can tell that they are there.
	Harmless bool
	// Mended says that repair has mended it, Err why it could not.
	Mended bool
	Err    error
}

// Fsck looks at a store that no server serves, and gives all that is wrong with it
// to report, in the order in which it is met. With repair it mends what can be
// mended without losing anything that a client could see. Without, it changes
// nothing but, for a moment, the mode of a directory that its owner may not read.
//
// The options have to be those of the server: whether a whiteout hides something is
// a question about the lower directories. Others than the last server had give a
// *LowersError; an empty one with repair, and a work directory that is not the upper's, an
// *UnfitError. Of an upper that was served last without lower directories, what depends on
// those from before is left alone. The state directory need not be there.
//
// The errors are those of Open, ctx's, and those of directories that cannot be read. It
// keeps in memory the names of the directories above where it is, and the
// copied-up objects, which is some ten bytes for each name and a hundred for each object.
func Fsck(ctx context.Context, o Options, repair bool, report func(Problem)) error {
	o.setDefaults()
	c := &checker{ctx: ctx, o: &o, fs: newFS(&o), repair: repair, report: report}
	err := c.open()
	if err == nil {
		err = c.check()
	}
	if err == nil && c.repair && c.again {
		c.second = true
		err = c.check()
	}
	return errors.Join(err, c.fs.Close())
}

// checker is one run of Fsck.
type checker struct {
	ctx    context.Context
	o      *Options
	fs     *FS
	repair bool
	report func(Problem)
	// inIndex has the IDs of the index's files by the inodes' own.
	inIndex map[ID]ID
	// gone counts, by inode, the names of files that are leftovers.
	gone map[ID]uint32
	// counted are the counts of hidden names.
	counted map[ID]int32
	// origins has the inodes of copied-up objects by the IDs from before.
	origins map[ID]ID
	// lower are the objects of lower layers that have to be looked for there.
	lower map[ID]*lowerObject
	// unsure is set when a lower directory could not be read: what was not found
	// may be in there.
	unsure bool
	// again is set when there is more to be seen once what was found is mended.
	// second says that it was, and is.
	again, second bool
	// marked is set when a mark was met that only counts over lower layers.
	marked bool

	list, value []byte // for the names of an object's marks, and the value of one
}

// open takes the locks that a server takes, and opens what is there.
func (c *checker) open() error {
	fs, o := c.fs, c.o
	if err := fs.lock(o.Upper); err != nil {
		return err
	}
	if err := fs.openLayers(append([]string{o.Upper}, o.Lowers...)); err != nil {
		return err
	}
	if err := c.openWork(); err != nil {
		return err
	}
	if err := c.sameLowers(); err != nil {
		return err
	}
	if c.repair {
		if err := c.lowersHold(); err != nil {
			return err
		}
	}
	if _, _, err := fs.readSpaces(o.Work); err != nil {
		return err
	}
	fs.marked = true
	fs.readOnly = true // names are left as they are spelt
	if err := fs.checkNames(o); err != nil {
		return err
	}
	fs.readOnly = false // or it could not look into what its owner may not read
	if err := fs.openRoot(); err != nil {
		return err
	}
	if o.State == "" {
		return nil
	}
	err := fs.lock(o.State)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// check goes from what others lean on to what leans on it: the index before the files
// that it knows, all objects before the counts of their names.
func (c *checker) check() error {
	c.inIndex, c.gone, c.counted = map[ID]ID{}, map[ID]uint32{}, map[ID]int32{}
	c.origins, c.lower = map[ID]ID{}, map[ID]*lowerObject{}
	c.unsure, c.again, c.marked = false, false, false
	for _, step := range []func() error{
		c.checkWork, c.checkIndex, c.checkUpper, c.checkLower, c.checkJournal,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// found reports a problem, and mends it where that is asked for. detail says more
// than the kind does; mend may be nil.
func (c *checker) found(k *kind, path, detail string, mend func() error) {
	if c.second && k.mend == "" {
		return // it was reported
	}
	p := Problem{Kind: k.name, Path: path, What: k.what, Mend: k.mend, Harmless: k.harmless}
	if detail != "" {
		p.What += " (" + detail + ")"
	}
	if c.repair && mend != nil {
		p.Err = mend()
		p.Mended = p.Err == nil
	}
	c.report(p)
}

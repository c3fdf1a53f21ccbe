package overlay

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// indexDir is the directory in the work directory that holds the index.
const indexDir = "index"

// isKept reports whether a name in the work directory is there between two starts.
func isKept(name string) bool {
	return name == indexDir || name == sillyDir || name == upperName || name == spacesName || name == lowersName
}

// openWork opens the work directory: it makes it, sweeps what an earlier run left
// half made, and tries what the upper has to be able to do. A read-only overlay takes
// from it what is there.
func (fs *FS) openWork(o *Options) error {
	index, silly := filepath.Join(o.Work, indexDir), filepath.Join(o.Work, sillyDir)
	if fs.readOnly {
		if _, _, err := fs.upperNotes(o.Work); err != nil {
			return err
		}
		return fs.openKept(index, silly)
	}
	if err := unix.Access(o.Upper, unix.W_OK|unix.X_OK); err != nil {
		return &UnfitError{Dir: o.Upper, Reason: "cannot be written to", Err: err}
	}
	unfit := func(err error) error { return unfitOrFull(o.Work, "cannot be made the work directory", err) }
	if err := os.MkdirAll(o.Work, 0o700); err != nil {
		return unfit(err)
	}
	if err := fs.lock(o.Work); err != nil {
		return err
	}
	if err := sweep(o.Work); err != nil {
		return err
	}
	was, now, err := fs.upperNotes(o.Work)
	if err != nil {
		return err
	}
	for _, dir := range []string{index, silly} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return unfit(err)
		}
	}
	if fs.work, err = outsideDir(o.Work); err != nil {
		return err
	}
	if err := fs.tryUpper(o); was == now && isFull(err) {
		fs.assumeUpper()
	} else if err != nil {
		return err
	}
	if err := fs.keepUpperNote(o.Work, was, now); err != nil {
		return err
	}
	return fs.openKept(index, silly)
}

// openKept opens what the work directory keeps over restarts; in one that was never
// written to it is not there.
func (fs *FS) openKept(index, silly string) (err error) {
	if !fs.lacks(index) {
		if err := fs.openIndex(index); err != nil {
			return err
		}
	}
	if !fs.lacks(silly) {
		fs.silly.dir, err = outsideDir(silly)
	}
	return err
}

func (fs *FS) lacks(dir string) bool {
	_, err := os.Stat(dir)
	return fs.readOnly && errors.Is(err, os.ErrNotExist)
}

func (fs *FS) openIndex(dir string) (err error) {
	if fs.index, err = outsideDir(dir); err != nil {
		return err
	}
	names, err := os.ReadDir(dir)
	if err != nil {
		return &UnfitError{Dir: dir, Reason: "cannot be listed", Err: err}
	}
	fs.indexed.load(names)
	for _, e := range names {
		fs.hidden.load(e.Name())
		if err := fs.loadOrigin(e); err != nil {
			return fmt.Errorf("read the index: %w", err)
		}
	}
	return nil
}

// loadOrigin takes in the ID of what cannot carry it as a mark.
func (fs *FS) loadOrigin(e os.DirEntry) error {
	id, ok := parseIndexName(e.Name())
	if !ok || e.Type().IsRegular() {
		return nil
	}
	dir, err := fs.dirFD(fs.index, 0)
	if err != nil {
		return err
	}
	defer dir.release()
	var c cName
	var st sysStat
	if err := sysStatAt(dir.fd, c.set([]byte(e.Name())), &st); err != nil {
		return err
	}
	fs.origins.keep(fs.identity(0, &st), id)
	return nil
}

// listWork lists the work directory. Anything that is not the server's own says that the
// directory is another's: it is left alone.
func listWork(dir string) ([]os.DirEntry, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, &UnfitError{Dir: dir, Reason: "cannot be listed", Err: err}
	}
	for _, e := range entries {
		name := e.Name()
		if !isModeNote(name) && !isKept(name) && !isCountNote(name) && !isIntent(name) && !strings.HasPrefix(name, tmpPrefix) {
			return nil, &UnfitError{Dir: dir, Reason: fmt.Sprintf("holds %q, which is not nixnfsd's", name), Mend: "move that away where the directory is this upper's, else choose an empty one"}
		}
	}
	return entries, nil
}

// sweep removes what is half made from the work directory.
func sweep(dir string) error {
	entries, err := listWork(dir)
	if err != nil {
		return err
	}
	var notes []string
	for _, e := range entries {
		if isModeNote(e.Name()) {
			notes = append(notes, e.Name())
		}
	}
	mendModes(dir, notes)
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), tmpPrefix) {
			continue
		}
		if err := removeTree(filepath.Join(dir, e.Name())); err != nil {
			return &UnfitError{Dir: dir, Reason: "cannot be swept", Err: err}
		}
	}
	return nil
}

// keepFile writes a file of the work directory anew: it is there whole or as it was. On a
// full disk its news can wait for another start.
func (fs *FS) keepFile(work, name string, data []byte) error {
	tmp := filepath.Join(work, strings.TrimSuffix(fs.tmpName(), "\x00"))
	err := os.WriteFile(tmp, data, 0o600)
	if err == nil {
		err = os.Rename(tmp, filepath.Join(work, name))
	}
	if isFull(err) {
		return nil
	}
	return err
}

// removeTree removes a tree whose directories may be read-only.
func removeTree(path string) error {
	err := os.RemoveAll(path)
	if !errors.Is(err, os.ErrPermission) {
		return err
	}
	_ = filepath.WalkDir(path, func(p string, d os.DirEntry, err error) error {
		if d != nil && d.IsDir() {
			return os.Chmod(p, 0o700)
		}
		return nil
	})
	return os.RemoveAll(path)
}

// tryUpper tries on the upper's file system what copy-up and whiteouts will do:
// in the work directory, so that the upper's own times stay.
func (fs *FS) tryUpper(o *Options) error {
	unfit := func(reason string, err error) error {
		if isFull(err) {
			return unwritable(o.Work, err)
		}
		return &UnfitError{Dir: o.Upper, Reason: reason, Err: err}
	}
	work, err := fs.dirFD(fs.work, 0)
	if err != nil {
		return err
	}
	defer work.release()
	var st sysStat
	if err := sysFstat(work.fd, &st); err != nil || st.dev != fs.layers[0].dev {
		return &UnfitError{Dir: o.Work, Reason: "is on another file system than " + o.Upper, Mend: "choose one on the same", Err: err}
	}
	name, other := cString(fs.tmpName()), cString(fs.tmpName())
	fd, err := sysOpenAt(work.fd, name, openMake, 0o600)
	if err != nil {
		return unwritable(o.Work, err)
	}
	defer unix.Close(fd)
	defer sysUnlinkAt(work.fd, name, 0)
	if err := sysLinkAt(work.fd, name, work.fd, other); err != nil {
		return unfit("is on a file system without hard links, which a Nix store needs", err)
	}
	defer sysUnlinkAt(work.fd, other, 0)
	if err := fs.tryTimes(target{fd: fd, dirfd: work.fd, name: name}); err != nil {
		return unfit("is on a file system where times cannot be set", err)
	}
	if err := fs.tryExchange(work.fd, name); err != nil {
		return unwritable(o.Work, err)
	}
	if len(o.Lowers) == 0 {
		return nil
	}
	if err := setMark(work.fd, name, markWhiteout, []byte("y")); err != nil {
		return unfit("is on a file system without user extended attributes, which lower directories need", err)
	}
	return nil
}

// assumeUpper goes by what shows without a file to try it on, where a full disk has no room
// for one: that the upper can do what it has to was found out when it was served before.
func (fs *FS) assumeUpper() {
	times := 0
	for _, n := range []*node{fs.root, fs.work} {
		var st sysStat
		if sysFstat(n.dir.stack.Load().parts[0].dir.p.Load().fd, &st) == nil {
			times |= int(st.ctime.Nsec)
		}
	}
	fs.coarse = times == 0
	fs.stepwise = fs.layers[0].hfsplus
}

// unwritable says why nothing can be made in a directory.
func unwritable(dir string, err error) error { return unfitOrFull(dir, "cannot be written to", err) }

// unfitOrFull says why a directory cannot be used: to make room where there is none.
func unfitOrFull(dir, reason string, err error) error {
	e := &UnfitError{Dir: dir, Reason: reason, Err: err}
	if isFull(err) {
		e.Mend = mendFull
	}
	return e
}

// tmpPrefix starts the names of what is half made, as in overlayfs.
const tmpPrefix = "#"

// tmpName gives a C string that names nothing in the work directory yet.
func (fs *FS) tmpName() string {
	return tmpPrefix + strconv.FormatUint(fs.tmp.Add(1), 36) + "\x00"
}

// checkMarks finds out whether marks have to be read, and notes on the upper
// that they have, as lower directories may be left out next time.
func (fs *FS) checkMarks(o *Options) error {
	upper := fs.root.dir.stack.Load().parts[0].dir.acquire()
	defer upper.release()
	var b [2]byte
	_, err := getMark(upper.fd, &dotName[0], markLayered, b[:])
	fs.marked = err == nil || len(o.Lowers) > 0
	if err == nil || len(o.Lowers) == 0 || fs.readOnly {
		return nil
	}
	if err := setMark(upper.fd, &dotName[0], markLayered, []byte("y")); isFull(err) {
		return unwritable(o.Upper, err)
	} else if err != nil {
		return &UnfitError{Dir: o.Upper, Reason: "is on a file system without user extended attributes, which lower directories need", Err: err}
	}
	return nil
}

package model

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
)

// sameTrees compares all that both sides show.
func (r *run) sameTrees() string {
	fd, err := r.kernel.open("/")
	if err != nil {
		return err.Error()
	}
	defer unix.Close(fd)
	c := comparer{run: r, met: map[uint64]uint64{}}
	return c.dir("/", r.served.root, fd)
}

// comparer walks through both trees. met has the objects by our fileid: two at one
// time must not share one.
type comparer struct {
	*run
	met map[uint64]uint64
}

func (c *comparer) dir(path string, fh nfsclient.FH, fd int) string {
	theirs, err := c.kernel.list(fd)
	if err != nil {
		return fmt.Sprintf("%s: the kernel: %v", path, err)
	}
	entries, err := c.served.listPlus(fh)
	if err != nil {
		return fmt.Sprintf("%s: we: %v", path, err)
	}
	ours := map[string]uint64{}
	dirs := uint32(0)
	for name, e := range entries {
		ours[name] = e.Fileid
		if e.Attr != nil && e.Attr.Type == nfsclient.Dir {
			dirs++
		}
	}
	if s := c.sameNames(ours, theirs); s != "" {
		return path + ": " + s
	}
	a, err := c.served.Getattr(c.served.ctx, fh)
	if err != nil || a.Nlink != 1 && a.Nlink != 2+dirs {
		return fmt.Sprintf("%s has %d links and holds %d directories, %v", path, a.Nlink, dirs, err)
	}
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		e := entries[name]
		if s := c.entry(filepath.Join(path, name), &e, fd, name); s != "" {
			return s
		}
	}
	return ""
}

func (c *comparer) entry(path string, e *nfsclient.EntryPlus, dirfd int, name string) string {
	if e.Attr == nil || e.FH == nil || e.Attr.Fileid != e.Fileid {
		return path + ": listed with the wrong attributes, or none"
	}
	fd, err := unix.Openat(dirfd, name, pathFlags, 0)
	if err != nil {
		return fmt.Sprintf("%s: the kernel: %v", path, err)
	}
	defer unix.Close(fd)
	theirs, err := c.kernel.attr(fd)
	if err != nil {
		return fmt.Sprintf("%s: the kernel: %v", path, err)
	}
	if s := c.sameObject(fattr(e.Attr), theirs); s != "" {
		return path + ": " + s
	}
	if was, ok := c.met[e.Fileid]; ok && was != theirs.id {
		return path + ": two objects have one fileid"
	}
	c.met[e.Fileid] = theirs.id
	return c.content(path, e, fd)
}

func (c *comparer) content(path string, e *nfsclient.EntryPlus, fd int) string {
	now := c.served.about(*e.FH, nil)
	if now.err != nil || *now.attr != *fattr(e.Attr) {
		return fmt.Sprintf("%s: listed as %v, and it is %v, %v", path, fattr(e.Attr), now.attr, now.err)
	}
	var ours, theirs string
	var err, kernelErr error
	switch e.Attr.Type {
	case nfsclient.Dir:
		return c.dir(path, *e.FH, fd)
	case nfsclient.Reg:
		ours, err = c.served.readAll(*e.FH)
		theirs, kernelErr = c.kernel.readAll(fd)
	case nfsclient.Lnk:
		var r nfsclient.ReadlinkRes
		r, err = c.served.Readlink(c.served.ctx, *e.FH)
		ours = r.Target
		theirs, kernelErr = readlinkAt(fd)
	}
	if err != nil || kernelErr != nil || ours != theirs {
		return fmt.Sprintf("%s: we say %s, %v, the kernel %s, %v", path, abridge(ours), err, abridge(theirs), kernelErr)
	}
	return ""
}

// sight is what a mount shows of one object.
type sight struct {
	attr
	data   string
	xattrs string
}

// see describes a whole mount.
func see(root string) (map[string]sight, error) {
	all := map[string]sight{}
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		s, err := seeOne(path)
		if os.IsNotExist(err) { // a whiteout that hides nothing; see kernel.list
			return nil
		}
		all[path[len(root):]] = s
		return err
	})
	return all, err
}

// readlinkAt gives the target of an open symbolic link.
func readlinkAt(fd int) (string, error) {
	b := make([]byte, 4096)
	n, err := unix.Readlinkat(fd, "", b)
	return string(b[:max(n, 0)]), err
}

func seeOne(path string) (s sight, err error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return s, err
	}
	s.attr = *attrOf(&st)
	marks, err := xattrs(path, "user.")
	if err != nil {
		return s, err
	}
	for name := range marks {
		if strings.HasPrefix(name, unprivileged.prefix) || strings.HasPrefix(name, "user.nixnfsd.") {
			delete(marks, name)
		}
	}
	s.xattrs = fmt.Sprint(marks)
	switch s.typ {
	case nfsclient.Reg:
		b, err := os.ReadFile(path)
		s.data = string(b)
		return s, err
	case nfsclient.Lnk:
		s.data, err = os.Readlink(path)
	}
	return s, err
}

// sameInLayers lets the kernel mount the layers that ours left, and compares what it
// shows with the oracle.
func (r *run) sameInLayers() string {
	if r.escaped {
		return ""
	}
	layers := append([]string{r.served.options.Upper}, r.served.options.Lowers...)
	for _, dir := range layers {
		if err := translate(dir); err != nil {
			return err.Error()
		}
	}
	if len(layers) == 1 { // overlayfs wants two
		layers = append(layers, filepath.Join(r.dir, "kernel", "empty"))
	}
	view := filepath.Join(r.dir, "view")
	if err := mountOverlay(view, "redirect_dir=follow,lowerdir="+strings.Join(layers, ":")); err != nil {
		return err.Error()
	}
	defer unix.Unmount(view, unix.MNT_DETACH)
	got, err := see(view)
	if err != nil {
		return fmt.Sprintf("our layers: %v", err)
	}
	want, err := see(r.kernel.root)
	if err != nil {
		return fmt.Sprintf("the oracle: %v", err)
	}
	return r.sameSights(got, want)
}

// sameSights leaves out files with several names: of one that was copied up, overlayfs
// finds the copy by the index only, which layers alone do not have.
func (r *run) sameSights(got, want map[string]sight) string {
	for _, path := range slices.Sorted(maps.Keys(want)) {
		w, g := want[path], got[path]
		if w.typ != nfsclient.Dir && max(w.nlink, g.nlink) > 1 {
			if g.typ != w.typ {
				return fmt.Sprintf("%s in our layers is of type %d", path, g.typ)
			}
			continue
		}
		g.nlink = w.nlink
		if s := r.sameAttr(&g.attr, &w.attr); s != "" || g.data != w.data || g.xattrs != w.xattrs {
			return fmt.Sprintf("%s in our layers: %s, %s with %s; the kernel has %s with %s", path, s, abridge(g.data), g.xattrs, abridge(w.data), w.xattrs)
		}
	}
	for path := range got {
		if _, ok := want[path]; !ok {
			return fmt.Sprintf("%s in our layers is not there to the kernel", path)
		}
	}
	return ""
}

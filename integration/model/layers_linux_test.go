package model

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// names are few, so that operations often meet what others made. Two of them are one to
// a volume that folds case.
var names = []string{"a", "b", "é", "É"}

// maxNames is how deep the layers and the paths of operations go.
const maxNames = 3

func genPath(least int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(rapid.SampledFrom(names), least, maxNames).Draw(t, "path"), "/")
	})
}

// entry is one object of a lower layer.
type entry struct {
	what what
	path string
	// arg is a file's data, a symlink's target or another name.
	arg   string
	mode  perm
	uid   int
	xattr bool // it has an extended attribute of the user's
}

type what string

// What a layer can hold.
const (
	aFile     what = "file"
	aDir      what = "dir"
	anOpaque  what = "opaque dir"
	aSymlink  what = "symlink"
	aFIFO     what = "fifo"
	aSocket   what = "socket"
	aLink     what = "link"
	aWhiteout what = "whiteout" // a marked file
	aDevice   what = "device whiteout"
)

// perm is a mode without the type.
type perm uint32

func (p perm) String() string { return fmt.Sprintf("%#o", uint32(p)) }

var (
	genWhat = rapid.SampledFrom([]what{aDir, aDir, aDir, aFile, aFile, anOpaque, aSymlink, aFIFO, aSocket, aLink, aLink, aWhiteout, aWhiteout, aDevice})
	genMode = rapid.SampledFrom([]perm{0o644, 0o755, 0o444, 0o600, 0o000, 0o7777, 0o4755, 0o2755, 0o1777, 0o2644})
)

func genEntry() *rapid.Generator[entry] {
	return rapid.Custom(func(t *rapid.T) entry {
		e := entry{what: genWhat.Draw(t, "what"), path: genPath(1).Draw(t, "path")}
		switch e.what {
		case aFile:
			e.arg = rapid.SampledFrom([]string{"", "lower", strings.Repeat("0123456789", 1000)}).Draw(t, "data")
		case aSymlink:
			e.arg = genTarget.Draw(t, "target")
		case aLink:
			e.arg = genPath(1).Draw(t, "of")
		}
		e.mode = genMode.Draw(t, "mode")
		e.uid = rapid.SampledFrom([]int{0, 0, 1000}).Draw(t, "uid")
		e.xattr = rapid.Bool().Draw(t, "xattr")
		return e
	})
}

var genTarget = rapid.SampledFrom([]string{"a", "nowhere", "/etc", "../b/c"})

// maxEntries bounds a layer.
const maxEntries = 14

// genLayer draws what is in a layer. A whiteout is in no directory that is opaque:
// overlayfs would show a marked file there.
func genLayer() *rapid.Generator[[]entry] {
	return rapid.SliceOfN(genEntry(), 0, maxEntries)
}

// dialect is how a layer's marks are written.
type dialect struct {
	prefix string
	// devices are the whiteouts instead of marked files: overlayfs does not remove a
	// directory over which lower ones hold marked files (6.18).
	devices bool
}

var (
	unprivileged = dialect{prefix: "user.overlay."}
	privileged   = dialect{prefix: "trusted.overlay.", devices: true}
)

// write makes a layer. What does not fit what is there already is left out, in all
// copies of the layer alike.
func (d dialect) write(dir string, layer []entry, number int) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for i := range layer {
		e := &layer[i]
		path := filepath.Join(dir, e.path)
		err := makeParents(dir, e.path)
		if err == nil {
			err = d.make(dir, path, e)
		}
		if err != nil && !doesNotFit(err) {
			return fmt.Errorf("%v: %w", e, err)
		}
	}
	return settleTimes(dir, number)
}

// makeParents makes the directories above a path, which leads over no symbolic link: that
// could lead out of the layer.
func makeParents(dir, path string) error {
	for _, name := range strings.Split(filepath.Dir(path), "/") {
		dir = filepath.Join(dir, name)
		err := os.Mkdir(dir, 0o755)
		if err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
		if info, err := os.Lstat(dir); err != nil || !info.IsDir() {
			return errors.Join(errNoFit, err)
		}
	}
	return nil
}

// errNoFit says that an entry contradicts those before it.
var errNoFit = errors.New("does not fit")

func doesNotFit(err error) bool {
	for _, target := range []error{errNoFit, unix.EEXIST, unix.ENOTDIR, unix.EISDIR, unix.ENOENT} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

func (d dialect) make(root, path string, e *entry) error {
	if err := d.makeBare(root, path, e); err != nil {
		return err
	}
	switch e.what {
	case aLink, aWhiteout, aDevice:
		return nil
	}
	if err := os.Lchown(path, e.uid, e.uid); err != nil || e.what == aSymlink {
		return err
	}
	if err := unix.Chmod(path, uint32(e.mode)); err != nil {
		return err
	}
	if e.xattr && (e.what == aFile || e.what == aDir) {
		return unix.Setxattr(path, "user.mine", []byte("value"), 0)
	}
	return nil
}

func (d dialect) makeBare(root, path string, e *entry) error {
	switch e.what {
	case aFile:
		return makeFile(path, e.arg)
	case aDir, anOpaque:
		err := os.Mkdir(path, 0o755)
		if err != nil || e.what == aDir {
			return err
		}
		return d.mark(path, "opaque", "y")
	case aSymlink:
		return os.Symlink(e.arg, path)
	case aFIFO:
		return unix.Mkfifo(path, 0o600)
	case aSocket:
		return unix.Mknod(path, unix.S_IFSOCK|0o600, 0)
	case aDevice:
		return unix.Mknod(path, unix.S_IFCHR, 0)
	case aWhiteout:
		return d.whiteout(path)
	}
	if err := makeParents(root, e.arg); err != nil { // for what is there to be inside the layer
		return err
	}
	return d.link(filepath.Join(root, e.arg), path)
}

func makeFile(path, data string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(data)
	return errors.Join(err, f.Close())
}

// link gives an object that is no mark a second name.
func (d dialect) link(old, path string) error {
	var st unix.Stat_t
	if err := unix.Lstat(old, &st); err != nil {
		return err
	}
	_, err := unix.Lgetxattr(old, d.prefix+"whiteout", nil)
	if st.Mode&unix.S_IFMT == unix.S_IFDIR || st.Mode&unix.S_IFMT == unix.S_IFCHR || err == nil {
		return errNoFit
	}
	return os.Link(old, path)
}

func (d dialect) whiteout(path string) error {
	var b [1]byte
	parent := filepath.Dir(path)
	if n, err := unix.Getxattr(parent, d.prefix+"opaque", b[:]); err == nil && string(b[:n]) == "y" {
		return errNoFit
	}
	if d.devices {
		return unix.Mknod(path, unix.S_IFCHR, 0)
	}
	if err := makeFile(path, ""); err != nil {
		return err
	}
	if err := d.mark(path, "whiteout", "y"); err != nil {
		return err
	}
	return d.mark(parent, "opaque", "x")
}

func (d dialect) mark(path, name, value string) error {
	return unix.Setxattr(path, d.prefix+name, []byte(value), 0)
}

// settleTimes gives each object times of its own, in the past and the same in each copy.
func settleTimes(dir string, number int) error {
	return filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		sum := int64(0)
		for _, c := range []byte(path[len(dir):]) {
			sum = sum*7 + int64(c)
		}
		at := time.Unix(1e9+int64(number)*1e6+sum%1e5, sum%1e9)
		ts := []unix.Timespec{unix.NsecToTimespec(at.UnixNano()), unix.NsecToTimespec(at.Add(time.Second).UnixNano())}
		return unix.UtimesNanoAt(unix.AT_FDCWD, path, ts, unix.AT_SYMLINK_NOFOLLOW)
	})
}

// translate adds to what ours wrote the marks that the kernel believes from root.
func translate(dir string) error {
	return filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.IsDir() && !d.Type().IsRegular() {
			return err
		}
		marks, err := xattrs(path, unprivileged.prefix)
		for name, value := range marks {
			if err == nil {
				err = privileged.mark(path, strings.TrimPrefix(name, unprivileged.prefix), value)
			}
		}
		return err
	})
}

// xattrs gives those of an object's extended attributes whose names begin so.
func xattrs(path, prefix string) (map[string]string, error) {
	var list [4096]byte
	n, err := unix.Llistxattr(path, list[:])
	if err != nil {
		return nil, err
	}
	var all map[string]string
	for name := range strings.SplitSeq(string(list[:n]), "\x00") {
		if name == "" || !strings.HasPrefix(name, prefix) {
			continue
		}
		var value [4096]byte
		n, err := unix.Lgetxattr(path, name, value[:])
		if err != nil {
			return nil, err
		}
		if all == nil {
			all = map[string]string{}
		}
		all[name] = string(value[:n])
	}
	return all, nil
}

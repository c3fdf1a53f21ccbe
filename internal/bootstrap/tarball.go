package bootstrap

import (
	"archive/tar"
	"bufio"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"strings"

	"github.com/mikelolasagasti/xz"
)

// Bounds of what a tarball may ask for. Official ones have some thousand entries and
// 200 MB.
const (
	maxEntries    = 1 << 20
	maxBytes      = 16 << 30 // unpacked
	maxDictionary = 64 << 20 // bytes of memory; xz -9 takes as much
	maxText       = 64 << 20 // of the registration
	maxName       = 255      // NAME_MAX
	maxPath       = 4095     // PATH_MAX without the NUL
)

// FormatError says that a tarball is none of Nix, or damaged: to try again is of no use.
type FormatError struct{ What string }

// Error says what is wrong with the tarball.
func (e *FormatError) Error() string { return "this is no binary tarball of Nix: " + e.What }

func wrong(format string, args ...any) error { return &FormatError{fmt.Sprintf(format, args...)} }

// Release is what the top folder's name tells.
type Release struct {
	Version string // of Nix, such as 2.30.1
	System  string // such as aarch64-darwin
}

// kind is what an entry is.
type kind byte

const (
	directory kind = iota
	regular
	executable
	symlink
)

// entry is a part of a store path, or a file beside the store.
type entry struct {
	base   string // of the store path; empty: of none
	name   string // in the store path, or of the file; empty: the store path itself
	kind   kind
	target string // of a symbolic link
}

// reader gives the entries of a tarball. What it gives is checked: names lead nowhere but
// down, and are of the layout.
type reader struct {
	z       *countdown
	tar     *tar.Reader
	folder  string
	Release Release
	entries int
	bytes   int64 // of their contents; holes have none in the file
}

func newReader(r io.Reader) (*reader, error) {
	z, err := xz.NewReader(bufio.NewReader(r), maxDictionary)
	if err != nil {
		return nil, broken(err)
	}
	unpacked := &countdown{z, maxBytes}
	return &reader{z: unpacked, tar: tar.NewReader(unpacked)}, nil
}

// broken tells what can be found wrong while unpacking from a tarball that is cut, and from
// what the file itself fails with.
func broken(err error) error {
	for _, known := range []error{
		xz.ErrFormat, xz.ErrOptions, xz.ErrData, xz.ErrMemlimit, xz.ErrUnsupportedCheck, tar.ErrHeader,
	} {
		if errors.Is(err, known) {
			return wrong("%v", err)
		}
	}
	if errors.Is(err, xz.ErrBuf) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errCut
	}
	return err
}

// errCut is what a tarball ends with that is not whole.
var errCut = errors.New("the tarball ends before its end: get it anew")

// countdown reads up to so many bytes.
type countdown struct {
	r    io.Reader
	left int64
}

func (c *countdown) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	if c.left -= int64(n); c.left < 0 {
		return n, tooLarge()
	}
	return n, err
}

func tooLarge() error { return wrong("it unpacks to more than %d GiB", maxBytes>>30) }

// next gives the next entry, whose content is then to be read from r. io.EOF is the end of
// a tarball that is whole.
func (r *reader) next() (*entry, error) {
	for {
		h, err := r.tar.Next()
		if errors.Is(err, io.EOF) {
			return nil, r.end()
		}
		if err != nil {
			return nil, broken(err)
		}
		if r.entries++; r.entries > maxEntries {
			return nil, wrong("it has more than %d entries", maxEntries)
		}
		if r.bytes += h.Size; r.bytes < 0 || r.bytes > maxBytes {
			return nil, tooLarge()
		}
		e, err := r.check(h)
		if e != nil || err != nil {
			return e, err
		}
	}
}

// Read reads of the content of the last entry.
func (r *reader) Read(b []byte) (int, error) {
	n, err := r.tar.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		err = broken(err)
	}
	return n, err
}

// end reads to the end of what is compressed, where its checks are.
func (r *reader) end() error {
	if r.entries == 0 {
		return wrong("it is empty")
	}
	if _, err := io.Copy(io.Discard, r.z); err != nil {
		return broken(err)
	}
	return io.EOF
}

// check judges an entry. One that nobody needs gives nil.
func (r *reader) check(h *tar.Header) (*entry, error) {
	rest, err := r.within(h.Name)
	if err != nil {
		return nil, err
	}
	e, err := kindOf(h)
	if err != nil {
		return nil, err
	}
	top, below, isBelow := strings.Cut(rest, "/")
	switch {
	case top == "store" && isBelow:
		e.base, e.name, _ = strings.Cut(below, "/")
		if !isStoreName(e.base) {
			return nil, wrong("%q is no name of a store path", e.base)
		}
		return e, nil
	case rest == "" || rest == "store":
		if e.kind != directory {
			return nil, wrong("%q is no directory", h.Name)
		}
		return nil, nil
	case isBelow || e.kind != regular && e.kind != executable:
		return nil, wrong("%q is neither in its store nor a file beside it", h.Name)
	}
	e.name = rest
	return e, nil
}

// isStoreName tells whether Nix calls a store path so (libstore, path.cc): a hash in its base 32, a
// dash, and a name. It is no regular expression, since one that counts to 211 takes longer to make than a verb
// takes to start.
func isStoreName(s string) bool {
	const (
		base32 = "0123456789abcdfghijklmnpqrsvwxyz"
		inName = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz+-._?="
		digits = 32
		most   = 211
	)
	hash, name, _ := strings.Cut(s, "-")
	return len(hash) == digits && strings.Trim(hash, base32) == "" &&
		name != "" && len(name) <= most && name[0] != '.' && strings.Trim(name, inName) == ""
}

// folderName is that of the folder that everything is in.
var folderName = regexp.MustCompile(`^nix-([0-9][0-9A-Za-z.+_-]*)-([0-9a-z_]+-[a-z]+)$`)

// within gives a name within the folder, which is that of the first entry.
func (r *reader) within(name string) (string, error) {
	clean := strings.TrimSuffix(name, "/")
	if len(clean) > maxPath || strings.ContainsRune(clean, 0) || path.IsAbs(clean) || path.Clean(clean) != clean {
		return "", wrong("%.300q is no name in a folder", name)
	}
	for part := range strings.SplitSeq(clean, "/") {
		if part == ".." || len(part) > maxName {
			return "", wrong("%.300q is no name in a folder", name)
		}
	}
	folder, rest, _ := strings.Cut(clean, "/")
	if r.folder == "" {
		m := folderName.FindStringSubmatch(folder)
		if m == nil {
			return "", wrong("its folder is %q, and not nix-VERSION-SYSTEM", folder)
		}
		r.folder, r.Release = folder, Release{Version: m[1], System: m[2]}
	}
	if folder != r.folder {
		return "", wrong("%q is beside its folder %s", name, r.folder)
	}
	return rest, nil
}

// kindOf refuses what is in no store: devices, sockets, hard links.
func kindOf(h *tar.Header) (*entry, error) {
	switch h.Typeflag {
	case tar.TypeDir:
		return &entry{kind: directory}, nil
	case tar.TypeSymlink:
		if h.Linkname == "" || len(h.Linkname) > maxPath || strings.ContainsRune(h.Linkname, 0) {
			return nil, wrong("%q is a symbolic link without a proper target", h.Name)
		}
		return &entry{kind: symlink, target: h.Linkname}, nil
	case tar.TypeReg:
		if h.Mode&0o100 != 0 {
			return &entry{kind: executable}, nil
		}
		return &entry{kind: regular}, nil
	}
	return nil, wrong("%q is neither a file nor a directory nor a symbolic link", h.Name)
}

// text reads the content of the last entry, which is small.
func (r *reader) text() (string, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxText+1))
	if err == nil && len(b) > maxText {
		err = wrong("its registration or its script is of more than %d MiB", maxText>>20)
	}
	return string(b), err
}

package model

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
)

// op is an operation that both sides can carry out.
type op interface {
	ours(s *served) answer
	theirs(k *kernel) answer
}

// step is a line of the script: an op, or a whole.
type step struct{ do any }

func (s step) GoString() string { return s.String() }

func (s step) String() string {
	if named, ok := s.do.(fmt.Stringer); ok {
		return named.String()
	}
	return strings.TrimPrefix(fmt.Sprintf("%T%+v", s.do, s.do), "model.")
}

// look is GETATTR, by a path of look-ups.
type look struct{ at where }

func (o look) ours(s *served) answer { return s.about(s.find(o.at)) }

func (o look) theirs(k *kernel) answer { return k.on(o.at, func(int) error { return nil }) }

// hold keeps an object's handle in a slot, for later.
type hold struct {
	at   where
	slot int
}

func (o hold) ours(s *served) answer {
	fh, err := s.find(o.at)
	a := s.about(fh, err)
	if a.err == nil {
		s.slots[o.slot] = fh
	}
	return a
}

func (o hold) theirs(k *kernel) answer {
	fd, err := k.open(o.at)
	if err != nil {
		return answer{err: classify(err)}
	}
	_ = unix.Close(k.slots[o.slot])
	k.slots[o.slot] = fd
	return k.about(fd, nil)
}

// create is CREATE. An exclusive one is followed by the SETATTR that clients send.
type create struct {
	at   where
	how  nfsclient.CreateMode
	mode perm
	size int64 // -1: none is set
}

func (o create) ours(s *served) answer {
	dir, name, err := s.in(o.at)
	if err != nil {
		return answer{err: err}
	}
	if o.how == nfsclient.Exclusive {
		return o.exclusive(s, dir, name)
	}
	set := nfsclient.SetAttr{Mode: new(uint32(o.mode))}
	if o.size >= 0 {
		set.Size = new(uint64(o.size))
	}
	r, err := s.Create(s.ctx, dir, name, o.how, set)
	if err == nil && o.how == nfsclient.Unchecked {
		return s.about(*r.FH, nil) // it may have been there
	}
	return s.made(r, err)
}

func (o create) exclusive(s *served, dir nfsclient.FH, name string) answer {
	r, err := s.CreateExclusive(s.ctx, dir, name, nfsclient.Verf{1, 2, 3, 4, 5, 6, 7, 8})
	if a := s.made(r, err); a.err != nil {
		return a
	}
	now := nfsclient.SetTime{How: nfsclient.ServerTime}
	_, err = s.Setattr(s.ctx, *r.FH, nfsclient.SetAttr{Mode: new(uint32(o.mode)), Atime: now, Mtime: now}, nil)
	return s.about(*r.FH, err)
}

func (o create) theirs(k *kernel) answer {
	a := k.made(o.at, o.mode, func(dirfd int, name string) error {
		fd, err := unix.Openat(dirfd, name, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_CLOEXEC, 0o600)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		if o.how == nfsclient.Exclusive || o.size <= 0 {
			return nil
		}
		return unix.Ftruncate(fd, o.size)
	})
	if a.err != nfsclient.ErrExist || o.how != nfsclient.Unchecked {
		return a
	}
	return k.on(o.at, func(fd int) error {
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil {
			return err
		}
		if st.Mode&unix.S_IFMT != unix.S_IFREG {
			return unix.EEXIST
		}
		if o.size < 0 {
			return nil
		}
		return unix.Truncate(procPath(fd), o.size)
	})
}

// mkdir is MKDIR.
type mkdir struct {
	at   where
	mode perm
}

func (o mkdir) ours(s *served) answer {
	dir, name, err := s.in(o.at)
	if err != nil {
		return answer{err: err}
	}
	return s.made(s.Mkdir(s.ctx, dir, name, nfsclient.SetAttr{Mode: new(uint32(o.mode))}))
}

func (o mkdir) theirs(k *kernel) answer {
	return k.made(o.at, o.mode, func(dirfd int, name string) error { return unix.Mkdirat(dirfd, name, 0o700) })
}

// symlink is SYMLINK.
type symlink struct {
	at     where
	target string
}

func (o symlink) ours(s *served) answer {
	dir, name, err := s.in(o.at)
	if err != nil {
		return answer{err: err}
	}
	return s.made(s.Symlink(s.ctx, dir, name, o.target, nfsclient.SetAttr{}))
}

func (o symlink) theirs(k *kernel) answer {
	return k.made(o.at, asMade, func(dirfd int, name string) error { return unix.Symlinkat(o.target, dirfd, name) })
}

// mknod is MKNOD.
type mknod struct {
	at           where
	typ          nfsclient.Type
	mode         perm
	major, minor uint32
}

func (o mknod) ours(s *served) answer {
	dir, name, err := s.in(o.at)
	if err != nil {
		return answer{err: err}
	}
	return s.made(s.Mknod(s.ctx, nfsclient.MknodArgs{
		Dir: dir, Name: name, Type: o.typ, Attr: nfsclient.SetAttr{Mode: new(uint32(o.mode))}, Major: o.major, Minor: o.minor,
	}))
}

func (o mknod) theirs(k *kernel) answer {
	return k.made(o.at, o.mode, func(dirfd int, name string) error {
		for bits, typ := range types {
			if typ == o.typ {
				return unix.Mknodat(dirfd, name, bits|0o600, int(unix.Mkdev(o.major, o.minor)))
			}
		}
		return unix.EINVAL
	})
}

// link is LINK.
type link struct{ of, at where }

func (o link) ours(s *served) answer {
	fh, err := s.find(o.of)
	if a := s.about(fh, err); a.err != nil { // what a kernel meets first
		return a
	}
	dir, name, err := s.in(o.at)
	if a := s.about(dir, err); a.err != nil {
		return a
	}
	r, err := s.Link(s.ctx, fh, dir, name)
	if err == nil {
		err = advanced(&r.Dir)
	} else {
		err = unchanged(err, &r.Dir)
	}
	return s.about(fh, err)
}

func (o link) theirs(k *kernel) answer {
	return k.on(o.of, func(fd int) error {
		dir, _ := o.at.split()
		to, err := k.open(dir)
		if err != nil {
			return err
		}
		unix.Close(to)
		if a, err := k.attr(fd); err != nil || a.typ == nfsclient.Dir {
			return unix.EPERM // the first of several reasons, to us
		}
		return k.in(o.at, func(dirfd int, name string) error {
			return unix.Linkat(unix.AT_FDCWD, procPath(fd), dirfd, name, unix.AT_SYMLINK_FOLLOW)
		})
	})
}

// rename is RENAME.
type rename struct{ from, to where }

func (o rename) ours(s *served) answer {
	from, name, err := s.in(o.from)
	if err != nil {
		return answer{err: err}
	}
	to, toName, err := s.in(o.to)
	if err != nil {
		a := s.about(from, nil) // which a kernel meets first
		if a.err == nil {
			if a.err = err; a.attr.typ != nfsclient.Dir {
				a.err = nfsclient.ErrNotDir
			}
		}
		return answer{err: a.err}
	}
	was, _ := s.Lookup(s.ctx, from, name)
	r, err := s.Rename(s.ctx, from, name, to, toName)
	if err != nil {
		return answer{err: unchanged(unchanged(err, &r.From), &r.To)}
	}
	is, err := s.Lookup(s.ctx, to, toName)
	if err == nil && is.FH != was.FH {
		return answer{err: fmt.Errorf("the handle is another after the rename")}
	}
	return s.about(is.FH, err)
}

func (o rename) theirs(k *kernel) answer {
	a := answer{}
	err := k.in(o.from, func(from int, name string) error {
		return k.in(o.to, func(to int, toName string) error {
			err := k.orAsBefore([]int{from, to}, func() error {
				return k.overEmpty(to, toName, func() error { return unix.Renameat(from, name, to, toName) })
			})
			if err != nil {
				return err
			}
			fd, err := unix.Openat(to, toName, pathFlags, 0)
			a = k.about(fd, err)
			unix.Close(fd)
			return nil
		})
	})
	if err != nil {
		return answer{err: classify(err)}
	}
	return a
}

// remove is REMOVE, or RMDIR.
type remove struct {
	at  where
	dir bool
}

func (o remove) ours(s *served) answer {
	dir, name, err := s.in(o.at)
	if err != nil {
		return answer{err: err}
	}
	call := s.Remove
	if o.dir {
		call = s.Rmdir
	}
	w, err := call(s.ctx, dir, name)
	if err == nil {
		return answer{err: advanced(&w)}
	}
	return answer{err: unchanged(err, &w)}
}

func (o remove) theirs(k *kernel) answer {
	return answer{err: classify(k.in(o.at, func(dirfd int, name string) error {
		if o.dir {
			return k.overEmpty(dirfd, name, func() error { return unix.Unlinkat(dirfd, name, unix.AT_REMOVEDIR) })
		}
		return unix.Unlinkat(dirfd, name, 0)
	}))}
}

// write is WRITE.
type write struct {
	at     where
	off    int64
	data   string
	stable nfsclient.Stable
}

func (o write) ours(s *served) answer {
	fh, err := s.find(o.at)
	if err != nil {
		return answer{err: err}
	}
	r, err := s.Write(s.ctx, fh, uint64(o.off), o.stable, []byte(o.data))
	if err == nil && int(r.Count) != len(o.data) {
		err = fmt.Errorf("%d of %d bytes written", r.Count, len(o.data))
	}
	return s.about(fh, err)
}

func (o write) theirs(k *kernel) answer {
	return k.on(o.at, func(fd int) error {
		f, err := k.data(fd, unix.O_WRONLY)
		if err != nil {
			return err
		}
		defer unix.Close(f)
		_, err = unix.Pwrite(f, []byte(o.data), o.off)
		return err
	})
}

// data opens a file's data; of others there is none (RFC 1813 §3.3.6, §3.3.7).
func (k *kernel) data(fd, flags int) (int, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return -1, err
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		return unix.Open(procPath(fd), flags|unix.O_CLOEXEC, 0)
	case unix.S_IFDIR:
		return -1, unix.EISDIR
	}
	return -1, unix.EINVAL
}

// read is READ, of all there is.
type read struct{ at where }

func (o read) ours(s *served) answer {
	fh, err := s.find(o.at)
	if err != nil {
		return answer{err: err}
	}
	data, err := s.readAll(fh)
	a := s.about(fh, err)
	a.data = data
	return a
}

func (o read) theirs(k *kernel) answer {
	data := ""
	a := k.on(o.at, func(fd int) (err error) {
		data, err = k.readAll(fd)
		return err
	})
	a.data = data
	return a
}

func (k *kernel) readAll(fd int) (string, error) {
	f, err := k.data(fd, unix.O_RDONLY)
	if err != nil {
		return "", err
	}
	defer unix.Close(f)
	var st unix.Stat_t
	if err := unix.Fstat(f, &st); err != nil {
		return "", err
	}
	b := make([]byte, st.Size+1)
	n, err := unix.Pread(f, b, 0)
	return string(b[:max(n, 0)]), err
}

// readlink is READLINK.
type readlink struct{ at where }

func (o readlink) ours(s *served) answer {
	fh, err := s.find(o.at)
	if err != nil {
		return answer{err: err}
	}
	r, err := s.Readlink(s.ctx, fh)
	return answer{err: err, data: r.Target}
}

func (o readlink) theirs(k *kernel) answer {
	target := ""
	a := k.on(o.at, func(fd int) error {
		b := make([]byte, 4096)
		n, err := unix.Readlinkat(fd, "", b)
		if err == unix.ENOENT {
			err = unix.EINVAL // of what is no link
		}
		target = string(b[:max(n, 0)])
		return err
	})
	return answer{err: a.err, data: target}
}

// list is READDIR, in pages of so many bytes.
type list struct {
	at    where
	bytes uint32
}

func (o list) ours(s *served) answer {
	fh, err := s.find(o.at)
	if err != nil {
		return answer{err: err}
	}
	names, err := s.list(fh, o.bytes)
	a := s.about(fh, err)
	a.list = names
	return a
}

func (o list) theirs(k *kernel) answer {
	fd, err := k.dir(o.at)
	if err != nil {
		return answer{err: classify(err)}
	}
	defer unix.Close(fd)
	names, err := k.list(fd)
	a := k.about(fd, err)
	a.list = names
	return a
}

// commit is COMMIT of the whole file.
type commit struct{ at where }

func (o commit) ours(s *served) answer {
	fh, err := s.find(o.at)
	if err != nil {
		return answer{err: err}
	}
	_, err = s.Commit(s.ctx, fh, 0, 0)
	return s.about(fh, err)
}

func (o commit) theirs(k *kernel) answer { return look(o).theirs(k) }

// setattr is SETATTR. A negative number leaves its attribute alone.
type setattr struct {
	at             where
	mode, uid, gid int64
	size           int64
	atime, mtime   when
	guard          guard
}

// when is what becomes of a time.
type when struct {
	how nfsclient.TimeHow
	to  int64 // a number of a time in the past
}

func (w when) time() time.Time { return time.Unix(5e8+w.to*1000, w.to) }

// guard is whether SETATTR goes by the object's ctime.
type guard int

const (
	unguarded guard = iota
	rightGuard
	wrongGuard
)

func (o setattr) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "setattr %v", o.at)
	if o.mode >= 0 {
		fmt.Fprintf(&b, " mode %#o", o.mode)
	}
	fmt.Fprintf(&b, " uid %d gid %d size %d", o.uid, o.gid, o.size)
	for name, w := range map[string]when{"atime": o.atime, "mtime": o.mtime} {
		if w.how != nfsclient.DontChange {
			fmt.Fprintf(&b, " %s how %d %v", name, w.how, w.time().UTC())
		}
	}
	fmt.Fprintf(&b, " guard %d", o.guard)
	return b.String()
}

func optional(v int64) *uint32 {
	if v < 0 {
		return nil
	}
	return new(uint32(v))
}

func (w when) forNFS() nfsclient.SetTime {
	t := w.time()
	return nfsclient.SetTime{How: w.how, Time: nfsclient.Time{Sec: uint32(t.Unix()), Nsec: uint32(t.Nanosecond())}}
}

func (o setattr) ours(s *served) answer {
	fh, err := s.find(o.at)
	if err != nil {
		return answer{err: err}
	}
	set := nfsclient.SetAttr{
		Mode: optional(o.mode), UID: optional(o.uid), GID: optional(o.gid),
		Atime: o.atime.forNFS(), Mtime: o.mtime.forNFS(),
	}
	if o.size >= 0 {
		set.Size = new(uint64(o.size))
	}
	ctime, err := o.ctime(s, fh)
	if err != nil {
		return answer{err: err}
	}
	_, err = s.Setattr(s.ctx, fh, set, ctime)
	return s.about(fh, err)
}

// ctime gives the guard. A directory is listed first: its ctime is settled once the server
// has looked at all its layers.
func (o setattr) ctime(s *served, fh nfsclient.FH) (*nfsclient.Time, error) {
	if o.guard == unguarded {
		return nil, nil
	}
	if _, err := s.list(fh, 8192); err != nil && err != nfsclient.ErrNotDir {
		return nil, err
	}
	a, err := s.Getattr(s.ctx, fh)
	if o.guard == wrongGuard {
		a.Ctime.Sec--
	}
	return &a.Ctime, err
}

func (o setattr) theirs(k *kernel) answer {
	if o.guard == wrongGuard {
		a := k.on(o.at, func(int) error { return nil })
		if a.err == nil {
			return answer{err: nfsclient.ErrNotSync}
		}
		return a
	}
	return k.on(o.at, func(fd int) error {
		if o.size >= 0 {
			if err := k.truncate(fd, o.size); err != nil {
				return err
			}
		}
		if o.uid >= 0 || o.gid >= 0 {
			if err := unix.Fchownat(fd, "", int(o.uid), int(o.gid), unix.AT_EMPTY_PATH); err != nil {
				return err
			}
		}
		if o.mode >= 0 {
			if err := unix.Chmod(procPath(fd), uint32(o.mode)); err != nil {
				return err
			}
		}
		if o.atime.how == nfsclient.DontChange && o.mtime.how == nfsclient.DontChange {
			return nil
		}
		ts := []unix.Timespec{o.atime.forSystem(), o.mtime.forSystem()}
		return unix.UtimesNanoAt(unix.AT_FDCWD, procPath(fd), ts, 0)
	})
}

func (k *kernel) truncate(fd int, size int64) error {
	f, err := k.data(fd, unix.O_WRONLY)
	if err != nil {
		return err
	}
	defer unix.Close(f)
	return unix.Ftruncate(f, size)
}

func (w when) forSystem() unix.Timespec {
	switch w.how {
	case nfsclient.ServerTime:
		return unix.Timespec{Nsec: unix.UTIME_NOW}
	case nfsclient.ClientTime:
		return specTime(w.time())
	}
	return unix.Timespec{Nsec: unix.UTIME_OMIT}
}

// generator draws one kind of step. The likelier kinds are in the lists several times.
type generator func(t *rapid.T) any

// readings change nothing.
var readings = []generator{
	func(t *rapid.T) any { return look{anywhere(t)} },
	func(t *rapid.T) any { return hold{anywhere(t), rapid.IntRange(0, slots-1).Draw(t, "slot")} },
	func(t *rapid.T) any { return hold{anywhere(t), rapid.IntRange(0, slots-1).Draw(t, "slot")} },
	func(t *rapid.T) any { return read{anywhere(t)} },
	func(t *rapid.T) any { return readlink{anywhere(t)} },
	func(t *rapid.T) any {
		return list{anywhere(t), rapid.SampledFrom([]uint32{200, 512, 8192}).Draw(t, "bytes")}
	},
	func(t *rapid.T) any { return commit{anywhere(t)} },
}

var changes = []generator{
	genCreate, genCreate, genMknod, genWrite, genWrite, genSetattr, genSetattr, genSetattr,
	func(t *rapid.T) any { return mkdir{aName(t), genMode.Draw(t, "mode")} },
	func(t *rapid.T) any { return mkdir{aName(t), 0o755} },
	func(t *rapid.T) any { return symlink{aName(t), genTarget.Draw(t, "target")} },
	func(t *rapid.T) any { return link{anywhere(t), aName(t)} },
	func(t *rapid.T) any { return link{anywhere(t), aName(t)} },
	func(t *rapid.T) any { return rename{aName(t), aName(t)} },
	func(t *rapid.T) any { return rename{aName(t), aName(t)} },
	func(t *rapid.T) any { return rename{aName(t), aName(t)} },
	func(t *rapid.T) any { return rename{aName(t), aName(t)} },
	func(t *rapid.T) any { return remove{aName(t), false} },
	func(t *rapid.T) any { return remove{aName(t), false} },
	func(t *rapid.T) any { return remove{aName(t), true} },
	func(t *rapid.T) any { return remove{aName(t), true} },
}

var wholes = []generator{
	func(t *rapid.T) any { return compare{} },
	func(t *rapid.T) any { return restart{lose: rapid.IntRange(0, 3).Draw(t, "lose") == 3} },
}

// genStep draws a step of one of the kinds.
func genStep(kinds ...[]generator) *rapid.Generator[step] {
	all := slices.Concat(kinds...)
	return rapid.Custom(func(t *rapid.T) step { return step{rapid.SampledFrom(all).Draw(t, "kind")(t)} })
}

func anywhere(t *rapid.T) where { return genWhere(0).Draw(t, "at") }

func aName(t *rapid.T) where { return genWhere(1).Draw(t, "name") }

var genSize = rapid.SampledFrom([]int64{-1, 0, 1, 5, 4096, 10001})

func genCreate(t *rapid.T) any {
	how := rapid.SampledFrom([]nfsclient.CreateMode{nfsclient.Unchecked, nfsclient.Guarded, nfsclient.Exclusive})
	return create{aName(t), how.Draw(t, "how"), genMode.Draw(t, "mode"), genSize.Draw(t, "size")}
}

func genMknod(t *rapid.T) any {
	o := mknod{at: aName(t), mode: genMode.Draw(t, "mode")}
	o.typ = rapid.SampledFrom([]nfsclient.Type{nfsclient.FIFO, nfsclient.Sock, nfsclient.Chr, nfsclient.Blk}).Draw(t, "type")
	if o.typ == nfsclient.Chr || o.typ == nfsclient.Blk {
		o.major = 1 // 0:0 is a whiteout
		o.minor = rapid.Uint32Range(0, 3).Draw(t, "minor")
	}
	return o
}

func genWrite(t *rapid.T) any {
	return write{
		anywhere(t), rapid.SampledFrom([]int64{0, 3, 4090, 20000}).Draw(t, "off"),
		rapid.SampledFrom([]string{"W", "written", strings.Repeat("+", 5000)}).Draw(t, "data"),
		nfsclient.Stable(rapid.Uint32Range(0, 2).Draw(t, "stable")),
	}
}

func genSetattr(t *rapid.T) any {
	maybe := func(name string, values ...int64) int64 {
		return rapid.SampledFrom(append([]int64{-1, -1, -1}, values...)).Draw(t, name)
	}
	genWhen := rapid.Custom(func(t *rapid.T) when {
		w := when{how: nfsclient.TimeHow(rapid.Uint32Range(0, 2).Draw(t, "how"))}
		if w.how == nfsclient.ClientTime {
			w.to = rapid.Int64Range(0, 1000).Draw(t, "time")
		}
		return w
	})
	o := setattr{
		at: anywhere(t), uid: maybe("uid", 0, 1000), gid: maybe("gid", 0, 1000), size: maybe("size", 0, 3, 9000),
		atime: genWhen.Draw(t, "atime"), mtime: genWhen.Draw(t, "mtime"), mode: -1,
		guard: rapid.SampledFrom([]guard{unguarded, unguarded, unguarded, rightGuard, wrongGuard}).Draw(t, "guard"),
	}
	if rapid.Bool().Draw(t, "chmod") {
		o.mode = int64(genMode.Draw(t, "mode"))
	}
	return o
}

package model

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/integration/testserver"
	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
	"github.com/nixnfsd/nixnfsd/nfs"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// served is our side: an overlay, its server and a client.
type served struct {
	ctx     context.Context
	options overlay.Options
	fs      *overlay.FS
	server  *testserver.Local
	*nfsclient.Client
	root  nfsclient.FH
	slots [slots]nfsclient.FH
}

func newServed(ctx context.Context, dir string, lowers []string) (*served, error) {
	s := &served{ctx: ctx, options: overlay.Options{
		Upper: filepath.Join(dir, "upper"), Work: filepath.Join(dir, "work"),
		State: filepath.Join(dir, "state"), Lowers: lowers,
	}}
	if err := os.MkdirAll(s.options.Upper, 0o755); err != nil {
		return nil, err
	}
	return s, s.start()
}

// start opens the overlay, serves it and connects.
func (s *served) start() (err error) {
	if s.fs, err = overlay.Open(s.options); err != nil {
		return err
	}
	if s.server, err = testserver.Serve(nfs.Options{FS: s.fs}); err != nil {
		return err
	}
	return s.connect()
}

// connect gives s a client of its own.
func (s *served) connect() (err error) {
	s.Client, err = nfsclient.Dial(s.ctx, s.server.Addr, nfsclient.Options{Cred: nfsclient.AuthSys(0, 0)})
	if err != nil {
		return err
	}
	m, err := s.Mnt(s.ctx, "/nix")
	s.root = m.FH
	return err
}

// stop ends the server and closes the overlay.
func (s *served) stop() error {
	if s.Client != nil {
		s.Client.Close()
	}
	var err error
	if s.server != nil {
		err = s.server.Stop()
	}
	return errors.Join(err, s.fs.Close())
}

// find gives the handle of an object.
func (s *served) find(w where) (nfsclient.FH, error) {
	fh := s.root
	if slot := w.slot(); slot >= 0 {
		fh = s.slots[slot]
	}
	if fh == "" {
		return "", errNothingHeld
	}
	for _, name := range w.names() {
		r, err := s.Lookup(s.ctx, fh, name)
		if err != nil {
			return "", err
		}
		fh = r.FH
	}
	return fh, nil
}

// in gives the directory that a name is in.
func (s *served) in(w where) (nfsclient.FH, string, error) {
	dir, name := w.split()
	fh, err := s.find(dir)
	return fh, name, err
}

// about gives the answer of an operation after which an object is looked at.
func (s *served) about(fh nfsclient.FH, err error) answer {
	if err != nil {
		return answer{err: err}
	}
	a, err := s.Getattr(s.ctx, fh)
	if err != nil {
		return answer{err: err}
	}
	return answer{attr: fattr(&a)}
}

// made gives the answer of an operation that made an object: its attributes are those
// that GETATTR gives now.
func (s *served) made(r nfsclient.CreateRes, err error) answer {
	if err != nil {
		return answer{err: unchanged(err, &r.Dir)}
	}
	if err := advanced(&r.Dir); err != nil {
		return answer{err: err}
	}
	if r.FH == nil || r.Attr == nil {
		return answer{err: errors.New("made, and not told what")}
	}
	now := s.about(*r.FH, nil)
	if now.err == nil && *now.attr != *fattr(r.Attr) {
		now.err = fmt.Errorf("told %v, and it is %v", fattr(r.Attr), now.attr)
	}
	return now
}

// advanced says that a directory's mtime has not moved with a change of its names.
func advanced(w *nfsclient.Wcc) error {
	if w.Before == nil || w.After == nil {
		return errors.New("a change without attributes of the directory")
	}
	if !w.After.Mtime.Time().After(w.Before.Mtime.Time()) {
		return errors.New("a change that does not advance the directory's mtime")
	}
	return nil
}

// unchanged gives the error of a call that failed, or says that it changed a
// directory nevertheless.
func unchanged(err error, w *nfsclient.Wcc) error {
	if w.Before != nil && w.After != nil && w.Before.Mtime != w.After.Mtime {
		return fmt.Errorf("a failure that changes the directory's mtime: %w", err)
	}
	return err
}

func fattr(a *nfsclient.Attr) *attr {
	return &attr{
		id: a.Fileid, typ: a.Type, mode: a.Mode, nlink: a.Nlink, uid: a.UID, gid: a.GID, size: a.Size,
		major: a.Major, minor: a.Minor, atime: a.Atime.Time(), mtime: a.Mtime.Time(),
	}
}

// list gives the names in a directory, "." and ".." left out.
func (s *served) list(dir nfsclient.FH, count uint32) (map[string]uint64, error) {
	list, cookie, verf := map[string]uint64{}, uint64(0), nfsclient.Verf{}
	for {
		r, err := s.Readdir(s.ctx, dir, cookie, verf, count)
		if err != nil {
			return nil, err
		}
		for _, e := range r.Entries {
			if _, twice := list[e.Name]; twice {
				return nil, fmt.Errorf("%q is listed twice", e.Name)
			}
			if e.Name != "." && e.Name != ".." {
				list[e.Name] = e.Fileid
			}
			cookie = e.Cookie
		}
		if verf = r.Verf; r.EOF {
			return list, nil
		}
	}
}

// listPlus is list with attributes and handles.
func (s *served) listPlus(dir nfsclient.FH) (map[string]nfsclient.EntryPlus, error) {
	list, a := map[string]nfsclient.EntryPlus{}, nfsclient.ReaddirplusArgs{Dir: dir, Dircount: 8 << 10, Maxcount: 32 << 10}
	for {
		r, err := s.Readdirplus(s.ctx, a)
		if err != nil {
			return nil, err
		}
		for _, e := range r.Entries {
			if e.Name != "." && e.Name != ".." {
				list[e.Name] = e
			}
			a.Cookie = e.Cookie
		}
		if a.Verf = r.Verf; r.EOF {
			return list, nil
		}
	}
}

// readAll gives a file's bytes.
func (s *served) readAll(fh nfsclient.FH) (string, error) {
	var all []byte
	for {
		r, err := s.Read(s.ctx, fh, uint64(len(all)), 64<<10)
		if err != nil {
			return "", err
		}
		all = append(all, r.Data...)
		if r.EOF {
			return string(all), nil
		}
	}
}

// specTime is t as system calls take it.
func specTime(t time.Time) unix.Timespec { return unix.NsecToTimespec(t.UnixNano()) }

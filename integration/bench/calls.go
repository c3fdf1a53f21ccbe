package main

import (
	"fmt"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
)

// The calls that walkers make. What they give is valid as long as the results are.

func (w *walker) getattr(fh nfsclient.FH) (nfsclient.Attr, error) {
	var r nfsclient.GetattrRes
	err := w.call(&nfsclient.HandleArgs{P: nfsclient.NFSProc(nfsclient.ProcGetattr), FH: fh}, &r)
	return r.Attr, err
}

func (w *walker) lookup(dir nfsclient.FH, name string) (nfsclient.LookupRes, error) {
	var r nfsclient.LookupRes
	err := w.call(&nfsclient.NameArgs{P: nfsclient.NFSProc(nfsclient.ProcLookup), Dir: dir, Name: name}, &r)
	if err == nil && r.Attr == nil {
		r.Attr = new(nfsclient.Attr) // of the wrong size
	}
	return r, err
}

// walk looks a path up.
func (w *walker) walk(from nfsclient.FH, names ...string) (nfsclient.FH, error) {
	for _, name := range names {
		r, err := w.lookup(from, name)
		if err != nil {
			return "", fmt.Errorf("%s: %w", name, err)
		}
		from = r.FH
	}
	return from, nil
}

func (w *walker) access(fh nfsclient.FH) error {
	const all = 0x3f
	var r nfsclient.AccessRes
	return w.call(&nfsclient.AccessArgs{FH: fh, Access: all}, &r)
}

// read reads so many bytes, or up to the file's end. The data is valid until the next call.
func (w *walker) read(fh nfsclient.FH, off uint64, count int) (nfsclient.ReadRes, error) {
	var r nfsclient.ReadRes
	err := w.call(&nfsclient.ReadArgs{FH: fh, Offset: off, Count: uint32(count)}, &r)
	if err == nil && int(r.Count) != len(r.Data) {
		err = fmt.Errorf("READ: a count of %d for %d bytes", r.Count, len(r.Data))
	}
	return r, err
}

// write writes all of data, in one call.
func (w *walker) write(fh nfsclient.FH, off uint64, how nfsclient.Stable, data []byte) (nfsclient.WriteRes, error) {
	var r nfsclient.WriteRes
	err := w.call(&nfsclient.WriteArgs{FH: fh, Offset: off, Count: uint32(len(data)), Stable: how, Data: data}, &r)
	if err == nil && (int(r.Count) != len(data) || r.Committed < how) {
		err = fmt.Errorf("WRITE: %d bytes of %d, as %d for %d", r.Count, len(data), r.Committed, how)
	}
	return r, err
}

func (w *walker) commit(fh nfsclient.FH) (nfsclient.Verf, error) {
	var r nfsclient.CommitRes
	err := w.call(&nfsclient.CommitArgs{FH: fh}, &r)
	return r.Verf, err
}

// create and mkdir make something new, and give its handle.
func (w *walker) create(dir nfsclient.FH, name string) (nfsclient.FH, error) {
	return w.made(dir, name, &nfsclient.CreateArgs{Dir: dir, Name: name, Attr: nfsclient.SetAttr{Mode: new(uint32(0o644))}})
}

func (w *walker) mkdir(dir nfsclient.FH, name string) (nfsclient.FH, error) {
	return w.made(dir, name, &nfsclient.MkdirArgs{Dir: dir, Name: name, Attr: nfsclient.SetAttr{Mode: new(uint32(0o755))}})
}

func (w *walker) made(dir nfsclient.FH, name string, args nfsclient.Args) (nfsclient.FH, error) {
	var r nfsclient.CreateRes
	if err := w.call(args, &r); err != nil {
		return "", err
	}
	if r.FH != nil {
		return *r.FH, nil
	}
	found, err := w.lookup(dir, name)
	return found.FH, err
}

// seal gives a file the mode and the time of those in a store.
func (w *walker) seal(fh nfsclient.FH) error {
	var r nfsclient.WccRes
	return w.call(&nfsclient.SetattrArgs{FH: fh, Attr: nfsclient.SetAttr{
		Mode: new(uint32(0o444)), Mtime: nfsclient.SetTime{How: nfsclient.ClientTime, Time: nfsclient.Time{Sec: 1}},
	}}, &r)
}

func (w *walker) remove(dir nfsclient.FH, name string) error {
	return w.unlink(nfsclient.ProcRemove, dir, name)
}

func (w *walker) rmdir(dir nfsclient.FH, name string) error {
	return w.unlink(nfsclient.ProcRmdir, dir, name)
}

func (w *walker) unlink(proc uint32, dir nfsclient.FH, name string) error {
	var r nfsclient.WccRes
	return w.call(&nfsclient.NameArgs{P: nfsclient.NFSProc(proc), Dir: dir, Name: name}, &r)
}

// page is how many bytes of a listing are asked for at once, as Linux's client does.
const page = 32 << 10

// list lists a directory, page by page, as long as more says so behind each.
func (w *walker) list(dir nfsclient.FH, entry func(*nfsclient.EntryPlus), more func() bool) error {
	args := nfsclient.ReaddirplusArgs{Dir: dir, Dircount: page, Maxcount: page}
	for {
		var r nfsclient.ReaddirplusRes
		if err := w.call(&args, &r); err != nil {
			return err
		}
		for i := range r.Entries {
			if e := &r.Entries[i]; e.Name != "." && e.Name != ".." {
				entry(e)
			}
		}
		if r.EOF || !more() {
			return nil
		}
		if len(r.Entries) == 0 {
			return fmt.Errorf("READDIRPLUS: an empty page")
		}
		args.Cookie, args.Verf = r.Entries[len(r.Entries)-1].Cookie, r.Verf
	}
}

func (w *walker) mount(path string) (nfsclient.FH, error) {
	var r nfsclient.MntRes
	err := w.call(&nfsclient.PathArgs{P: nfsclient.MountProc(nfsclient.ProcMnt), Path: path}, &r)
	return r.FH, err
}

package applenfs

import (
	"errors"
	"fmt"
	"slices"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
)

const pageSize = 4096

// data is what is cached of a file's contents.
type data struct {
	size  uint64 // with what the server has not been given yet
	pages map[uint64]*[pageSize]byte
	// dirty are the pieces that the server has not been given, uncommitted those that it
	// may still lose; in order, and apart from each other.
	dirty, uncommitted []piece
	failed             error // of a write that nobody was told of
}

// piece is part of a file.
type piece struct {
	off, end uint64
	verifier nfsclient.Verf // of the server's run that was given it
}

// resize sets the size, and drops what lies behind it.
func (d *data) resize(size uint64) {
	if size < d.size {
		for at, page := range d.pages {
			switch {
			case at*pageSize >= size:
				delete(d.pages, at)
			case (at+1)*pageSize > size:
				clear(page[size-at*pageSize:])
			}
		}
		d.dirty, d.uncommitted = clip(d.dirty, size), clip(d.uncommitted, size)
	}
	d.size = size
}

func clip(pieces []piece, size uint64) (got []piece) {
	for _, p := range pieces {
		if p.end = min(p.end, size); p.off < p.end {
			got = append(got, p)
		}
	}
	return got
}

// with adds a piece to those that are dirty.
func with(pieces []piece, p piece) []piece {
	var got []piece
	for _, q := range pieces {
		if q.end < p.off || q.off > p.end {
			got = append(got, q)
			continue
		}
		p.off, p.end = min(p.off, q.off), max(p.end, q.end)
	}
	got = append(got, p)
	slices.SortFunc(got, func(a, b piece) int {
		if a.off < b.off {
			return -1
		}
		return 1
	})
	return got
}

// without takes a part away from pieces.
func without(pieces []piece, p piece) (got []piece) {
	for _, q := range pieces {
		if q.off < p.off {
			got = append(got, piece{q.off, min(q.end, p.off), q.verifier})
		}
		if q.end > p.end {
			got = append(got, piece{max(q.off, p.end), q.end, q.verifier})
		}
	}
	return slices.DeleteFunc(got, func(q piece) bool { return q.off >= q.end })
}

// copyOut fills p from cached pages. What is not cached stays as it is.
func (d *data) copyOut(p []byte, off uint64) {
	for done := 0; done < len(p); {
		at := off + uint64(done)
		n := min(len(p)-done, int(pageSize-at%pageSize))
		if page := d.pages[at/pageSize]; page != nil {
			copy(p[done:done+n], page[at%pageSize:])
		}
		done += n
	}
}

// copyIn puts p into the pages that keep says.
func (d *data) copyIn(p []byte, off uint64, keep func(page uint64) bool) {
	if d.pages == nil {
		d.pages = map[uint64]*[pageSize]byte{}
	}
	for done := 0; done < len(p); {
		at := off + uint64(done)
		n := min(len(p)-done, int(pageSize-at%pageSize))
		if keep(at / pageSize) {
			if d.pages[at/pageSize] == nil {
				d.pages[at/pageSize] = new([pageSize]byte)
			}
			copy(d.pages[at/pageSize][at%pageSize:], p[done:done+n])
		}
		done += n
	}
}

// read reads from the cache, and what is not there from the server, in page-aligned
// pieces of rsize at most (nfs_bio.c, nfs_bioread).
func (m *Mount) read(n *node, p []byte, off uint64) (int, error) {
	from := cached
	if n.modified {
		from = uncached
	}
	if err := m.attrs(n, from); err != nil {
		return 0, err
	}
	d := &n.data
	if off >= d.size {
		return 0, nil
	}
	p = p[:min(uint64(len(p)), d.size-off)]
	if err := m.cache(n, off, off+uint64(len(p))); err != nil {
		return 0, err
	}
	d.copyOut(p, off)
	return len(p), nil
}

// cache makes that all pages of a range are cached.
func (m *Mount) cache(n *node, off, end uint64) error {
	d := &n.data
	absent := func(page uint64) bool { return d.pages[page] == nil }
	for page := off / pageSize; page*pageSize < end; page++ {
		if !absent(page) {
			continue
		}
		from, to := page*pageSize, (page+1)*pageSize
		for to < end && to-from < uint64(m.set.rsize) && absent(to/pageSize) {
			to += pageSize
		}
		if err := m.readPages(n, from, to, absent); err != nil {
			return err
		}
	}
	return nil
}

// readPages reads pages until the server says that the file ends. What lies behind that
// are zeros.
func (m *Mount) readPages(n *node, from, to uint64, keep func(uint64) bool) error {
	got := make([]byte, to-from)
	for at := from; at < to; {
		c := m.w.start(&nfsclient.ReadArgs{FH: n.fh, Offset: at, Count: uint32(min(to-at, uint64(m.set.rsize)))})
		var res nfsclient.ReadRes
		err := m.w.finish(c, &res)
		if err := errors.Join(err, m.post(n, res.Attr, c)); err != nil {
			return err
		}
		at += uint64(copy(got[at-from:], res.Data))
		if res.EOF || len(res.Data) == 0 {
			break
		}
	}
	// The attributes that came along may have dropped pages meanwhile.
	n.data.copyIn(got, from, keep)
	return nil
}

// write writes into the cache, and starts to write to the server when there is enough
// (nfs_vnops.c, nfs_vnop_write). An earlier write's failure is told here.
func (m *Mount) write(n *node, p []byte, off uint64, appending bool) (uint64, error) {
	if err := n.data.takeFailure(); err != nil {
		return off, err
	}
	if appending {
		if n.modified {
			if err := m.invalidate(n); err != nil {
				return off, err
			}
		}
		if err := m.attrs(n, uncached); err != nil {
			return off, err
		}
		off = n.data.size
	}
	if len(p) == 0 {
		return off, nil
	}
	end := off + uint64(len(p))
	if err := m.cacheEdges(n, off, end); err != nil {
		return off, err
	}
	d := &n.data
	d.copyIn(p, off, func(uint64) bool { return true })
	n.modified = true
	d.size = max(d.size, end)
	d.dirty = with(d.dirty, piece{off: off, end: end})
	d.uncommitted = without(d.uncommitted, piece{off: off, end: end})
	if last := d.dirty[len(d.dirty)-1]; last.end-last.off >= uint64(m.set.wsize) {
		m.send(n, nfsclient.Unstable)
	}
	return off, nil
}

// cacheEdges reads the pages that a write changes only in part. Behind the end there
// is nothing to read.
func (m *Mount) cacheEdges(n *node, off, end uint64) error {
	d := &n.data
	for _, edge := range [...]uint64{off, end} {
		page := edge / pageSize * pageSize
		if edge%pageSize == 0 || page >= d.size {
			continue
		}
		if err := m.cache(n, page, page+1); err != nil {
			return err
		}
	}
	return nil
}

func (d *data) takeFailure() error {
	err := d.failed
	d.failed = nil
	return err
}

// send writes all dirty pieces, many at a time. What could not be written is lost, and
// told at the next occasion (nfs_bio.c, nfs_buf_write_finish).
func (m *Mount) send(n *node, how nfsclient.Stable) {
	type sent struct {
		piece
		*call
	}
	var calls []sent
	for _, p := range n.data.dirty {
		for off := p.off; off < p.end; {
			end := min(p.end, off+uint64(m.set.wsize))
			calls = append(calls, sent{piece{off: off, end: end}, m.startWrite(n, off, end, how)})
			off = end
		}
	}
	n.data.dirty = nil
	for _, s := range calls {
		if err := m.written(n, s.piece, s.call); err != nil {
			n.data.failed = err
			n.stamp = never
		}
	}
}

func (m *Mount) startWrite(n *node, off, end uint64, how nfsclient.Stable) *call {
	p := make([]byte, end-off)
	n.data.copyOut(p, off)
	return m.w.start(&nfsclient.WriteArgs{FH: n.fh, Offset: off, Count: uint32(len(p)), Stable: how, Data: p})
}

// written takes in the reply to a WRITE (nfs_vnops.c, nfs3_write_rpc_async_finish): the
// cached data stays good when the file had not changed before it.
func (m *Mount) written(n *node, p piece, c *call) error {
	var res nfsclient.WriteRes
	err := m.w.finish(c, &res)
	before, wccErr := m.wcc(n, &res.Wcc, c)
	if err := errors.Join(err, wccErr); err != nil {
		return err
	}
	if before == n.mtime {
		n.mtime = n.attr.Mtime
	}
	if res.Count == 0 || uint64(res.Count) > p.end-p.off {
		return fmt.Errorf("WRITE of %d bytes wrote %d: %w", p.end-p.off, res.Count, nfsclient.ErrIO)
	}
	m.verifier = res.Verf
	done := p.off + uint64(res.Count)
	if res.Committed != nfsclient.FileSync {
		n.data.uncommitted = append(without(n.data.uncommitted, piece{off: p.off, end: done}), piece{p.off, done, res.Verf})
	}
	if done < p.end {
		n.data.dirty = with(n.data.dirty, piece{off: done, end: p.end})
	}
	return nil
}

// flush writes and commits all that the client has changed: first unstable, and what is
// then still dirty, because the server has started anew meanwhile, stable (nfs_bio.c,
// nfs_flush). The attributes are asked again then.
func (m *Mount) flush(n *node) error {
	if n.kind == nfsclient.Reg {
		d := &n.data
		how := nfsclient.Unstable
		for len(d.dirty) > 0 || len(d.uncommitted) > 0 {
			m.send(n, how)
			if err := m.commit(n); err != nil {
				return err
			}
			how = nfsclient.FileSync
		}
	}
	if n.modified {
		n.modified = false
		n.stamp = never
		n.xid = m.w.nextXID()
	}
	return n.data.takeFailure()
}

// commit makes sure of what the server may still lose. What another run of the
// server was given, and what it may have lost meanwhile, is dirty again (nfs_bio.c,
// nfs_flushcommits and nfs_buf_check_write_verifier).
func (m *Mount) commit(n *node) error {
	d := &n.data
	var sure []piece
	for _, p := range d.uncommitted {
		if p.verifier != m.verifier {
			d.dirty = with(d.dirty, p)
			continue
		}
		sure = append(sure, p)
	}
	d.uncommitted = nil
	if len(sure) == 0 {
		return nil
	}
	off, end := sure[0].off, sure[0].end
	for _, p := range sure {
		off, end = min(off, p.off), max(end, p.end)
	}
	count := uint32(0)
	if end-off <= 1<<32-1 {
		count = uint32(end - off)
	}
	verifier, err := m.commitCall(n, off, count)
	if err != nil {
		return err
	}
	if verifier != m.verifier {
		m.verifier = verifier
		for _, p := range sure {
			d.dirty = with(d.dirty, p)
		}
	}
	return nil
}

func (m *Mount) commitCall(n *node, off uint64, count uint32) (nfsclient.Verf, error) {
	c := m.w.start(&nfsclient.CommitArgs{FH: n.fh, Offset: off, Count: count})
	var res nfsclient.CommitRes
	err := m.w.finish(c, &res)
	_, wccErr := m.wcc(n, &res.Wcc, c)
	return res.Verf, errors.Join(err, wccErr)
}

package overlay

import (
	"errors"
	"os"
	"sync/atomic"
)

// told is what the journal says of an object.
type told struct {
	typ uint32
	// places are the object's names, the newest first.
	places []toldPlace
	seen   map[placeKey]struct{} // names that newer records told of
	// origin is what the ID of an inode without marks was before copy-up.
	origin ID
	has    bool // origin
	// at is where the newest record about an origin is.
	at int64
}

type toldPlace struct {
	placeKey
	at int64 // of the record
}

// placeKey is a name in a directory.
type placeKey struct {
	dir  ID
	name string
}

// knows reports whether there is such an object.
func (t *told) knows() bool { return len(t.places) > 0 }

// recall gives what the journal says of an object.
func (j *journal) recall(id ID) (*told, error) {
	for {
		begin := j.begin.Load()
		t, err := j.follow(id, j.chain(id))
		if j.begin.Load() == begin {
			return t, err
		}
	}
}

// chain gives where the records of an object begin; 0: there are none.
func (j *journal) chain(id ID) int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.chainLocked(id)
}

func (j *journal) chainLocked(id ID) (off int64) {
	if j.index == nil {
		return 0
	}
	guarded(func() {
		hash := hashID(id)
		if b := bucket(atomic.LoadUint64(j.index.bucket(hash))); b.mayHold(hash) {
			off = b.offset()
		}
	})
	return off
}

// follow reads a chain from its newest record on. What cannot be read is the end of it.
func (j *journal) follow(id ID, off int64) (*told, error) {
	t := new(told)
	var buf [maxRecord]byte
	for begin := j.begin.Load(); off >= begin && off > 0; {
		r, err := j.readRecord(off, &buf)
		if errors.Is(err, errNoRecord) || errors.Is(err, os.ErrClosed) {
			break
		}
		if err != nil {
			return nil, err
		}
		if r.id == id && t.take(&r, off) || r.link >= off {
			break
		}
		off = r.link
	}
	return t, nil
}

// take takes in one more record, an older one than those before, and reports whether
// still older ones do not count.
func (t *told) take(r *record, at int64) (last bool) {
	if t.typ == 0 {
		t.typ = r.typ
	}
	switch r.op {
	case recGone:
		return true
	case recOrigin:
		if !t.has {
			t.origin, t.has, t.at = r.other, true, at
		}
	case recPlace, recUnname:
		key := placeKey{r.other, string(r.name)}
		if _, ok := t.seen[key]; !ok && r.op == recPlace {
			t.places = append(t.places, toldPlace{key, at})
		}
		if !r.only {
			t.see(key)
		}
	}
	return r.only
}

func (t *told) see(key placeKey) {
	if t.seen == nil {
		t.seen = make(map[placeKey]struct{})
	}
	t.seen[key] = struct{}{}
}

// fewRecords is how many records about an object are read to find one name: of a file with
// thousands of names each would be looked for among all.
const fewRecords = 32

// finds reports whether an object of a type is known by a name, and whether there can be anything
// else about it. Of one with many names only the newest are found.
func (j *journal) finds(id, dir ID, name []byte, typ uint32) (here, more bool) {
	var buf [maxRecord]byte
	begin := j.begin.Load()
	read := 0
	for off := j.chain(id); off >= begin && off > 0; {
		r, err := j.readRecord(off, &buf)
		switch {
		case err != nil || r.link >= off:
			return false, true
		case r.id != id:
		case r.op == recGone:
			return false, more
		case r.other == dir && string(r.name) == string(name):
			return r.op == recPlace && r.typ == typ, true
		case r.only:
			return false, true
		default:
			if more, read = true, read+1; read == fewRecords {
				return false, true
			}
		}
		off = r.link
	}
	return false, more
}

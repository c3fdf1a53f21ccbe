package overlay

import "os"

const (
	// minWorn is how many records are worth to be looked through.
	minWorn = 1 << 16
	// wornShare is how many records there are for one of use when they are.
	wornShare = 4
	// lookStep is after how many to look whether that is so.
	lookStep = 1 << 12
)

// worn reports whether most of the journal is of no use any more.
func (j *journal) worn() (worn bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err != nil || j.begin.Load() == j.base {
		return false
	}
	guarded(func() {
		worn = j.index.get(wordRecords) > max(minWorn, wornShare*j.index.get(wordLive))
	})
	return worn
}

// compact removes what is of no use from a journal that is worn, beside those who use it.
func (j *journal) compact() {
	if j == nil || !j.due.Load() || !j.due.Swap(false) || !j.worn() || !j.tidying.CompareAndSwap(false, true) {
		return
	}
	j.work.Go(func() {
		defer j.tidying.Store(false)
		for j.worn() && j.compactFirst() {
		}
	})
}

// compactFirst appends what is of use in the first segment anew, a record at a time, and
// removes the segment. It reports false when that has no end.
func (j *journal) compactFirst() bool {
	number := j.begin.Load() / segmentBytes
	b, err := os.ReadFile(j.segmentPath(number))
	if err != nil {
		return false
	}
	done := make(map[ID]struct{}) // objects with several names: all of them at once
	records := int64(0)
	for {
		r, rest, ok := decodeRecord(b)
		if !ok {
			return j.drop(number, records)
		}
		records++
		if _, ok := done[r.id]; !ok {
			several, ok := j.renew(r.id, number)
			if !ok {
				return false
			}
			if several {
				done[r.id] = struct{}{}
			}
		}
		b = rest
	}
}

// renew appends anew what a segment says of an object and is of use.
func (j *journal) renew(id ID, number int64) (several, ok bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	t, err := j.follow(id, j.chainLocked(id))
	if err != nil || j.err != nil {
		return false, false
	}
	for i := len(t.places) - 1; i >= 0; i-- {
		p := &t.places[i]
		if p.at/segmentBytes != number {
			continue
		}
		r := record{op: recPlace, only: len(t.places) == 1, typ: t.typ, id: id, other: p.dir, name: []byte(p.name)}
		if !j.writeLocked(&r, 0) {
			return false, false
		}
	}
	if t.has && t.at/segmentBytes == number {
		if r := (record{op: recOrigin, id: id, other: t.origin}); !j.writeLocked(&r, 0) {
			return false, false
		}
	}
	return len(t.places) > 1, true
}

// drop makes the log begin behind a segment, of which all that is of use was
// appended anew.
func (j *journal) drop(number, records int64) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err != nil || j.begin.Load()/segmentBytes != number {
		return false
	}
	ok := guarded(func() {
		j.index.set(wordRecords, max(j.index.get(wordRecords)-records, 0))
		j.setBegin(number + 1)
	})
	return ok && j.dropSegments(number+1) == nil
}

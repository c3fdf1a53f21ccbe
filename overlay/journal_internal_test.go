package overlay

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func openTestJournal(t *testing.T, dir, upper string) *journal {
	t.Helper()
	j, err := openJournal(dir, upper, 0, func(func(record)) {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := j.close(); err != nil {
			t.Error(err)
		}
	})
	return j
}

func (j *journal) add(t *testing.T, r record) {
	t.Helper()
	if !j.write(func() (record, int) { return r, 1 }) {
		t.Fatalf("the record was not kept: %v", j.err)
	}
}

// names gives the names that a journal knows an object by, the newest first.
func (j *journal) names(t *testing.T, id ID) (names []string) {
	t.Helper()
	told, err := j.recall(id)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range told.places {
		names = append(names, p.name)
	}
	return names
}

// copyJournal copies a journal as it is when the process is killed now.
func copyJournal(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(filepath.Join(to, journalName), os.DirFS(filepath.Join(dir, journalName))); err != nil {
		t.Fatal(err)
	}
	return to
}

func TestJournalEnds(t *testing.T) {
	long := strings.Repeat("n", 255)
	at := int64(recordHead + 8) // the second record
	tests := []struct {
		name   string
		damage func(dir string) error
		upper  string
		want   []string
	}{
		{"killed", func(string) error { return nil }, "", []string{"a", long}},
		{"cut in the tail", func(dir string) error { return os.Truncate(dir+"/1", 4096) }, "", []string{"a", long}},
		{"cut in a record", func(dir string) error { return os.Truncate(dir+"/1", at+recordHead) }, "", nil},
		{"no record", func(dir string) error { return poke(dir+"/1", at, 0, 0) }, "", []string{"a"}},
		{"no head", func(dir string) error { return poke(dir+"/index", 0, 'x') }, "", nil},
		{"no index", func(dir string) error { return os.Remove(dir + "/index") }, "", nil},
		{"half an index", func(dir string) error { return os.Truncate(dir+"/index", 5000) }, "", nil},
		{"no log", func(dir string) error { return os.Remove(dir + "/1") }, "", nil},
		{"an empty log", func(dir string) error { return os.Truncate(dir+"/1", 0) }, "", nil},
		{"garbage in the log", func(dir string) error {
			return os.WriteFile(dir+"/1", bytes.Repeat([]byte{0xff}, 1<<16), 0o600)
		}, "", nil},
		{"garbage in the index", func(dir string) error {
			return poke(dir+"/index", 16, bytes.Repeat([]byte{0xff}, 1<<16)...)
		}, "", nil},
		{"a file", func(dir string) error {
			return errors.Join(os.RemoveAll(dir), os.WriteFile(dir, []byte("nixnfsd1"), 0o600))
		}, "", nil},
		{"another upper", func(string) error { return nil }, "/other", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			j := openTestJournal(t, dir, "")
			j.add(t, record{op: recPlace, id: ID{1, 1}, name: []byte("a")})
			j.add(t, record{op: recPlace, id: ID{2, 1}, name: []byte(long)})
			killed := copyJournal(t, dir)
			if err := tt.damage(filepath.Join(killed, journalName)); err != nil {
				t.Fatal(err)
			}
			want := slices.Clone(tt.want)
			for i := range 3 {
				j := openTestJournal(t, killed, tt.upper)
				var got []string
				for id := range uint64(3 + i) {
					got = append(got, j.names(t, ID{id, 1})...)
				}
				if !slices.Equal(got, want) {
					t.Errorf("got %d names %.40q, want %.40q", len(got), got, want)
				}
				last := fmt.Sprint("last", i)
				j.add(t, record{op: recPlace, id: ID{uint64(3 + i), 1}, name: []byte(last)})
				want = append(want, last)
				if err := j.close(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func poke(path string, off int64, b ...byte) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteAt(b, off)
	return err
}

// journalModel is what a journal has to know.
type journalModel struct {
	places  map[ID]map[placeKey]struct{}
	origins map[ID]ID
}

func (m *journalModel) clone() *journalModel {
	next := &journalModel{map[ID]map[placeKey]struct{}{}, maps.Clone(m.origins)}
	for id, places := range m.places {
		next.places[id] = maps.Clone(places)
	}
	return next
}

// differs says what a journal knows otherwise than the model.
func (m *journalModel) differs(j *journal) string {
	for fileid := range uint64(modelIDs) {
		id := ID{fileid, 1}
		told, err := j.recall(id)
		if err != nil {
			return err.Error()
		}
		got := map[placeKey]struct{}{}
		for _, p := range told.places {
			got[p.placeKey] = struct{}{}
		}
		if !maps.Equal(got, m.places[id]) || len(got) != len(told.places) {
			return fmt.Sprintf("%v has places %v, want %v", id, told.places, m.places[id])
		}
		if want, ok := m.origins[id]; ok != told.has || want != told.origin {
			return fmt.Sprintf("%v has origin %v (%v), want %v", id, told.origin, told.has, want)
		}
	}
	return ""
}

const modelIDs = 12

// A journal knows what a map of places would, whatever was written, wherever the process
// is killed, and while it is compacted and its index grows.
func TestJournalModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := &journalModel{map[ID]map[placeKey]struct{}{}, map[ID]ID{}}
		w := journalWorld{t: t, rt: rt, dir: fastTempDir(t), m: m}
		w.open()
		defer func() { w.j.close() }()
		rt.Repeat(map[string]func(*rapid.T){
			"place": w.place, "unname": w.unname, "gone": w.gone, "origin": w.origin,
			"restart": w.restart, "killed in a record": w.killedInRecord,
			"segment": w.segment, "compact": w.compact, "grow": w.grow,
			"": func(rt *rapid.T) {
				if d := w.m.differs(w.j); d != "" {
					rt.Fatal(d)
				}
			},
		})
	})
}

// fastTempDir gives a directory in memory, where that is to be had.
func fastTempDir(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "journal")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

type journalWorld struct {
	t   *testing.T
	rt  *rapid.T
	dir string
	j   *journal
	m   *journalModel
}

func (w *journalWorld) open() {
	j, err := openJournal(w.dir, "", 0, func(func(record)) {})
	if err != nil {
		w.rt.Fatal(err)
	}
	w.j = j
}

func (w *journalWorld) write(rt *rapid.T, r record) {
	if !w.j.write(func() (record, int) { return r, 1 }) {
		rt.Fatal(w.j.err)
	}
}

func someID(rt *rapid.T) ID { return ID{rapid.Uint64Range(0, modelIDs-1).Draw(rt, "object"), 1} }

func someKey(rt *rapid.T) placeKey {
	return placeKey{ID{rapid.Uint64Range(0, 2).Draw(rt, "dir"), 7}, rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(rt, "name")}
}

func (w *journalWorld) place(rt *rapid.T) {
	id, key := someID(rt), someKey(rt)
	if _, ok := w.m.origins[id]; !ok { // the inode of a copy is no object of its own
		w.write(rt, w.m.place(id, key))
	}
}

func (m *journalModel) place(id ID, key placeKey) record {
	if m.places[id] == nil {
		m.places[id] = map[placeKey]struct{}{}
	}
	m.places[id][key] = struct{}{}
	return record{op: recPlace, only: len(m.places[id]) == 1, typ: ModeRegular, id: id, other: key.dir, name: []byte(key.name)}
}

func (w *journalWorld) unname(rt *rapid.T) {
	id, key := someID(rt), someKey(rt)
	if _, ok := w.m.places[id][key]; !ok {
		return
	}
	delete(w.m.places[id], key)
	if len(w.m.places[id]) == 1 {
		for one := range w.m.places[id] {
			w.write(rt, w.m.place(id, one))
		}
		return
	}
	w.write(rt, record{op: recUnname, id: id, other: key.dir, name: []byte(key.name)})
}

func (w *journalWorld) gone(rt *rapid.T) {
	id := someID(rt)
	delete(w.m.places, id)
	delete(w.m.origins, id)
	w.write(rt, record{op: recGone, id: id})
}

func (w *journalWorld) origin(rt *rapid.T) {
	id, other := someID(rt), someID(rt)
	if len(w.m.places[id]) > 0 {
		return
	}
	w.m.origins[id] = other
	w.write(rt, record{op: recOrigin, id: id, other: other})
}

func (w *journalWorld) restart(rt *rapid.T) {
	if err := w.j.close(); err != nil {
		rt.Fatal(err)
	}
	w.open()
}

// killedInRecord goes on with what a process leaves that is killed while it stores a
// record: the log has it, but the index does not have all.
func (w *journalWorld) killedInRecord(rt *rapid.T) {
	before := w.m.clone()
	was := slices.Clone(w.j.index.bytes)
	w.place(rt)
	w.m = before
	end := w.j.index.get(wordEnd)
	copy(w.j.index.bytes, was)
	if rapid.Bool().Draw(rt, "the end moved") {
		w.j.index.set(wordEnd, end)
	}
	w.restart(rt)
}

func (w *journalWorld) segment(rt *rapid.T) {
	if err := w.j.nextSegment(w.j.base/segmentBytes + 1); err != nil {
		rt.Fatal(err)
	}
}

func (w *journalWorld) compact(rt *rapid.T) {
	if w.j.begin.Load() != w.j.base && !w.j.compactFirst() {
		rt.Fatal("the journal was not compacted")
	}
}

func (w *journalWorld) grow(rt *rapid.T) {
	if w.j.index.buckets() > 4*minBuckets {
		return
	}
	next, err := w.j.index.twice(w.j.dir)
	if err != nil {
		rt.Fatal(err)
	}
	if err := w.j.index.close(); err != nil {
		rt.Fatal(err)
	}
	w.j.index = next
}

// A journal of many objects has short chains, and knows each of them after a restart.
func TestJournalGrows(t *testing.T) {
	const objects = 200_000
	dir := fastTempDir(t)
	j := openTestJournal(t, dir, "")
	name := []byte(strings.Repeat("n", 40))
	for i := range uint64(objects) {
		j.add(t, record{op: recPlace, only: true, typ: ModeRegular, id: ID{i, 1}, name: name})
	}
	if n := j.index.buckets(); n*bucketLoad < objects/2 {
		t.Errorf("the index has %d buckets for %d objects", n, objects)
	}
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
	j = openTestJournal(t, dir, "")
	for i := uint64(0); i < objects; i += 97 {
		if got := j.names(t, ID{i, 1}); len(got) != 1 {
			t.Fatalf("object %d has %d names", i, len(got))
		}
		if got := j.names(t, ID{i, 2}); len(got) != 0 {
			t.Fatalf("an object that is not there has %d names", len(got))
		}
	}
	if n := j.seen.Load(); n == 0 || n > maxSeen {
		t.Errorf("%d parts of the log are in memory, want at most %d", n, maxSeen)
	}
}

// Who lists a large directory for the first time reads hardly anything: what is to be read
// before it is clear that an object is not known.
func TestJournalChainsOfMany(t *testing.T) {
	const objects = 100_000
	j := openTestJournal(t, fastTempDir(t), "")
	name := []byte(strings.Repeat("n", 40))
	for i := range uint64(objects) {
		j.add(t, record{op: recPlace, only: true, typ: ModeRegular, id: ID{i, 1}, name: name})
	}
	read := 0
	var buf [maxRecord]byte
	for i := range uint64(objects) {
		for off := j.chain(ID{i, 2}); off > 0; read++ {
			r, err := j.readRecord(off, &buf)
			if err != nil {
				t.Fatal(err)
			}
			off = r.link
		}
	}
	if read > objects/4 {
		t.Errorf("%d records are read for %d objects that are not known", read, objects)
	}
}

// Who lists the names of a file that has many does not read all of them for each.
func TestJournalFindsAmongMany(t *testing.T) {
	const names = 10_000
	j := openTestJournal(t, fastTempDir(t), "")
	id, dir := ID{1, 1}, ID{2, 2}
	for i := range names {
		j.add(t, record{op: recPlace, only: i == 0, typ: ModeRegular, id: id, other: dir, name: fmt.Append(nil, i)})
	}
	for i, want := range map[int]bool{names - 1: true, names - fewRecords: true, names - fewRecords - 1: false, 0: false} {
		if here, more := j.finds(id, dir, fmt.Append(nil, i), ModeRegular); here != want || !more {
			t.Errorf("name %d is found: %v, and there is more: %v", i, here, more)
		}
	}
}

// Of a segment that was emptied behind the server nothing is known any more, and of others all.
func TestJournalSegmentCutShort(t *testing.T) {
	dir := fastTempDir(t)
	j, err := openJournal(dir, "", smallSegment, func(func(record)) {})
	if err != nil {
		t.Fatal(err)
	}
	defer j.close()
	i := uint64(0)
	for ; j.base < (firstSegment+2)*segmentBytes; i++ {
		j.add(t, record{op: recPlace, only: true, id: ID{i, 1}, name: []byte("n")})
	}
	if got := j.names(t, ID{0, 1}); len(got) != 1 {
		t.Errorf("before, the first object has the names %q", got)
	}
	if err := os.Truncate(j.segmentPath(firstSegment), 0); err != nil {
		t.Fatal(err)
	}
	if got := j.names(t, ID{0, 1}); len(got) != 0 {
		t.Errorf("the first object has the names %q", got)
	}
	if got := j.names(t, ID{i - 1, 1}); len(got) != 1 {
		t.Errorf("the last object has the names %q", got)
	}
}

// A journal in which little is of use is compacted, beside those who read it and write to it.
func TestJournalCompacts(t *testing.T) {
	dir := fastTempDir(t)
	j := openTestJournal(t, dir, "")
	const kept = 1000
	link := []byte("link")
	for i := range uint64(kept) {
		j.add(t, record{op: recPlace, only: true, typ: ModeRegular, id: ID{i, 1}, name: []byte(fmt.Sprint(i))})
		j.add(t, record{op: recPlace, typ: ModeRegular, id: ID{i, 1}, name: link})
	}
	j.add(t, record{op: recOrigin, id: ID{1, 9}, other: ID{2, 9}})
	for i := uint64(kept); j.index.get(wordBegin) < 3*segmentBytes; i++ {
		if i > 1e7 {
			t.Fatal("the journal was not compacted")
		}
		r := record{op: recPlace, only: true, typ: ModeRegular, id: ID{i, 1}, name: bytes.Repeat(link, 50)}
		j.add(t, r)
		j.write(func() (record, int) { return record{op: recGone, id: r.id}, -1 })
		j.compact()
		if got := j.names(t, ID{i % kept, 1}); len(got) != 2 {
			t.Fatalf("object %d has the names %q", i%kept, got)
		}
	}
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
	numbers, err := segmentNumbers(j.dir)
	if err != nil || len(numbers) > 3 {
		t.Errorf("there are the segments %v, %v", numbers, err)
	}
	j = openTestJournal(t, dir, "")
	for i := range uint64(kept) {
		if got := j.names(t, ID{i, 1}); len(got) != 2 {
			t.Errorf("object %d has the names %q", i, got)
		}
	}
	if told, err := j.recall(ID{1, 9}); err != nil || told.origin != (ID{2, 9}) {
		t.Errorf("the origin is %v, %v", told, err)
	}
}

// An object that is renamed again and again does not make the chain long for others.
func TestJournalOfOneRenamed(t *testing.T) {
	j := openTestJournal(t, fastTempDir(t), "")
	id := ID{1, 1}
	for i := range 1000 {
		j.add(t, record{op: recPlace, id: id, name: []byte(fmt.Sprint(i))})
		j.add(t, record{op: recPlace, only: true, id: id, name: []byte(fmt.Sprint(i))})
	}
	var buf [maxRecord]byte
	r, err := j.readRecord(j.chain(id), &buf)
	if err != nil || r.link != 0 || string(r.name) != "999" {
		t.Errorf("the newest record is %+v, %v", r, err)
	}
}

// A journal that cannot grow is given up, and what it told of before is kept.
func TestJournalFull(t *testing.T) {
	dir := fastTempDir(t)
	j := openTestJournal(t, dir, "")
	j.add(t, record{op: recPlace, id: ID{1, 1}, name: []byte("kept")})
	gone := filepath.Join(dir, "gone")
	if err := os.Rename(j.dir, gone); err != nil { // no segment can be made
		t.Fatal(err)
	}
	kept := true
	for i := uint64(0); kept && i < 2*segmentBytes/recordHead; i++ {
		kept = j.write(func() (record, int) { return record{op: recPlace, id: ID{i, 2}, name: []byte("n")}, 1 })
	}
	if kept {
		t.Error("the journal did not meet its end")
	}
	if got := j.names(t, ID{1, 1}); !slices.Equal(got, []string{"kept"}) {
		t.Errorf("names are %q", got)
	}
}

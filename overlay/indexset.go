package overlay

import (
	"encoding/binary"
	"encoding/hex"
	"os"
	"sync"
)

// indexSet knows which lower files with several names were copied up: the
// index in the work directory has a link to each, named by its ID, by which the
// other names find the copy.
type indexSet struct {
	mu sync.RWMutex
	m  map[ID]struct{}
}

func (s *indexSet) has(id ID) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	_, ok := s.m[id]
	return ok
}

func (s *indexSet) add(id ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.m == nil {
		s.m = make(map[ID]struct{})
	}
	s.m[id] = struct{}{}
}

func (s *indexSet) remove(id ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.m, id)
}

func (s *indexSet) load(entries []os.DirEntry) {
	for _, e := range entries {
		if id, ok := parseIndexName(e.Name()); ok {
			s.add(id)
		}
	}
}

// indexName is the name of an ID in the index.
func indexName(id ID) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], id.Fileid)
	binary.BigEndian.PutUint64(b[8:], id.Gen)
	return hex.EncodeToString(b[:])
}

// parseIndexName takes only what indexName gives: under another spelling nothing would be
// found again.
func parseIndexName(s string) (id ID, ok bool) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != 16 {
		return id, false
	}
	id = ID{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
	if indexName(id) != s {
		return ID{}, false
	}
	return id, true
}

package nfs

import (
	"bytes"
	"slices"
	"strings"
	"sync"

	"github.com/nixnfsd/nixnfsd/internal/oncrpc"
)

const (
	maxPath = 1024 // MNTPATHLEN (RFC 1813 §5.1.1)
	// maxMounts bounds what DUMP shows; the oldest are forgotten.
	maxMounts = 64
)

// mounts is the list of who has mounted what. It is a record only (RFC 1813
// §5.2.2): clients that go away without a word stay in it.
type mounts struct {
	mu   sync.Mutex
	list []mounted
}

type mounted struct{ host, path string }

func (m *mounts) add(e mounted) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if slices.Contains(m.list, e) {
		return
	}
	if len(m.list) == maxMounts {
		m.list = slices.Delete(m.list, 0, 1)
	}
	m.list = append(m.list, e)
}

// remove forgets what host mounted.
func (m *mounts) remove(host string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.list = slices.DeleteFunc(m.list, func(e mounted) bool { return e.host == host })
}

func (m *mounts) all() []mounted {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.list)
}

func decodePath(q *request) {
	q.name = q.d.Opaque(maxString)
	if len(q.name) > maxPath {
		q.refuse(statusNameTooLong)
	}
}

// runMnt lets a client have the root. "/" is another name of the export.
func runMnt(q *request) error {
	if q.stranger() && !q.srv.shared {
		return statusAcces
	}
	path := string(bytes.TrimRight(q.name, "/"))
	if path != "" && path != strings.TrimRight(q.srv.export, "/") || len(q.name) == 0 {
		return statusNoEnt
	}
	q.srv.mounts.add(mounted{q.client, q.srv.export})
	return nil
}

// okMnt appends the root's handle and the flavors that are taken.
func okMnt(q *request) {
	q.srv.handles.append(&q.e, q.srv.fs.Root())
	q.e.Uint32(1)
	q.e.Uint32(oncrpc.AuthSys)
}

// runUmnt does not look at the path: there is one export, and Apple's client
// says what follows the first slash of what it mounted.
func runUmnt(q *request) error {
	q.srv.mounts.remove(q.client)
	return nil
}

func okDump(q *request) {
	for _, m := range q.srv.mounts.all() {
		q.e.Bool(true)
		q.e.String(m.host)
		q.e.String(m.path)
	}
	q.e.Bool(false)
}

// okExport appends the one export, whose empty list of groups means everybody.
func okExport(q *request) {
	q.e.Bool(true)
	q.e.String(q.srv.export)
	q.e.Bool(false)
	q.e.Bool(false)
}

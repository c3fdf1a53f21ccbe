package yardstick

import (
	"encoding/binary"
	"errors"
	"net"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/internal/xdr"
)

const (
	handleSize = 8
	maxName    = 255
	// maxOpen bounds the files that stay open.
	maxOpen = 256
)

// Procedures (RFC 1813 §3.3).
const (
	procGetattr     = 1
	procSetattr     = 2
	procLookup      = 3
	procAccess      = 4
	procRead        = 6
	procWrite       = 7
	procCreate      = 8
	procMkdir       = 9
	procRemove      = 12
	procRmdir       = 13
	procReaddirplus = 17
	procCommit      = 21
)

// node is an object that a handle names.
type node struct {
	path string
	fd   int      // -1 when it is not open
	list []string // of a directory that is being listed
}

// server is the state of ServeNFS. One lock is enough: there is one client.
type server struct {
	mu    sync.Mutex
	nodes []*node
	index map[string]uint64
	open  []*node // the oldest first
}

// ServeNFS serves root to whoever connects to l, for whatever path they mount, until l
// is closed. Modes of what is made are the client's if the process's umask is 0.
func ServeNFS(l net.Listener, root string) error {
	s := &server{index: map[string]uint64{}}
	s.handle(root)
	return serve(l, s.answer)
}

// procedure is one of NFS's. A failure's status is followed by attributes that are not there.
type procedure struct {
	do   func(*server, *node, *xdr.Decoder, *xdr.Encoder) error
	fail int // bytes of these
}

func find(proc uint32) (procedure, bool) {
	switch proc {
	case procGetattr:
		return procedure{(*server).getattr, 0}, true
	case procSetattr:
		return procedure{(*server).setattr, noWcc}, true
	case procLookup:
		return procedure{(*server).lookup, noPost}, true
	case procAccess:
		return procedure{(*server).access, noPost}, true
	case procRead:
		return procedure{(*server).read, noPost}, true
	case procWrite:
		return procedure{(*server).write, noWcc}, true
	case procCreate:
		return procedure{(*server).create, noWcc}, true
	case procMkdir:
		return procedure{(*server).mkdir, noWcc}, true
	case procRemove:
		return procedure{(*server).remove, noWcc}, true
	case procRmdir:
		return procedure{(*server).rmdir, noWcc}, true
	case procReaddirplus:
		return procedure{(*server).readdirplus, noPost}, true
	case procCommit:
		return procedure{(*server).commit, noWcc}, true
	}
	return procedure{}, false
}

// answer finds the procedure. All but MNT have a handle first.
func (s *server) answer(prog, proc uint32, d *xdr.Decoder, e *xdr.Encoder) bool {
	if prog == progMount {
		putMnt(e)
		return proc == procMnt
	}
	p, ok := find(proc)
	if !ok {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	at := len(e.B)
	e.Uint32(0)
	err := error(unix.ESTALE)
	if n := s.node(d.Opaque(handleSize)); n != nil {
		err = p.do(s, n, d, e)
	}
	if err != nil {
		e.B = e.B[:at]
		e.Uint32(status(err))
		e.B = append(e.B, make([]byte, p.fail)...)
	}
	return true
}

// status gives an error's nfsstat3: the common ones have the numbers of errno.
func status(err error) uint32 {
	var errno unix.Errno
	if errors.As(err, &errno) {
		return uint32(errno)
	}
	return uint32(unix.EIO)
}

// handle gives the number of the object at path, which is its handle.
func (s *server) handle(path string) uint64 {
	i, ok := s.index[path]
	if !ok {
		i = uint64(len(s.nodes))
		s.nodes = append(s.nodes, &node{path: path, fd: -1})
		s.index[path] = i
	}
	return i
}

func (s *server) node(handle []byte) *node {
	if len(handle) != handleSize {
		return nil
	}
	if i := binary.BigEndian.Uint64(handle); i < uint64(len(s.nodes)) {
		return s.nodes[i]
	}
	return nil
}

// descriptor gives an open descriptor of a file.
func (s *server) descriptor(n *node) (int, error) {
	if n.fd >= 0 {
		return n.fd, nil
	}
	fd, err := unix.Open(n.path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		fd, err = unix.Open(n.path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	}
	if err == nil {
		s.keep(n, fd)
	}
	return fd, err
}

// keep keeps a file open, and closes the one that has been open the longest.
func (s *server) keep(n *node, fd int) {
	n.fd = fd
	s.open = append(s.open, n)
	if len(s.open) > maxOpen {
		oldest := s.open[0]
		s.open = s.open[1:]
		shut(oldest)
	}
}

func shut(n *node) {
	if n.fd >= 0 {
		unix.Close(n.fd)
		n.fd = -1
	}
}

// forget drops an object that has no name any more.
func (s *server) forget(path string) {
	if i, ok := s.index[path]; ok {
		shut(s.nodes[i])
		delete(s.index, path)
	}
}

func (n *node) child(d *xdr.Decoder) string {
	return n.path + string(os.PathSeparator) + string(d.Opaque(maxName))
}

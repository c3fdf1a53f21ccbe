package handover

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Bundle is what a server leaves to its successor. Its files are descriptors of their own, and
// whoever goes on with what they are takes descriptors of his own.
type Bundle struct {
	Version  string    // of the program that the successor follows
	Since    time.Time // when clients began to wait
	Args     []string  // of the command line, behind the program's name
	Failure  string    // why the successor was none, and gave the Bundle back
	Program  *os.File  // that of who left the Bundle; nil: it cannot be given back
	Listener *os.File
	Control  *os.File   // the listening control socket; nil: there is none
	Metrics  *os.File   // the listening socket of metrics; nil: there is none
	Locks    []*os.File // of directories
	Conns    []Conn

	manifest *os.File // without a name
}

// Conn is a client's connection.
type Conn struct {
	File   *os.File
	Unread []byte // the beginning of a call
}

// New makes a Bundle of this program, which has that version, and no sockets. There is a file
// in dir, which is the server's own, for a moment.
func New(version, dir string) (*Bundle, error) {
	manifest, err := nameless(filepath.Join(dir, "handover"))
	if err != nil {
		return nil, fmt.Errorf("hand over: %w", err)
	}
	program, _ := ownProgram() // without it a Bundle goes one way only
	return &Bundle{Version: version, Args: os.Args[1:], Program: program, manifest: manifest}, nil
}

// nameless makes a file that has no name any more.
func nameless(path string) (*os.File, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	if err := os.Remove(path); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Add adds a connection, of which the beginning of a call has been read, and closes it here.
func (b *Bundle) Add(c net.Conn, unread []byte) error {
	f, err := Dup(c)
	c.Close() // the socket stays open
	if err != nil {
		return fmt.Errorf("hand over a connection: %w", err)
	}
	b.Conns = append(b.Conns, Conn{f, unread})
	return nil
}

// Close closes all that b has.
func (b *Bundle) Close() error {
	files := append([]*os.File{b.manifest, b.Program, b.Listener, b.Control, b.Metrics}, b.Locks...)
	for _, c := range b.Conns {
		files = append(files, c.File)
	}
	var err error
	for _, f := range files {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
	}
	return err
}

// Dup gives a descriptor of its own of a socket, a net.Conn or net.Listener.
func Dup(socket any) (*os.File, error) {
	c, ok := socket.(syscall.Conn)
	if !ok {
		return nil, fmt.Errorf("a %T has no descriptor", socket)
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	dup := -1
	var dupErr error
	err = raw.Control(func(fd uintptr) { dup, dupErr = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) })
	if err = errors.Join(err, dupErr); err != nil {
		return nil, fmt.Errorf("duplicate a socket: %w", err)
	}
	return os.NewFile(uintptr(dup), "socket"), nil
}

package handover

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// envName is the variable of the environment that a successor finds.
const envName = "NIXNFSD_HANDOVER"

// format is the manifest's. A successor of another format is not taken.
const format = 1

// Bundle is what a server leaves to its successor. Its files are descriptors of their own.
type Bundle struct {
	Version  string    // of the program that the successor follows
	Since    time.Time // when clients began to wait
	Listener *os.File
	Control  *os.File   // the listening control socket; nil: there is none
	Locks    []*os.File // of directories
	Conns    []Conn
}

// Conn is a client's connection.
type Conn struct {
	File   *os.File
	Unread []byte // the beginning of a call
}

// manifest is a Bundle on its way.
type manifest struct {
	Format   int       `json:"format"`
	Version  string    `json:"version"`
	Since    time.Time `json:"since"`
	Listener int       `json:"listener"`
	Control  int       `json:"control"` // -1: none
	Locks    []lock    `json:"locks"`
	Conns    []conn    `json:"conns"`
}

type lock struct {
	FD  int    `json:"fd"`
	Dir string `json:"dir"`
}

type conn struct {
	FD     int    `json:"fd"`
	Unread []byte `json:"unread,omitempty"`
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
	files := append([]*os.File{b.Listener, b.Control}, b.Locks...)
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

// TakeListener gives the socket that listens in f, and closes f.
func TakeListener(f *os.File) (net.Listener, error) {
	l, err := net.FileListener(f)
	return l, errors.Join(err, f.Close())
}

// Take gives the connection, and closes File.
func (c Conn) Take() (net.Conn, error) {
	nc, err := net.FileConn(c.File)
	return nc, errors.Join(err, c.File.Close())
}

// number is f's descriptor, left as it is: f.Fd would have it block.
func number(f *os.File) (int, error) {
	if f == nil {
		return -1, nil
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return -1, err
	}
	n := -1
	err = raw.Control(func(fd uintptr) { n = int(fd) })
	return n, err
}

// manifest names the descriptors, and gives them all.
func (b *Bundle) manifest() (m manifest, fds []int, err error) {
	add := func(f *os.File) int {
		n, e := number(f)
		err = errors.Join(err, e)
		if n >= 0 {
			fds = append(fds, n)
		}
		return n
	}
	m = manifest{Format: format, Version: b.Version, Since: b.Since, Listener: add(b.Listener), Control: add(b.Control)}
	for _, f := range b.Locks {
		m.Locks = append(m.Locks, lock{add(f), f.Name()})
	}
	for _, c := range b.Conns {
		m.Conns = append(m.Conns, conn{add(c.File), c.Unread})
	}
	return m, fds, err
}

// Exec puts program in the place of this process, with arguments behind its name. The
// directory dir is the server's own; a file is there for a moment. It returns only when that
// failed: then the Bundle is as it was.
func (b *Bundle) Exec(program string, args []string, dir string) error {
	m, fds, err := b.manifest()
	if err != nil {
		return fmt.Errorf("hand over: %w", err)
	}
	f, err := m.write(filepath.Join(dir, "handover"))
	if err != nil {
		return fmt.Errorf("hand over: %w", err)
	}
	defer f.Close()
	n, err := number(f)
	if err != nil {
		return fmt.Errorf("hand over: %w", err)
	}
	return fmt.Errorf("start %s: %w", program, execKeeping(program, args, n, append(fds, n)))
}

// write puts the manifest into a file that has no name any more.
func (m *manifest) write(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	err = errors.Join(os.Remove(path), json.NewEncoder(f).Encode(m))
	if err == nil {
		_, err = f.Seek(0, 0)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// execKeeping keeps the descriptors, and of what Go does to the limit of open files before an
// exec, which may not come about, nothing. No child can be started meanwhile, with
// descriptors that are not for it.
func execKeeping(program string, args []string, manifest int, fds []int) error {
	syscall.ForkLock.Lock()
	defer syscall.ForkLock.Unlock()
	for _, fd := range fds {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0); err != nil {
			return err
		}
		defer unix.CloseOnExec(fd)
	}
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) == nil {
		defer unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
	}
	env := append(os.Environ(), envName+"="+strconv.Itoa(manifest))
	return syscall.Exec(program, append([]string{program}, args...), env)
}

// Receive gives what a predecessor left to this process, or nil without one.
func Receive() (*Bundle, error) {
	value, ok := os.LookupEnv(envName)
	if !ok {
		return nil, nil
	}
	os.Unsetenv(envName) // nothing that this process starts is to find it
	fd, err := strconv.Atoi(value)
	if err != nil {
		return nil, fmt.Errorf("%s=%q is no descriptor: unset it", envName, value)
	}
	b, err := receive(fd)
	if err != nil {
		return nil, fmt.Errorf("take over from the server before: %w", err)
	}
	return b, nil
}

func receive(fd int) (*Bundle, error) {
	f, err := inherited(fd, "manifest")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var m manifest
	if err := json.NewDecoder(f).Decode(&m); err != nil {
		return nil, fmt.Errorf("read the manifest: %w", err)
	}
	if m.Format != format {
		return nil, fmt.Errorf("the manifest has format %d, which is not %d", m.Format, format)
	}
	return m.bundle()
}

func (m *manifest) bundle() (*Bundle, error) {
	b := &Bundle{Version: m.Version, Since: m.Since}
	var errs []error
	file := func(fd int, name string) *os.File {
		f, err := inherited(fd, name)
		errs = append(errs, err)
		return f
	}
	b.Listener = file(m.Listener, "listener")
	if m.Control >= 0 {
		b.Control = file(m.Control, "control")
	}
	for _, l := range m.Locks {
		b.Locks = append(b.Locks, file(l.FD, l.Dir))
	}
	for _, c := range m.Conns {
		b.Conns = append(b.Conns, Conn{file(c.FD, "connection"), c.Unread})
	}
	return b, errors.Join(errs...)
}

// inherited takes a descriptor that came over an exec.
func inherited(fd int, name string) (*os.File, error) {
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, unix.FD_CLOEXEC); err != nil {
		return nil, fmt.Errorf("descriptor %d, %s: %w", fd, name, err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

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

// Bundle is what a server leaves to its successor. Its files are descriptors of their own, and
// whoever goes on with what they are takes descriptors of his own.
type Bundle struct {
	Version  string    // of the program that the successor follows
	Since    time.Time // when clients began to wait
	Dir      string    // the server's own: a file is there for a moment
	Args     []string  // of the command line, behind the program's name
	Failure  string    // why the successor was none, and gave the Bundle back
	Program  *os.File  // that of who left the Bundle; nil: it cannot be given back
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
	Dir      string    `json:"dir"`
	Args     []string  `json:"args"`
	Failure  string    `json:"failure,omitempty"`
	Program  int       `json:"program"` // -1: none
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

// New makes a Bundle of this program, which has that version, and no sockets.
func New(version, dir string) *Bundle {
	program, _ := ownProgram() // without it a Bundle goes one way only
	return &Bundle{Version: version, Dir: dir, Args: os.Args[1:], Program: program}
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
	files := append([]*os.File{b.Program, b.Listener, b.Control}, b.Locks...)
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
	m = manifest{
		Format: format, Version: b.Version, Since: b.Since, Dir: b.Dir, Args: b.Args, Failure: b.Failure,
		Program: add(b.Program), Listener: add(b.Listener), Control: add(b.Control),
	}
	for _, f := range b.Locks {
		m.Locks = append(m.Locks, lock{add(f), f.Name()})
	}
	for _, c := range b.Conns {
		m.Conns = append(m.Conns, conn{add(c.File), c.Unread})
	}
	return m, fds, err
}

// Exec puts program in the place of this process. It returns only when that failed: then the
// Bundle is as it was.
func (b *Bundle) Exec(program string) error { return b.exec(program, program) }

func (b *Bundle) exec(program, name string) error {
	m, fds, err := b.manifest()
	if err != nil {
		return fmt.Errorf("hand over: %w", err)
	}
	f, err := m.write(filepath.Join(b.Dir, "handover"))
	if err != nil {
		return fmt.Errorf("hand over: %w", err)
	}
	defer f.Close()
	n, err := number(f)
	if err != nil {
		return fmt.Errorf("hand over: %w", err)
	}
	return fmt.Errorf("start %s: %w", program, execKeeping(program, append([]string{name}, b.Args...), n, append(fds, n)))
}

// Return gives the Bundle back to the program that left it, in the place of this process, with
// the reason why. It returns only when that cannot be done: nil where there is no Bundle, or no
// program.
func (b *Bundle) Return(reason error) error {
	if b == nil || b.Program == nil {
		return nil
	}
	n, err := number(b.Program)
	if err != nil {
		return err
	}
	back := *b
	back.Program, back.Failure = nil, reason.Error()
	return back.exec(programPath(n), "nixnfsd")
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
func execKeeping(program string, argv []string, manifest int, fds []int) error {
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
	return syscall.Exec(program, argv, env)
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
	b := &Bundle{Version: m.Version, Since: m.Since, Dir: m.Dir, Args: m.Args, Failure: m.Failure}
	var errs []error
	file := func(fd int, name string) *os.File {
		f, err := inherited(fd, name)
		errs = append(errs, err)
		return f
	}
	b.Listener = file(m.Listener, "listener")
	if m.Program >= 0 {
		b.Program = file(m.Program, "program")
	}
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

package handover

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// format is the manifest's. A successor of another format is not taken.
const format = 1

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

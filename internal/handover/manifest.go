package handover

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// format is the manifest's. A successor of another format is not taken.
const format = 2

// manifest is a Bundle on its way: a line of JSON. Behind it follows what is unread of each
// connection, as it is.
type manifest struct {
	Format   int       `json:"format"`
	Version  string    `json:"version"`
	Since    time.Time `json:"since"`
	Args     []string  `json:"args"`
	Failure  string    `json:"failure,omitempty"`
	Program  int       `json:"program"` // -1: none
	Listener int       `json:"listener"`
	Control  int       `json:"control"` // -1: none
	Metrics  int       `json:"metrics"` // -1: none; 0: of a program that knew of none
	Locks    []lock    `json:"locks"`
	Conns    []conn    `json:"conns"`
}

type lock struct {
	FD  int    `json:"fd"`
	Dir string `json:"dir"`
}

type conn struct {
	FD     int `json:"fd"`
	Unread int `json:"unread,omitempty"` // bytes
}

// list names the descriptors, and gives them all.
func (b *Bundle) list() (m manifest, fds []int, err error) {
	add := func(f *os.File) int {
		n, e := number(f)
		err = errors.Join(err, e)
		if n >= 0 {
			fds = append(fds, n)
		}
		return n
	}
	m = manifest{
		Format: format, Version: b.Version, Since: b.Since, Args: b.Args, Failure: b.Failure,
		Program: add(b.Program), Listener: add(b.Listener), Control: add(b.Control), Metrics: add(b.Metrics),
	}
	for _, f := range b.Locks {
		m.Locks = append(m.Locks, lock{add(f), f.Name()})
	}
	for _, c := range b.Conns {
		m.Conns = append(m.Conns, conn{add(c.File), len(c.Unread)})
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

// write puts b's manifest, and what is unread, into its file.
func (b *Bundle) write(m *manifest) error {
	if err := b.manifest.Truncate(0); err != nil {
		return err
	}
	if _, err := b.manifest.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if err := json.NewEncoder(b.manifest).Encode(m); err != nil {
		return err
	}
	for _, c := range b.Conns {
		if _, err := b.manifest.Write(c.Unread); err != nil {
			return err
		}
	}
	_, err := b.manifest.Seek(0, io.SeekStart)
	return err
}

// receive reads the file of a Bundle, which stays the Bundle's.
func receive(fd int) (*Bundle, error) {
	f, err := inherited(fd, "manifest")
	if err != nil {
		return nil, err
	}
	b, err := read(f)
	if err != nil {
		f.Close()
		return nil, err
	}
	b.manifest = f
	return b, nil
}

func read(f *os.File) (*Bundle, error) {
	r := bufio.NewReader(f)
	line, err := r.ReadBytes('\n')
	if err != nil {
		return nil, fmt.Errorf("read the manifest: %w", err)
	}
	var m manifest
	if err := json.Unmarshal(line, &m); err != nil {
		return nil, fmt.Errorf("read the manifest: %w", err)
	}
	if m.Format != format {
		return nil, fmt.Errorf("the manifest has format %d, which is not %d", m.Format, format)
	}
	return m.bundle(r)
}

// bundle makes a Bundle again; what is unread comes from r.
func (m *manifest) bundle(r io.Reader) (*Bundle, error) {
	b := &Bundle{Version: m.Version, Since: m.Since, Args: m.Args, Failure: m.Failure}
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
	if m.Metrics > 0 {
		b.Metrics = file(m.Metrics, "metrics")
	}
	for _, l := range m.Locks {
		b.Locks = append(b.Locks, file(l.FD, l.Dir))
	}
	for _, c := range m.Conns {
		unread, err := readUnread(r, c.Unread)
		errs = append(errs, err)
		b.Conns = append(b.Conns, Conn{file(c.FD, "connection"), unread})
	}
	return b, errors.Join(errs...)
}

// readUnread reads n bytes, of which there may be fewer.
func readUnread(r io.Reader, n int) ([]byte, error) {
	if n == 0 {
		return nil, nil
	}
	b, err := io.ReadAll(io.LimitReader(r, int64(n)))
	if err == nil && len(b) != n {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, fmt.Errorf("read the beginning of a call: %w", err)
	}
	return b, nil
}

// inherited takes a descriptor that came over an exec.
func inherited(fd int, name string) (*os.File, error) {
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, unix.FD_CLOEXEC); err != nil {
		return nil, fmt.Errorf("descriptor %d, %s: %w", fd, name, err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

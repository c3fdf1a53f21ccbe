package overlay

import (
	"bytes"

	"golang.org/x/sys/unix"
)

// copyData copies size bytes and keeps holes.
func copyData(from, to int, size int64) error {
	if size == 0 {
		return nil
	}
	if reflink(from, to) == nil {
		return nil
	}
	if err := unix.Ftruncate(to, size); err != nil {
		return err
	}
	d := dataCopier{from: from, to: to}
	for off := int64(0); off < size; {
		start, end, err := dataAt(from, off, size)
		if err != nil || start >= size {
			return err
		}
		if err := d.extent(start, end-start); err != nil {
			return err
		}
		off = end
	}
	return nil
}

const copyBuffer = 256 << 10

// copyStep is how much is copied before it is sent on its way to the disk. Were all left
// to the end, the system would make everybody who writes wait for what a large copy has
// in memory.
const copyStep = 16 << 20

// dataCopier copies one file's data.
type dataCopier struct {
	from, to int
	sent     int64 // what is before it was sent on its way
	buf      []byte
}

func (d *dataCopier) extent(off, n int64) error {
	for n > 0 {
		m, err := d.some(off, min(n, copyStep))
		if err != nil || m == 0 { // the file was cut short meanwhile
			return err
		}
		off += m
		n -= m
		if off-d.sent >= copyStep {
			if err := writeBehind(d.to, d.sent, off-d.sent); err != nil {
				return err
			}
			d.sent = off
		}
	}
	return nil
}

func (d *dataCopier) some(off, n int64) (int64, error) {
	if m, err := copyRange(d.from, d.to, off, n); err == nil && m > 0 {
		return m, nil
	}
	if d.buf == nil {
		d.buf = make([]byte, copyBuffer)
	}
	buf := d.buf[:min(n, copyBuffer)]
	m, err := sysPread(d.from, buf, off)
	if err != nil || isZero(buf[:m]) { // a hole, or as good as one
		return int64(m), err
	}
	return int64(m), sysPwrite(d.to, buf[:m], off)
}

func isZero(p []byte) bool { return len(p) == 0 || p[0] == 0 && bytes.Equal(p[1:], p[:len(p)-1]) }

// copyXattrs copies the extended attributes that a copy gets.
func copyXattrs(from, to int) error {
	names := make([]byte, 64<<10)
	n, err := unix.Flistxattr(from, names)
	if err != nil {
		if err == unix.ENOTSUP {
			return nil
		}
		return err
	}
	value := make([]byte, maxXattr)
	for _, name := range splitNames(names[:n]) {
		if !isCopied(name) {
			continue
		}
		n, err := unix.Fgetxattr(from, name, value)
		if err == nil {
			err = unix.Fsetxattr(to, name, value[:n], 0)
		}
		if err != nil && !isGuarded(name, err) {
			return err
		}
	}
	return nil
}

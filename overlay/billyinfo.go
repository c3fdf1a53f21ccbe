package overlay

import (
	"os"
	"time"
)

// modeBits gives the permission bits of a mode as stat(2) has them.
func modeBits(m os.FileMode) uint32 {
	bits := uint32(m.Perm())
	for _, x := range modeFlags {
		if m&x.flag != 0 {
			bits |= x.bit
		}
	}
	return bits
}

var modeFlags = [...]struct {
	flag os.FileMode
	bit  uint32
}{{os.ModeSetuid, 0o4000}, {os.ModeSetgid, 0o2000}, {os.ModeSticky, 0o1000}}

var modeTypes = map[uint32]os.FileMode{
	ModeSocket: os.ModeSocket, ModeSymlink: os.ModeSymlink, ModeBlock: os.ModeDevice,
	ModeDir: os.ModeDir, ModeChar: os.ModeDevice | os.ModeCharDevice, ModeFIFO: os.ModeNamedPipe,
}

// billyInfo is an object's attributes as an os.FileInfo.
type billyInfo struct {
	name string
	attr Attr
}

func (i *billyInfo) Name() string       { return i.name }
func (i *billyInfo) Size() int64        { return int64(i.attr.Size) }
func (i *billyInfo) ModTime() time.Time { return time.Unix(i.attr.Mtime.Sec, int64(i.attr.Mtime.Nsec)) }
func (i *billyInfo) IsDir() bool        { return i.attr.IsDir() }
func (i *billyInfo) Sys() any           { return &i.attr }

func (i *billyInfo) Mode() os.FileMode {
	m := os.FileMode(i.attr.Mode&0o777) | modeTypes[i.attr.Mode&ModeType]
	for _, x := range modeFlags {
		if i.attr.Mode&x.bit != 0 {
			m |= x.flag
		}
	}
	return m
}

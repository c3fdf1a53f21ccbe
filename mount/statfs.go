package mount

import (
	"bytes"
	"strings"
)

// statfs is what of macOS's struct statfs (statfs(2)) is used.
type statfs struct {
	on, from, typ []byte // with everything behind the NUL
	flags         uint32
}

// statfsFlags names the MNT_ flags of macOS as mount(8) prints them.
var statfsFlags = [...]struct {
	bit  uint32
	name string
}{
	{0x00000001, "ro"},
	{0x00000002, "sync"},
	{0x00000004, "noexec"},
	{0x00000008, "nosuid"},
	{0x00000010, "nodev"},
	{0x00000020, "union"},
	{0x00000040, "async"},
	{0x00000400, "quarantine"},
	{0x00001000, "local"},
	{0x00100000, "nobrowse"},
	{0x00200000, "noowners"},
	{0x00400000, "automounted"},
	{0x10000000, "noatime"},
}

func (s *statfs) entry() Entry {
	e := Entry{Dir: cstring(s.on), Type: cstring(s.typ), From: cstring(s.from)}
	if s.flags&1 == 0 {
		e.Options = []string{"rw"}
	}
	for _, f := range statfsFlags {
		if s.flags&f.bit != 0 {
			e.Options = append(e.Options, f.name)
		}
	}
	return e
}

func cstring(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}

// parseNfsstat gives the current NFS parameters of one mount from what
// `nfsstat -m DIR` of macOS prints: the block of original options comes first
// and says what was asked for, the last one what holds.
func parseNfsstat(text string) []string {
	var options []string
	for line := range strings.Lines(text) {
		v, ok := strings.CutPrefix(strings.TrimSpace(line), "NFS parameters:")
		if v = strings.TrimSpace(v); ok && v != "" {
			options = strings.Split(v, ",")
		}
	}
	return options
}

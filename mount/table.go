package mount

import (
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Entry is one mounted file system.
type Entry struct {
	Dir     string   // the mount point
	Type    string   // "nfs", "nfs4", "ext4", "apfs", …
	From    string   // what is mounted; of NFS "host:path"
	Options []string // of the mount and of the file system, as far as known
}

// NFS reports whether the entry is an NFS mount of any version.
func (e *Entry) NFS() bool { return e.Type == "nfs" || e.Type == "nfs4" }

// Option gives the value of the option "name=value" and whether it is there.
func (e *Entry) Option(name string) (value string, ok bool) {
	for _, o := range e.Options {
		if v, found := strings.CutPrefix(o, name+"="); found {
			return v, true
		}
	}
	return "", false
}

// Has reports whether the option is there, alone or with a value.
func (e *Entry) Has(name string) bool {
	_, ok := e.Option(name)
	return ok || slices.Contains(e.Options, name)
}

// Export is the remote path of an NFS mount.
func (e *Entry) Export() string {
	_, dir := splitFrom(e.From)
	return dir
}

// Server is the address that an NFS mount talks to. It is not valid when the
// table does not tell; the port is 0 when only the port is missing.
func (e *Entry) Server() netip.AddrPort {
	host, _ := splitFrom(e.From)
	if v, ok := e.Option("addr"); ok {
		host = v
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(addr.Unmap(), e.port())
}

// port is the option's value. Linux leaves NFS's own port out; where nothing is
// known of the options the port is 0.
func (e *Entry) port() uint16 {
	v, ok := e.Option("port")
	if !ok && e.Has("vers") {
		return 2049
	}
	n, err := strconv.ParseUint(v, 10, 16)
	if err != nil {
		return 0
	}
	return uint16(n)
}

// splitFrom cuts "host:path", whose host may be an IPv6 address in brackets.
func splitFrom(from string) (host, dir string) {
	if rest, ok := strings.CutPrefix(from, "["); ok {
		host, dir, _ = strings.Cut(rest, "]:")
		return host, dir
	}
	host, dir, _ = strings.Cut(from, ":")
	return host, dir
}

// Find gives the topmost of the mounts on dir: tables list mounts in the order
// in which they were made.
func Find(table []Entry, dir string) *Entry {
	for i := len(table) - 1; i >= 0; i-- {
		if table[i].Dir == path.Clean(dir) {
			return &table[i]
		}
	}
	return nil
}

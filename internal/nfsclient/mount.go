package nfsclient

import (
	"context"

	"github.com/nixnfsd/nixnfsd/internal/xdr"
)

// maxMountPath and maxMountName are MNTPATHLEN and MNTNAMLEN (RFC 1813 §5.1.4),
// maxFlavors is what this client takes.
const (
	maxMountPath = 1024
	maxMountName = 255
	maxFlavors   = 64
)

// MntRes are MNT's results (RFC 1813 §5.2.1).
type MntRes struct {
	FH      FH
	Flavors []uint32
}

// MountEntry is one entry of a DUMP: who mounted what.
type MountEntry struct{ Host, Dir string }

// DumpRes are DUMP's results (RFC 1813 §5.2.2).
type DumpRes struct{ Entries []MountEntry }

// ExportEntry is one entry of an EXPORT: a directory, and who may mount it.
type ExportEntry struct {
	Dir    string
	Groups []string
}

// ExportRes are EXPORT's results (RFC 1813 §5.2.5).
type ExportRes struct{ Entries []ExportEntry }

// Decode implements Results.
func (r *MntRes) Decode(d *xdr.Decoder) Status {
	s := Status(d.Uint32())
	if s != OK {
		return s
	}
	r.FH = decodeFH(d)
	n := d.Uint32()
	if n > maxFlavors {
		d.Err = xdr.ErrBad
		return s
	}
	for range n {
		r.Flavors = append(r.Flavors, d.Uint32())
	}
	return s
}

// Decode implements Results.
func (r *DumpRes) Decode(d *xdr.Decoder) Status {
	for d.Bool() {
		r.Entries = append(r.Entries, MountEntry{string(d.Opaque(maxMountName)), string(d.Opaque(maxMountPath))})
	}
	return OK
}

// Decode implements Results.
func (r *ExportRes) Decode(d *xdr.Decoder) Status {
	for d.Bool() {
		x := ExportEntry{Dir: string(d.Opaque(maxMountPath))}
		for d.Bool() {
			x.Groups = append(x.Groups, string(d.Opaque(maxMountName)))
		}
		r.Entries = append(r.Entries, x)
	}
	return OK
}

// Mnt gives the root's handle of an exported directory (RFC 1813 §5.2.1).
func (c *Client) Mnt(ctx context.Context, path string) (MntRes, error) {
	return do[MntRes](ctx, c, &PathArgs{MountProc(ProcMnt), path})
}

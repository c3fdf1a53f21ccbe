package status

import (
	"fmt"
	"net/netip"

	"github.com/nixnfsd/nixnfsd/internal/metrics"
	"github.com/nixnfsd/nixnfsd/mount"
	"github.com/nixnfsd/nixnfsd/mount/keep"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// SchemaVersion is the version of Report as JSON. It grows when a field changes
// its meaning or goes; new fields may come without.
const SchemaVersion = 1

// Presence is whether a process could be asked.
type Presence string

// The values of Presence.
const (
	Running    Presence = "running"
	NotRunning Presence = "not-running"
	Silent     Presence = "silent"    // it takes too long to answer, or gives no answer that is understood
	NotYours   Presence = "not-yours" // it answers others than who asks
)

// Report is what there is to see.
type Report struct {
	SchemaVersion int `json:"schemaVersion"`
	// State is as `nixnfsd check` has it; whether a mount that is there works is left to that.
	State      mount.State `json:"state"`
	Summary    string      `json:"summary"`
	Server     Server      `json:"server"`
	MountPoint string      `json:"mountPoint"`
	// Mount is null where nothing is mounted there.
	Mount  *mount.Mount `json:"mount"`
	Keeper Keeper       `json:"keeper"`
	// Layers are those of a server that runs; null: they were not told.
	Layers []overlay.Layer `json:"layers"`
	// Stats are those of a server that runs, else null.
	Stats *metrics.Snapshot `json:"stats"`

	// up says that a server answers NFS at the address, whether or not it answers us.
	up bool
}

// Server is who serves.
type Server struct {
	State   Presence `json:"state"`
	Error   string   `json:"error,omitempty"`
	Address string   `json:"address"`
	Export  string   `json:"export"`
}

// Keeper is who mounts.
type Keeper struct {
	State Presence `json:"state"`
	Error string   `json:"error,omitempty"`
	// Seen is what it sees and wants, where it runs.
	Seen *keep.Status `json:"seen,omitempty"`
}

// OK reports whether server and mount are there, and no layer has a problem.
func (r *Report) OK() bool { return r.State == mount.Mounted && r.Stats != nil && !r.troubled() }

// Gone reports whether there is no server, and so no mount that works.
func (r *Report) Gone() bool {
	return r.Stats == nil && !r.up && (r.State == mount.NotRunning || r.State == mount.DeadMount)
}

func (r *Report) troubled() bool {
	for _, l := range r.Layers {
		if len(l.Problems) > 0 {
			return true
		}
	}
	return false
}

// judge says how the mount of a server is that runs, by what the mount table has at its place.
func (r *Report) judge(entry *mount.Entry, server netip.AddrPort) {
	target := mount.Target{Server: server, Export: r.Server.Export}
	switch {
	case entry == nil:
		r.State, r.Summary = mount.NotMounted, fmt.Sprintf("the server at %s runs, but %s is not mounted", server, r.MountPoint)
		return
	case target.Is(entry):
		r.State, r.Summary = mount.Mounted, fmt.Sprintf("%s is mounted from %s", r.MountPoint, server)
	default:
		r.State = mount.MountedElsewhere
		r.Summary = fmt.Sprintf("%s is mounted from another server than %s: %s (%s)", r.MountPoint, server, entry.From, entry.Type)
	}
	r.Mount = &mount.Mount{From: entry.From, Type: entry.Type, Options: entry.Options}
	if at := entry.Server(); entry.NFS() && at.IsValid() {
		r.Mount.Server = at.String()
	}
}

package metrics

import (
	"runtime/metrics"
	"time"

	"github.com/nixnfsd/nixnfsd/nfs"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// Snapshot is what a server is and does at a moment.
type Snapshot struct {
	Version string    `json:"version"`
	PID     int       `json:"pid"`
	Started time.Time `json:"started"` // when the program was, not the process
	Taken   time.Time `json:"taken"`
	Address string    `json:"address"` // where the server listens
	Export  string    `json:"export"`
	// Memory is what the program has from the system, in bytes, less the machine's copies of
	// files that are mapped.
	Memory  uint64        `json:"memoryBytes"`
	NFS     nfs.Stats     `json:"nfs"`
	Overlay overlay.Stats `json:"overlay"`
}

// Memory is how many bytes this program has from the system.
func Memory() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64() - s[1].Value.Uint64()
}

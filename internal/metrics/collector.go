package metrics

import (
	"fmt"
	"maps"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/nixnfsd/nixnfsd/nfs"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// collector makes Prometheus's metrics of a Snapshot, when they are asked for.
type collector struct {
	snapshot func() Snapshot

	info, started, memory                 *prometheus.Desc
	calls, errors, data                   *prometheus.Desc
	duration, phases                      *prometheus.Desc
	received, sent, rejected              *prometheus.Desc
	connections, accepted, refused, busy  *prometheus.Desc
	hits, misses                          *prometheus.Desc
	objects, open, listings               *prometheus.Desc
	copyUps, copiedBytes, copyUpsUnderWay *prometheus.Desc
}

func newCollector(snapshot func() Snapshot) *collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("nixnfsd_"+name, help, labels, nil)
	}
	return &collector{
		snapshot: snapshot,

		info:    desc("info", "The program that serves; the value is 1.", "version"),
		started: desc("start_time_seconds", "When the program was started, or took over from another, since 1970."),
		memory:  desc("memory_bytes", "What the program has from the system."),

		calls:    desc("nfs_calls_total", "Calls that were answered.", "procedure"),
		errors:   desc("nfs_errors_total", "Calls among them that failed, by their nfsstat3.", "procedure", "status"),
		data:     desc("nfs_data_bytes_total", "What READs and WRITEs moved of files.", "procedure"),
		duration: desc("nfs_call_duration_seconds", "From the arrival of a call until its reply was written, of one call in 64.", "procedure"),
		phases:   desc("nfs_call_phase_duration_seconds", "What that is made of: in the queue, running, and until written.", "procedure", "phase"),
		received: desc("nfs_received_bytes_total", "Bytes of calls."),
		sent:     desc("nfs_sent_bytes_total", "Bytes of replies."),
		rejected: desc("nfs_rejected_calls_total", "Calls of no procedure that there is, or without a credential that is known."),

		connections: desc("nfs_connections", "Connections of clients, busy ones and idle ones.", "state"),
		accepted:    desc("nfs_accepted_connections_total", "Connections that were let in."),
		refused:     desc("nfs_refused_connections_total", "Connections of others than the owner and root, which were hung up on."),
		busy:        desc("nfs_busy_workers", "Calls that may be waiting for a disk."),

		hits: desc("cache_hits_total", "What was in memory: open files, listings of directories, and replies to calls that were sent again.", "cache"),
		misses: desc("cache_misses_total",
			"What was not in memory: files that were opened, directories that were read, and objects that were made again from the state directory.", "cache"),
		objects:  desc("objects", "Files and directories that are known in memory."),
		open:     desc("open_files", "Descriptors that are kept open between calls."),
		listings: desc("listing_bytes", "What listings of directories take in memory."),

		copyUps:         desc("copy_ups_total", "Objects of lower layers that were copied up."),
		copiedBytes:     desc("copied_up_bytes_total", "Sizes of the files among them."),
		copyUpsUnderWay: desc("copy_ups_in_progress", "Objects that are being copied up."),
	}
}

// Describe implements prometheus.Collector. Which metrics there are is not known before.
func (c *collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector. Whoever calls it does so in a goroutine of its own,
// where a panic would end the program.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	defer func() {
		if p := recover(); p != nil {
			ch <- prometheus.NewInvalidMetric(c.info, fmt.Errorf("panic: %v", p))
		}
	}()
	s := c.snapshot()
	out := emitter(ch)
	out.gauge(c.info, 1, s.Version)
	out.gauge(c.started, float64(s.Started.UnixMilli())/1000)
	out.gauge(c.memory, float64(s.Memory))
	c.server(out, &s.NFS)
	c.layers(out, &s)
	for i := range s.NFS.Procedures {
		c.procedure(out, &s.NFS.Procedures[i])
	}
}

func (c *collector) server(out emitter, s *nfs.Stats) {
	out.counter(c.received, s.Received)
	out.counter(c.sent, s.Sent)
	out.counter(c.rejected, s.Rejected)
	out.gauge(c.connections, float64(s.Busy), "busy")
	out.gauge(c.connections, float64(s.Connections-s.Busy), "idle")
	out.counter(c.accepted, s.Accepted)
	out.counter(c.refused, s.Refused)
	out.gauge(c.busy, float64(s.Workers))
}

func (c *collector) layers(out emitter, s *Snapshot) {
	o := &s.Overlay
	out.caches(c, o)
	out.counter(c.hits, s.NFS.Repeated, "replies")
	out.gauge(c.objects, float64(o.Objects))
	out.gauge(c.open, float64(o.OpenFiles))
	out.gauge(c.listings, float64(o.ListingBytes))
	out.counter(c.copyUps, o.CopyUps)
	out.counter(c.copiedBytes, o.CopiedBytes)
	out.gauge(c.copyUpsUnderWay, float64(o.Copying))
}

func (out emitter) caches(c *collector, o *overlay.Stats) {
	out.counter(c.hits, o.FileHits, "files")
	out.counter(c.misses, o.FileMisses, "files")
	out.counter(c.hits, o.ListingHits, "listings")
	out.counter(c.misses, o.ListingMisses, "listings")
	out.counter(c.misses, o.Loaded, "objects")
}

func (c *collector) procedure(out emitter, p *nfs.ProcedureStats) {
	out.counter(c.calls, p.Calls, p.Name)
	for _, status := range slices.Sorted(maps.Keys(p.Errors)) {
		out.counter(c.errors, p.Errors[status], p.Name, status)
	}
	if p.Data > 0 {
		out.counter(c.data, p.Data, p.Name)
	}
	for _, phase := range nfs.Phases() {
		h := &p.Latency[phase]
		if phase == nfs.PhaseAll {
			out.histogram(c.duration, h, p.Name)
		} else {
			out.histogram(c.phases, h, p.Name, phase.String())
		}
	}
}

// emitter takes metrics, whose labels are as many as was said.
type emitter chan<- prometheus.Metric

func (out emitter) gauge(d *prometheus.Desc, v float64, labels ...string) {
	out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func (out emitter) counter(d *prometheus.Desc, v uint64, labels ...string) {
	out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
}

// histogram gives every second bound only: each has a line of its own for each procedure.
func (out emitter) histogram(d *prometheus.Desc, h *nfs.Histogram, labels ...string) {
	below, at := map[float64]uint64{}, uint64(0)
	for i := range h.Buckets() - 1 {
		if at += h.Counts[i]; i%2 == 0 {
			below[nfs.Bound(i).Seconds()] = at
		}
	}
	out <- prometheus.MustNewConstHistogram(d, h.Count(), h.Sum.Seconds(), below, labels...)
}

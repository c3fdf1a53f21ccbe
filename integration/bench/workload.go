package main

import "slices"

// workload is something that is measured, of which each contender gives one result or several.
type workload struct {
	name   string
	disk   bool     // on a disk, or in memory
	once   bool     // in the first round only
	only   []string // contenders that it is for, where it is not for all
	served func(*contender) error
	direct func(*contender) error // nil: there are no such system calls
}

// workloads are in the order in which they run. Before "eval" the servers on the disk have given
// out few handles, and behind "handles" all: go-nfs gets slower with each.
func workloads() []workload {
	ours := []string{nixnfsd, overOne, overMany}
	return []workload{
		{name: "getattr", disk: true, served: func(c *contender) error { return runGetattr(c, "getattr") }, direct: directGetattr},
		{name: "lookup", disk: true, served: runLookup, direct: directLookup},
		{name: "read", disk: true, served: runRead, direct: directRead},
		{name: "write", disk: true, served: runWrite, direct: directWrite},
		{name: "sync", disk: true, served: runSync, direct: directSync},
		{name: "beside", disk: true, only: append(ours, limit, ganesha), served: runBeside},
		{name: "eval", disk: true, served: runEval, direct: directEval},
		{name: "list", disk: true, served: runList, direct: directList},
		{name: "handles", disk: true, served: runHandles},
		{name: "restart", disk: true, only: ours, served: runRestart},
		{name: "unpack", served: runUnpack, direct: directUnpack},
		{name: "walk", once: true, only: ours[:1], served: runWalk},
	}
}

func workloadNames() (names []string) {
	for _, wl := range workloads() {
		names = append(names, wl.name)
	}
	return names
}

// runs reports whether a contender has to do with a workload.
func (wl *workload) runs(c *contender) bool {
	switch {
	case c.round > 0 && wl.once:
		return false
	case len(wl.only) > 0:
		return slices.Contains(wl.only, c.name)
	case c.name == system:
		return wl.direct != nil
	case c.name == echo:
		return wl.name == "getattr" || wl.name == "read"
	}
	return true
}

// row is a line of the table.
type row struct {
	key, title string
	unit       string // what is counted: calls, entries or MiB; or ms or MiB of memory
}

const (
	calls   = "calls"
	entries = "entries"
	mib     = "MiB"
	millis  = "ms"
	p99     = "p99"
	memory  = "memory"
)

// rows are the table's.
func rows() []row {
	return []row{
		{"getattr-1", "GETATTR, depth 1", calls},
		{"getattr-32", "GETATTR, depth 32", calls},
		{"handles-1", "GETATTR after 200,000 handles, depth 1", calls},
		{"handles-32", "GETATTR after 200,000 handles, depth 32", calls},
		{"lookup-1", "LOOKUP, depth 1", calls},
		{"lookup-32", "LOOKUP, depth 32", calls},
		{"eval-1", "evaluation, 1 walker", calls},
		{"eval-8", "evaluation, 8 walkers", calls},
		{"list-short", "READDIRPLUS of 10,000", entries},
		{"list-long", "READDIRPLUS of 100,000", entries},
		{"read-64k", "READ of 64 KiB", mib},
		{"read-1m", "READ of 1 MiB", mib},
		{"write-64k", "WRITE of 64 KiB", mib},
		{"write-1m", "WRITE of 1 MiB", mib},
		{"commit-64k", "COMMIT after 64 KiB WRITEs", mib},
		{"commit-1m", "COMMIT after 1 MiB WRITEs", mib},
		{"write-commit-64k", "WRITE of 64 KiB with COMMIT", mib},
		{"write-commit-1m", "WRITE of 1 MiB with COMMIT", mib},
		{"sync-4k", "WRITE of 4 KiB, FILE_SYNC", calls},
		{"unpack-1", "unpack, 1 walker", calls},
		{"unpack-8", "unpack, 8 walkers", calls},
		{"remove-1", "remove, 1 walker", calls},
		{"remove-8", "remove, 8 walkers", calls},
		{"beside", "GETATTR beside a COMMIT", p99},
		{"start", "start to first answer", millis},
		{"restart", "start again to first answer", millis},
		{"idle", "memory, idle", memory},
		{"idle-again", "memory, idle again", memory},
		{"walk", "memory after 1 million files", memory},
	}
}

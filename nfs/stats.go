package nfs

// Stats are what a Server has done since it was made, and what it is at.
type Stats struct {
	// Procedures are those that were called, in the order of the protocol.
	Procedures []ProcedureStats `json:"procedures"`
	Received   uint64           `json:"receivedBytes"` // of calls
	Sent       uint64           `json:"sentBytes"`     // of replies
	// Rejected are calls of no procedure that there is, or without a credential that is known.
	Rejected uint64 `json:"rejectedCalls"`
	// Repeated are calls that were sent again, and were not run again: their replies were kept.
	Repeated    uint64 `json:"repeatedCalls"`
	Connections int    `json:"connections"`
	Busy        int    `json:"busyConnections"` // those that have called of late
	Accepted    uint64 `json:"acceptedConnections"`
	Refused     uint64 `json:"refusedConnections"` // neither the owner's nor root's
	Workers     int    `json:"busyWorkers"`        // calls that may be waiting for the disk
}

// ProcedureStats are those of a procedure.
type ProcedureStats struct {
	Name  string `json:"name"`
	Calls uint64 `json:"calls"` // that were answered
	// Errors are the calls among them that failed, by their nfsstat3 as RFC 1813 names it, without
	// NFS3ERR_. REJECTED are those whose arguments could not be understood.
	Errors map[string]uint64 `json:"errors,omitempty"`
	// Data is what READs or WRITEs moved, in bytes.
	Data uint64 `json:"dataBytes,omitempty"`
	// Latency is of one call in 64 of a connection, by Phase.
	Latency [phases]Histogram `json:"latency"`
}

// Failed is how many of the calls failed.
func (p *ProcedureStats) Failed() (n uint64) {
	for _, k := range p.Errors {
		n += k
	}
	return n
}

// Phase is a part of a call's way.
type Phase int

// The phases. What the first three take is what the last one does.
const (
	PhaseQueue Phase = iota // from when the call had arrived until it was begun
	PhaseRun                // in the file system, and making the reply
	PhaseWrite              // from then until the reply was written, with others of its batch
	PhaseAll                // from the arrival until the reply was written
	phases
)

// Phases gives them all, in the order of ProcedureStats.Latency.
func Phases() []Phase { return []Phase{PhaseQueue, PhaseRun, PhaseWrite, PhaseAll} }

// String names the phase.
func (p Phase) String() string { return [...]string{"queue", "run", "write", "all"}[p] }

// Stats counts. It holds up nobody.
func (s *Server) Stats() Stats {
	all := s.meters.list()
	t := Stats{
		Procedures: []ProcedureStats{}, Accepted: s.accepted.Load(), Refused: s.refusals.Load(), Workers: len(s.workers),
	}
	t.Connections, t.Busy = s.peers.present()
	for _, m := range all {
		t.Received += m.received.Load()
		t.Sent += m.sent.Load()
		t.Rejected += m.rejected.Load()
		t.Repeated += m.repeated.Load()
	}
	for slot := range procedures {
		if p := statsOf(all, slot); p.Calls > 0 {
			t.Procedures = append(t.Procedures, p)
		}
	}
	return t
}

func statsOf(all []*meter, slot int) ProcedureStats {
	p := ProcedureStats{Name: procedureAt(slot).name}
	for _, m := range all {
		p.Data += m.data[slot].Load()
		for i := range &m.ended[slot] {
			n := m.ended[slot][i].Load()
			p.Calls += n
			if i != 0 && n > 0 {
				p.fail(i, n)
			}
		}
		for phase := range p.Latency {
			p.Latency[phase].plus(&m.times[slot][phase])
		}
	}
	return p
}

func (p *ProcedureStats) fail(outcome int, n uint64) {
	if p.Errors == nil {
		p.Errors = map[string]uint64{}
	}
	p.Errors[outcomeName(outcome)] += n
}

func outcomeName(outcome int) string {
	switch {
	case outcome == notAccepted:
		return "REJECTED"
	case outcome >= highAt:
		return statusNames[firstHigh+status(outcome-highAt)]
	}
	return statusNames[status(outcome)]
}

func procedureAt(slot int) *procedure {
	if slot >= firstMount {
		return &mountProgram.procs[slot-firstMount]
	}
	return &nfsProgram.procs[slot]
}

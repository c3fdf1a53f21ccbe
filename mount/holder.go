package mount

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/nixnfsd/nixnfsd/internal/procnet"
)

// Holder is the process that listens at an address, as far as the system tells.
type Holder struct {
	PID  int    // 0: not known
	Name string // of the program, empty: not known
	UID  int    // of the socket's owner, -1: not known
}

// String names the holder in the middle of a sentence.
func (h Holder) String() string {
	switch {
	case h.PID != 0 && h.Name != "":
		return fmt.Sprintf("%s (process %d)", h.Name, h.PID)
	case h.PID != 0:
		return fmt.Sprintf("process %d", h.PID)
	case h.UID >= 0:
		return fmt.Sprintf("a program of uid %d", h.UID)
	}
	return "another program"
}

// unknownHolder is what is said where the system does not tell.
var unknownHolder = Holder{UID: -1}

// takes reports whether a socket listens and keeps others from listening at addr.
func takes(s *procnet.Socket, addr netip.AddrPort) bool {
	at := s.Local
	return s.State == procnet.Listen && at.Port() == addr.Port() && (at.Addr() == addr.Addr().Unmap() || at.Addr().IsUnspecified())
}

// parseLsof reads the first process of `lsof -Fpcu` (lsof(8), OUTPUT FOR OTHER
// PROGRAMS): a letter for the field, then its value, one a line.
func parseLsof(text string) Holder {
	h := unknownHolder
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" {
			continue
		}
		value := line[1:]
		switch line[0] {
		case 'p':
			if h.PID != 0 {
				return h
			}
			h.PID, _ = strconv.Atoi(value) // 0 is "not known"
		case 'c':
			h.Name = value
		case 'u':
			if uid, err := strconv.Atoi(value); err == nil {
				h.UID = uid
			}
		}
	}
	return h
}

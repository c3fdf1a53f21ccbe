package main

import (
	"os"
	"strconv"
	"strings"
)

// calls are those of one procedure, on one mount.
type calls struct {
	Count float64
	RTT   float64 // seconds from sending to the reply, of all together
}

// mountCalls reads what the client has counted on the mount at a directory; nothing, if no NFS
// is mounted there.
func mountCalls(dir string) (map[string]calls, error) {
	text, err := os.ReadFile("/proc/self/mountstats")
	if err != nil {
		return nil, err
	}
	return parseCalls(string(text), dir), nil
}

// parseCalls reads the lines "PROC: operations transmissions timeouts sent received queue rtt
// execute errors", whose times are in milliseconds (rpc_print_iostats in Linux's net/sunrpc/stats.c).
func parseCalls(text, dir string) map[string]calls {
	found := map[string]calls{}
	here, perProcedure := false, false
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		switch {
		case len(f) > 4 && f[0] == "device":
			here, perProcedure = f[4] == dir, false
		case len(f) == 2 && f[0] == "per-op":
			perProcedure = here
		case perProcedure && len(f) > 8:
			if n := number(f[1]); n > 0 {
				found[strings.TrimSuffix(f[0], ":")] = calls{Count: n, RTT: number(f[7]) / 1e3}
			}
		}
	}
	return found
}

// number reads what the kernel printed as one.
func number(text string) float64 {
	n, _ := strconv.ParseFloat(text, 64) // 0 would show
	return n
}

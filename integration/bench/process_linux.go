package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// processCPU gives the processor time of a process, with that of threads that have ended.
func processCPU(pid int) time.Duration {
	const ofProcess = 2 // CPUCLOCK_SCHED; see clock_getcpuclockid(3)
	var t unix.Timespec
	_ = unix.ClockGettime(int32(^pid<<3|ofProcess), &t) // a process that has gone took none
	return time.Duration(t.Nano())
}

// processMemory gives the resident memory of a process and the most that it was, in MiB
// (VmRSS and VmHWM of proc_pid_status(5)).
func processMemory(pid int) (now, peak float64) {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(b)) {
		var kib float64
		if n, _ := fmt.Sscanf(line, "VmRSS: %f", &kib); n == 1 {
			now = kib / 1024
		}
		if n, _ := fmt.Sscanf(line, "VmHWM: %f", &kib); n == 1 {
			peak = kib / 1024
		}
	}
	return now, peak
}

// resetProcessPeak begins a new peak (proc_pid_clear_refs(5)).
func resetProcessPeak(pid int) {
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0)
}

package launchd

import (
	"bytes"
	"fmt"

	"howett.net/plist"
)

// Labels of the jobs, by which launchd knows them. The file of a job has its
// label's name.
const (
	ServerLabel = "io.github.nixnfsd.serve"
	KeeperLabel = "io.github.nixnfsd.keep"
)

// Where launchd finds the property lists.
const (
	DaemonDir = "/Library/LaunchDaemons" // of root
	AgentDir  = "Library/LaunchAgents"   // beneath the user's home
)

// Job is a property list of launchd.plist(5), as far as we use it.
type Job struct {
	Label            string
	ProgramArguments []string
	// RunAtLoad starts the job at login or boot, not when somebody asks for it.
	RunAtLoad bool
	// KeepAlive starts it again whenever it ends: a mount hangs while there is no
	// server. To end it for good the job is booted out.
	KeepAlive bool
	// ThrottleInterval is how many seconds after its last start the job is started
	// again. The default of 10 s is long for those who wait in the mount.
	ThrottleInterval int
	// ExitTimeOut is how many seconds after SIGTERM comes SIGKILL.
	ExitTimeOut int
	// ProcessType is how the system schedules the job. Without one it is
	// throttled, processor and disk, and with it all that works in the mount.
	ProcessType string
	// SoftResourceLimits of launchd's own are 256 open files, less than a server
	// keeps open. The Go runtime raises the limit at its start as far as it may; this is
	// for what it starts.
	SoftResourceLimits Limits
	// LimitLoadToSessionType is the kind of session that an agent is for.
	LimitLoadToSessionType string `plist:",omitempty"`
	// StandardOutPath and StandardErrorPath are the log. launchd appends to it.
	StandardOutPath   string
	StandardErrorPath string
}

// Limits are resource limits of a job.
type Limits struct{ NumberOfFiles int }

const (
	// openMax is OPEN_MAX of sys/syslimits.h: setrlimit(2) takes no more for sure.
	openMax = 10240
	// exitTime is more than the 15 s which the server takes at most to answer
	// what is under way.
	exitTime = 20
	// pause between two starts of a job, in seconds. A job that fails at once
	// costs a start a second.
	pause = 1
)

// Server is the agent that runs the server as its user, from login to logout.
func Server(args []string, log string) Job {
	j := job(ServerLabel, args, log)
	j.LimitLoadToSessionType = "Aqua" // one server, though the user also logs in over ssh
	return j
}

// Keeper is the daemon that runs the keeper as root from boot on.
func Keeper(args []string, log string) Job { return job(KeeperLabel, args, log) }

func job(label string, args []string, log string) Job {
	return Job{
		Label:              label,
		ProgramArguments:   args,
		RunAtLoad:          true,
		KeepAlive:          true,
		ThrottleInterval:   pause,
		ExitTimeOut:        exitTime,
		ProcessType:        "Interactive",
		SoftResourceLimits: Limits{NumberOfFiles: openMax},
		StandardOutPath:    log,
		StandardErrorPath:  log,
	}
}

// Plist is the job's property list, as XML.
func (j Job) Plist() ([]byte, error) {
	var b bytes.Buffer
	enc := plist.NewEncoderForFormat(&b, plist.XMLFormat)
	enc.Indent("  ")
	if err := enc.Encode(j); err != nil {
		return nil, fmt.Errorf("write the property list of %s: %w", j.Label, err)
	}
	return append(bytes.TrimRight(b.Bytes(), "\n"), '\n'), nil
}

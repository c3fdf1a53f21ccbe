// Package spec is what the two sides of the guest's wall agree on: the order
// that package uml writes and the report that the guest's supervisor answers.
package spec

// Paths in the guest.
const (
	// Harness is where the run's own directory of the host is mounted.
	Harness = "/harness"
	// Programs holds the programs that the run brought along.
	Programs = Harness + "/bin"
	// Init is the guest's first process, supervisor and control program.
	Init = "guestinit"
	// Order and Report are files in the run's directory.
	Order  = "order.json"
	Report = "report.json"
	// MountPoint is where the server is mounted, and the path that it exports.
	MountPoint = "/nix"
	// Out is where the caller's output directory is mounted.
	Out = "/out"
	// Changes holds what differs from Found on the guest's root, as an overlay's upper
	// directory; Found is the root as it was before anything wrote to it.
	Changes = "/guest/changes"
	Found   = "/guest/found"
	// Scratch is a fresh ext4, with Plain and Home on it, and Volume too, unless the run
	// asks for another file system there. Export is the directory behind the mount.
	Scratch = "/scratch"
	Volume  = Scratch + "/volume"
	Export  = Volume + "/export"
	Plain   = Scratch + "/plain"
	Home    = Scratch + "/home"
)

// RunArg is the word of the kernel's command line that names the run's
// directory on the host.
const RunArg = "nixnfsd.run="

// The environment of server and test.
const (
	EnvDir     = "NIXNFSD_DIR"
	EnvPlain   = "NIXNFSD_PLAIN"
	EnvExport  = "NIXNFSD_EXPORT"
	EnvControl = "NIXNFSD_CONTROL"
	EnvPort    = "NIXNFSD_PORT"
	EnvVolume  = "NIXNFSD_VOLUME" // what is at Volume
	EnvOut     = "OUT"
)

// HFSPlus is an empty HFS+ volume for Run.Volume.
const HFSPlus = "hfsplus"

// Run is one order to the guest.
type Run struct {
	SysRoot string // host directory with the guest's own packages
	Modules string // host directory with the kernel's modules, by release
	OutDir  string // host directory to mount at Out

	Server    []string // empty: there is none
	ServerUID int
	Port      int

	Systemd bool // it runs the guest, and the supervisor as a service

	Volume string // HFSPlus, or empty: a directory of the scratch

	Mount        bool // start the server and mount it before the test
	MountOptions string

	Test    []string
	TestUID int
	Env     []string
}

// Outcome says how a run ended.
type Outcome string

// The outcomes that a guest reports itself.
const (
	Done       Outcome = "done"        // the test ran to its end
	ServerDied Outcome = "server died" // unasked, before the test's end
	Trouble    Outcome = "trouble"     // boot, mount or unmount failed
)

// Result is what the guest reports.
type Result struct {
	Outcome      Outcome
	Status       int     // of the test, 128+n after signal n
	Detail       string  // what went wrong, where Outcome is not Done
	ServerStatus int     // of the server after the last SIGTERM, like Status
	TestSeconds  float64 // by the guest's clock
}

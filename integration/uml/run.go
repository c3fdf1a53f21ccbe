package uml

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/nixnfsd/nixnfsd/integration/uml/spec"
)

// Port is where the server listens in the guest.
const Port = 12049

// Ends of a run that are not the test's own; match them with errors.Is. A run that
// fails for any other reason had trouble: no boot, no mount, no unmount.
var (
	ErrTimeLimit  = errors.New("time limit")
	ErrServerDied = errors.New("server died")
)

// Config is one run: what to start in the guest. The zero value of everything
// but Test works.
type Config struct {
	// Programs are files of the host that the guest finds on its PATH under their
	// last name, executable by any user, wherever they lie.
	Programs []string
	// Server is the command line of the server; empty: there is none. %E
	// stands for the directory to export, %S for the scratch around it, %P for the port.
	Server []string
	// Volume is what file system the export is on: spec.HFSPlus; default: the scratch's ext4.
	Volume string
	// ServerUID is the user, and the group, of the server.
	ServerUID int
	// Mount starts the server and mounts its /nix at /nix before the test, and takes
	// both down after it. Without, the test does so with the control program.
	Mount bool
	// MountOptions are all options of mount(8); default: what any server needs.
	MountOptions string
	// Test is the command line of the test, which runs in /.
	Test []string
	// TestUID is the user, and the group, of the test.
	TestUID int
	// Systemd has systemd be the first process, with journald, the message bus and logind, and
	// so a manager for each user who logs in. sudo does what any user asks, and there is no /nix
	// before the supervisor makes one.
	Systemd bool
	// MemoryMB is the guest's memory in MiB; default 2048.
	MemoryMB int
	// Env holds more variables for server and test, as KEY=value.
	Env []string
	// Timeout ends the run; default 10 minutes.
	Timeout time.Duration
	// Out is a directory of the host that the test may write to, as $OUT; it is
	// opened to all users. The logs of kernel and server are left there too.
	// Default: a temporary one.
	Out string
}

// Result is the end of a test that ran to its end.
type Result struct {
	// Status is the test's exit status, 128+n after signal n.
	Status int
	// ServerStatus is the server's after the SIGTERM at the end.
	ServerStatus int
	// ServerLog is all that the server printed.
	ServerLog string
	// Took is the test's time by the guest's clock.
	Took time.Duration
}

// Run boots a guest, runs the test in it and copies the test's output to
// stdout as it comes. The error is about the run; a test that fails is a Status.
func (k *Kit) Run(ctx context.Context, cfg Config, stdout io.Writer) (Result, error) {
	if len(cfg.Test) == 0 {
		return Result{}, errors.New("run in the guest: no test given")
	}
	dir, err := os.MkdirTemp("", "nixnfsd-guest-")
	if err != nil {
		return Result{}, err
	}
	defer os.RemoveAll(dir)
	g := &guest{kit: k, cfg: withDefaults(cfg, dir), dir: dir}
	if err := g.prepare(ctx); err != nil {
		return Result{}, fmt.Errorf("prepare the run: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, g.cfg.Timeout, fmt.Errorf("%w of %v", ErrTimeLimit, g.cfg.Timeout))
	defer cancel()
	if err := g.boot(ctx, stdout); err != nil && ctx.Err() == nil {
		return Result{}, fmt.Errorf("start the guest: %w", err)
	}
	return g.result(ctx)
}

func withDefaults(cfg Config, dir string) Config {
	setDefault(&cfg.MountOptions, fmt.Sprintf("vers=3,proto=tcp,port=%d,mountproto=tcp,mountport=%[1]d,nolock,hard", Port))
	setDefault(&cfg.MemoryMB, 2048)
	setDefault(&cfg.Timeout, 10*time.Minute)
	setDefault(&cfg.Out, filepath.Join(dir, "out"))
	return cfg
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// guest is one run under way. Its directory holds the order, the report,
// the programs and the disk.
type guest struct {
	kit *Kit
	cfg Config
	dir string
}

func (g *guest) path(name string) string { return filepath.Join(g.dir, name) }
func (g *guest) serverLog() string       { return filepath.Join(g.cfg.Out, "server.log") }
func (g *guest) kernelLog() string       { return filepath.Join(g.cfg.Out, "kernel.log") }

func (g *guest) prepare(ctx context.Context) error {
	err := errors.Join(
		os.Chmod(g.dir, 0o755), os.Mkdir(g.path("bin"), 0o755),
		os.MkdirAll(g.cfg.Out, 0o755), os.Chmod(g.cfg.Out, 0o777),
	)
	if err != nil {
		return err
	}
	for _, program := range append([]string{g.kit.init()}, g.cfg.Programs...) {
		if err := copyProgram(program, filepath.Join(g.path("bin"), filepath.Base(program))); err != nil {
			return err
		}
	}
	if err := g.writeOrder(); err != nil {
		return err
	}
	return g.makeDisk(ctx)
}

func copyProgram(from, to string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	return errors.Join(err, dst.Close())
}

func (g *guest) writeOrder() error {
	out, err := filepath.Abs(g.cfg.Out)
	if err != nil {
		return err
	}
	fill := strings.NewReplacer("%E", spec.Export, "%S", spec.Scratch, "%P", fmt.Sprint(Port))
	server := make([]string, len(g.cfg.Server))
	for i, arg := range g.cfg.Server {
		server[i] = fill.Replace(arg)
	}
	text, err := json.Marshal(spec.Run{
		SysRoot: g.kit.SysRoot(), Modules: g.kit.modules(), OutDir: out,
		Server: server, ServerUID: g.cfg.ServerUID, Port: Port, Volume: g.cfg.Volume,
		Systemd: g.cfg.Systemd,
		Mount:   g.cfg.Mount, MountOptions: g.cfg.MountOptions,
		Test: g.cfg.Test, TestUID: g.cfg.TestUID, Env: g.cfg.Env,
	})
	if err != nil {
		return err
	}
	return os.WriteFile(g.path(spec.Order), text, 0o644)
}

// makeDisk makes a sparse ext4. It lives for one run only: it has no journal.
func (g *guest) makeDisk(ctx context.Context) error {
	const size = "8G"
	return command(ctx, "", "/sbin/mke2fs", "-q", "-F", "-t", "ext4", "-m", "0", "-O", "^has_journal",
		"-E", "lazy_itable_init=1,nodiscard", g.path("disk"), size)
}

// boot runs the guest to its end; the error is that it could not be started.
func (g *guest) boot(ctx context.Context, stdout io.Writer) error {
	kernelLog, err := os.Create(g.kernelLog())
	if err != nil {
		return err
	}
	defer kernelLog.Close()
	serverLog, err := os.Create(g.serverLog())
	if err != nil {
		return err
	}
	defer serverLog.Close()
	memory, err := memoryDir(g.cfg.MemoryMB)
	if err != nil {
		return err
	}
	pinned := []string{"taskset", "--cpu-list", processor(int(g.kit.runs.Add(1))), g.kit.kernel()}
	cmd := guarded(ctx, append(pinned, g.kernelArgs()...)...)
	cmd.Env = append(os.Environ(), "LD_PRELOAD="+g.kit.shim(), "TMPDIR="+memory)
	nudger := newNudger(stdout, g.dir)
	defer nudger.stop()
	cmd.Stdout = nudger // no *os.File: the kernel would take a terminal for its own
	cmd.Stderr = kernelLog
	cmd.ExtraFiles = []*os.File{kernelLog, serverLog} // descriptors 3 and 4
	err = cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return nil // the report says how it ended
	}
	return err
}

// kernelArgs is the kernel's command line. Its consoles only write: tty0 is the
// test's output, ttyS0 the kernel's own, ttyS1 the server's.
func (g *guest) kernelArgs() []string {
	return []string{
		fmt.Sprintf("mem=%dM", g.cfg.MemoryMB), "umid=guest", "uml_dir=" + g.dir + "/",
		"rootfstype=hostfs", "rootflags=/", "ro", "init=" + filepath.Join(g.path("bin"), spec.Init),
		"con=null", "con0=null,fd:1", "ssl=null", "ssl0=null,fd:3", "ssl1=null,fd:4", "console=ttyS0",
		spec.RunArg + g.dir, "ubd0=" + g.path("disk"),
	}
}

// result makes the guest's report, or its silence, into the caller's answer.
func (g *guest) result(ctx context.Context) (Result, error) {
	log := readText(g.serverLog())
	text, err := os.ReadFile(g.path(spec.Report))
	if errors.Is(err, os.ErrNotExist) {
		return Result{ServerLog: log}, g.silence(ctx)
	}
	if err != nil {
		return Result{}, err
	}
	var report spec.Result
	if err := json.Unmarshal(text, &report); err != nil {
		return Result{}, fmt.Errorf("read the guest's report: %w", err)
	}
	result := Result{
		Status: report.Status, ServerStatus: report.ServerStatus, ServerLog: log,
		Took: time.Duration(report.TestSeconds * float64(time.Second)),
	}
	switch report.Outcome {
	case spec.Done:
		return result, nil
	case spec.ServerDied:
		return result, fmt.Errorf("%w: %s; its log ends:\n%s", ErrServerDied, report.Detail, tail(log, 15))
	default:
		return result, fmt.Errorf("guest: %s; the server's log ends:\n%s", report.Detail, tail(log, 15))
	}
}

// silence explains a guest that ended without a report.
func (g *guest) silence(ctx context.Context) error {
	if cause := context.Cause(ctx); cause != nil {
		return fmt.Errorf("guest: %w; the server's log ends:\n%s", cause, tail(readText(g.serverLog()), 15))
	}
	return fmt.Errorf("guest ended without a report; its kernel's log ends:\n%s", tail(readText(g.kernelLog()), 20))
}

// readText returns what can be read of a log: it only explains something else.
func readText(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"time"

	"github.com/nixnfsd/nixnfsd/integration/bench/gonfs"
	"github.com/nixnfsd/nixnfsd/integration/bench/yardstick"
)

// server is a process that serves a place. A nil server takes nothing and has nothing.
type server struct {
	cmd      *exec.Cmd
	nfs, mnt string // addresses
	export   string
}

func (s *server) cpu() time.Duration {
	if s == nil {
		return 0
	}
	return processCPU(s.cmd.Process.Pid)
}

// memory gives what the server has and has had at most, in MiB.
func (s *server) memory() (now, peak float64) {
	if s == nil {
		return 0, 0
	}
	return processMemory(s.cmd.Process.Pid)
}

func (s *server) resetPeak() {
	if s != nil {
		resetProcessPeak(s.cmd.Process.Pid)
	}
}

// command is one that is asked to end with ctx, and killed when it does not.
func command(ctx context.Context, log io.Writer, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	cmd.Stderr = log
	return cmd
}

// startNixnfsd starts the program over so many lower directories.
func startNixnfsd(ctx context.Context, b *bench, p *place, lowers int) (*server, error) {
	upper := p.upper(lowers)
	args := []string{"serve", "--listen", "127.0.0.1:0", "--export", "/nix", "--upper", upper, "--work", upper + ".work", "--state", p.state(lowers)}
	for _, dir := range p.lowers(lowers) {
		args = append(args, "--lower", dir)
	}
	return startReady(command(ctx, b.log, b.program, args...), "/nix")
}

// envServe has this program serve a directory as another server.
const envServe = "NIXNFSD_BENCH_SERVE"

// startOwn starts one of the servers that this program can be.
func startOwn(ctx context.Context, b *bench, p *place, name string) (*server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := command(ctx, b.log, self)
	cmd.Env = append(os.Environ(), envServe+"="+name+string(filepath.ListSeparator)+p.plain())
	return startReady(cmd, "/")
}

// serveOwn is what the process of startOwn does, until it is killed.
func serveOwn(as string) error {
	dirs := filepath.SplitList(as)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	syscall.Umask(0)
	fmt.Printf("ready: %s is served on %s as /\n", dirs[1], l.Addr())
	switch dirs[0] {
	case limit:
		return yardstick.ServeNFS(l, dirs[1])
	case echo:
		return yardstick.ServeEcho(l, flatSize)
	}
	return gonfs.Serve(l, dirs[1])
}

// startReady starts a server that says on its standard output where it is to be found.
func startReady(cmd *exec.Cmd, export string) (*server, error) {
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	found := regexp.MustCompile(`^ready: .* is served on (\S+) as `).FindStringSubmatch(line)
	if found == nil {
		return nil, fmt.Errorf("%s is not ready, it says %q: %w", cmd.Path, line, errors.Join(err, cmd.Cancel(), cmd.Wait()))
	}
	return &server{cmd: cmd, nfs: found[1], mnt: found[1], export: export}, nil
}

// stop ends the server. How it ends does not matter.
func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	_ = s.cmd.Wait()
}

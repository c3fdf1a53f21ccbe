package testserver

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// Process is a nixnfsd in a process of its own. That stays the same when another program takes
// the server's place.
type Process struct {
	Addr string // where it listens

	cmd   *exec.Cmd
	ended chan struct{}
	err   error // of its end
}

// Start starts a command line of `nixnfsd serve` and returns when the server is ready. The
// command's standard output is Start's.
func Start(cmd *exec.Cmd) (*Process, error) {
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the server: %w", err)
	}
	p := &Process{cmd: cmd, ended: make(chan struct{})}
	out := bufio.NewReader(stdout)
	line, err := out.ReadString('\n')
	go func() {
		_, _ = io.Copy(io.Discard, out) // to its end, which the server makes
		p.err = cmd.Wait()
		close(p.ended)
	}()
	_, rest, ok := strings.Cut(line, " is served on ")
	if !ok {
		p.Kill()
		return nil, fmt.Errorf("the server says %q: %w", line, err)
	}
	p.Addr, _, _ = strings.Cut(rest, " ")
	return p, nil
}

// PID is the process's id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Kill ends the process with SIGKILL, if it has not ended, and returns when it is gone. A nil
// Process has.
func (p *Process) Kill() {
	if p == nil {
		return
	}
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.ended
}

// Stop has the server end as an administrator does, and gives what it ended with.
func (p *Process) Stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-p.ended
	return p.err
}

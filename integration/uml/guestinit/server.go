//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/nixnfsd/nixnfsd/integration/uml/spec"
	"github.com/nixnfsd/nixnfsd/internal/procnet"
)

const (
	listenLimit = 30 * time.Second // for a server to listen
	stopLimit   = 20 * time.Second // for a server to drain
	unmountTime = 30               // seconds
)

// server starts and ends the server under test and its mount. Its methods may
// be called from several connections at once; they take turns.
type server struct {
	order spec.Run
	log   io.Writer
	died  chan string // gets a line when the server ends unasked

	mu      sync.Mutex
	running *process // nil: stopped
	status  int      // of the last one that was stopped
}

// process is a started command. Set asked before making it end.
type process struct {
	cmd   *exec.Cmd
	asked chan struct{}
	ended chan struct{} // closed when it was waited for
}

func newServer(order spec.Run, log io.Writer) *server {
	return &server{order: order, log: log, died: make(chan string, 1)}
}

// do carries out one verb of the control program.
func (s *server) do(verb string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch verb {
	case "start":
		return s.start()
	case "stop":
		return s.end(syscall.SIGTERM)
	case "kill":
		return s.end(syscall.SIGKILL)
	case "restart":
		return errors.Join(s.end(syscall.SIGKILL), s.start())
	case "mount":
		return s.mount()
	case "umount":
		return command("timeout", strconv.Itoa(unmountTime), "umount", spec.MountPoint)
	}
	return fmt.Errorf("unknown verb %q", verb)
}

// start starts the server and waits until it listens.
func (s *server) start() error {
	if len(s.order.Server) == 0 {
		return errors.New("this run has no server")
	}
	if s.running != nil {
		return errors.New("the server is running")
	}
	cmd := asUser(s.order.Server, s.order.ServerUID)
	cmd.Env = environment(s.order, s.order.ServerUID)
	cmd.Stdout, cmd.Stderr = s.log, s.log
	cmd.WaitDelay = time.Second // a daemon that it left may hold the pipe
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the server: %w", err)
	}
	p := &process{cmd, make(chan struct{}), make(chan struct{})}
	s.running = p
	go s.watch(p)
	return s.waitForPort(p)
}

// watch waits for the process and tells of a death that nobody asked for.
func (s *server) watch(p *process) {
	_ = p.cmd.Wait() // the status is in p.cmd.ProcessState
	close(p.ended)
	select {
	case <-p.asked:
	default:
		s.died <- fmt.Sprintf("the server ended unasked: %v", p.cmd.ProcessState)
	}
}

// waitForPort returns when someone listens on the server's port. It looks and
// does not connect: a server may count its connections.
func (s *server) waitForPort(p *process) error {
	limit := time.After(listenLimit)
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for {
		if listening(s.order.Port) {
			return nil
		}
		select {
		case <-p.ended:
			return errors.New("the server ended before it listened")
		case <-limit:
			return fmt.Errorf("the server does not listen on port %d after %v", s.order.Port, listenLimit)
		case <-poll.C:
		}
	}
}

// end sends the signal and waits for the death.
func (s *server) end(sig syscall.Signal) error {
	p := s.running
	if p == nil {
		return errors.New("the server is not running")
	}
	close(p.asked)
	s.running = nil
	if err := p.cmd.Process.Signal(sig); err != nil {
		return fmt.Errorf("signal the server: %w", err)
	}
	select {
	case <-p.ended:
		s.status = status(p.cmd.ProcessState)
		return nil
	case <-time.After(stopLimit):
		return fmt.Errorf("the server still runs %v after %v", stopLimit, sig)
	}
}

func (s *server) mount() error {
	const source = "127.0.0.1:" + spec.MountPoint
	return command("mount", "-t", "nfs", "-o", s.order.MountOptions, source, spec.MountPoint)
}

// finish unmounts and stops whatever is left after the test.
func (s *server) finish() (serverStatus int, err error) {
	if mounted(spec.MountPoint) {
		err = s.do("umount")
	}
	if s.isRunning() {
		err = errors.Join(err, s.do("stop"))
	}
	return s.status, err
}

func (s *server) isRunning() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running != nil
}

// asUser makes a command that runs as the user, in a session of its own.
func asUser(argv []string, uid int) *exec.Cmd {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setsid:     true,
		Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)},
	}
	return cmd
}

// listening says whether a TCP socket of the guest listens on the port.
func listening(port int) bool {
	for s := range procnet.TCP() {
		if s.State == procnet.Listen && int(s.Local.Port()) == port {
			return true
		}
	}
	return false
}

// mounted looks in the mount table: a stat of a dead mount would hang.
func mounted(dir string) bool {
	for _, line := range readLines("/proc/self/mounts") {
		if f := strings.Fields(line); len(f) > 1 && f[1] == dir {
			return true
		}
	}
	return false
}

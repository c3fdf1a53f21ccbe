package faults

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nixnfsd/nixnfsd/integration/testserver"
	"github.com/nixnfsd/nixnfsd/integration/uml"
)

var longWait = flag.Duration("faults.wait", 0, "how long the server is stopped, and the network down, at least")

// program is the nixnfsd under test, which TestMain builds.
var program string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if program = os.Getenv(envNetwork); program != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "nixnfsd-faults")
	if err == nil {
		defer os.RemoveAll(dir)
		program = filepath.Join(dir, "nixnfsd")
		err = uml.GoBuild(context.Background(), program, "github.com/nixnfsd/nixnfsd/cmd/nixnfsd")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "build the server:", err)
		return 1
	}
	return m.Run()
}

// server is a store and the process that serves it, if one runs.
type server struct {
	t      *testing.T
	dir    string   // holds upper, upper.work and state
	lowers []string // directories
	limit  string   // of open files, as prlimit(1) takes it; empty: as it is
	*testserver.Process
	stderr bytes.Buffer
}

// newServer serves a store in dir until the test ends.
func newServer(t *testing.T, dir string, lowers ...string) *server {
	return startServer(&server{t: t, dir: dir, lowers: lowers})
}

func startServer(s *server) *server {
	s.t.Helper()
	s.t.Cleanup(s.finish)
	s.start()
	return s
}

// finish ends the server however it is, and shows its log where the test has failed.
func (s *server) finish() {
	s.Kill()
	if s.t.Failed() {
		s.t.Logf("the server's log:\n%s", s.stderr.String())
	}
}

func (s *server) upper() string { return filepath.Join(s.dir, "upper") }
func (s *server) state() string { return filepath.Join(s.dir, "state") }

// dirFlags are the flags that name the store's directories.
func (s *server) dirFlags() []string {
	flags := []string{"--upper", s.upper(), "--state", s.state()}
	for _, l := range s.lowers {
		flags = append(flags, "--lower", l)
	}
	return flags
}

// start starts the server, at the address that it had before, and waits until it is ready.
func (s *server) start() {
	s.t.Helper()
	addr := "127.0.0.1:0"
	if s.Process != nil {
		addr = s.Addr
	}
	args := slices.Concat([]string{program, "serve", "--listen", addr}, s.dirFlags())
	if s.limit != "" {
		args = append([]string{"prlimit", "--nofile=" + s.limit}, args...)
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stderr = &s.stderr
	var err error
	s.Process, err = testserver.Start(cmd)
	must(s.t, err)
}

// restart kills the server and starts it again.
func (s *server) restart() {
	s.t.Helper()
	s.Kill()
	s.start()
}

// checkStore has fsck look through the stopped store.
func (s *server) checkStore() {
	s.t.Helper()
	if err := s.Stop(); err != nil {
		s.t.Errorf("the server ended with %v", err)
	}
	if out, err := s.verb("fsck"); err != nil {
		s.t.Errorf("fsck: %v\n%s", err, out)
	}
}

// isRefused has a server refuse to start, for a reason.
func (s *server) isRefused(reason string) {
	s.t.Helper()
	if out, err := s.verb("serve"); err == nil || !strings.Contains(out, reason) {
		s.t.Errorf("a server that should not start: %v\n%s", err, out)
	}
}

// hasProblem has `nixnfsd layers` tell one.
func (s *server) hasProblem(what string) {
	s.t.Helper()
	if out, err := s.verb("layers"); err == nil || !strings.Contains(out, "problem: "+what) {
		s.t.Errorf("layers should tell that a directory %s: %v\n%s", what, err, out)
	}
}

// verb runs another verb of nixnfsd on the store, to its end.
func (s *server) verb(name string) (string, error) {
	args := append([]string{name}, s.dirFlags()...)
	switch name {
	case "serve":
		args = append(args, "--listen", "127.0.0.1:0")
	case "layers", "restart":
		args = []string{name, "--state", s.state()}
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
	return string(out), err
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

package soak

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/nixnfsd/nixnfsd/integration/testserver"
	"github.com/nixnfsd/nixnfsd/nfs"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// envServe has the test binary serve a store, which it names.
const envServe = "NIXNFSD_TEST_SOAK"

func TestMain(m *testing.M) {
	if dir := os.Getenv(envServe); dir != "" {
		if err := serve(dir, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// sample is what the server's process has at a moment.
type sample struct {
	RSS        int // bytes
	Goroutines int
	Files      int
}

// serve serves the store in dir, and writes its address and a sample for each line of in,
// until in ends. It fails where a goroutine is left then.
func serve(dir string, in io.Reader, out io.Writer) error {
	o := overlay.Options{Upper: filepath.Join(dir, "upper"), Lowers: []string{filepath.Join(dir, "lower")}, State: filepath.Join(dir, "state")}
	fs, err := overlay.Open(o)
	if err != nil {
		return err
	}
	server, err := testserver.Serve(nfs.Options{FS: fs})
	if err != nil {
		return err
	}
	fmt.Fprintln(out, server.Addr)
	lines, samples := bufio.NewScanner(in), json.NewEncoder(out)
	for lines.Scan() {
		s, err := takeSample()
		if err == nil {
			err = samples.Encode(s)
		}
		if err != nil {
			return err
		}
	}
	if err := errors.Join(server.Stop(), fs.Close()); err != nil {
		return err
	}
	return goleak.Find()
}

func takeSample() (s sample, err error) {
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return s, err
	}
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return s, err
	}
	var size, resident int
	if _, err := fmt.Sscan(string(statm), &size, &resident); err != nil {
		return s, err
	}
	return sample{resident * os.Getpagesize(), runtime.NumGoroutine(), len(files)}, nil
}

// served is the server's process.
type served struct {
	t    *testing.T
	addr string
	cmd  *exec.Cmd
	ask  io.WriteCloser
	said *bufio.Reader
}

func startServed(t *testing.T, dir string) *served {
	t.Helper()
	s := &served{t: t, cmd: exec.Command(os.Args[0])}
	s.cmd.Env = append(os.Environ(), envServe+"="+dir)
	s.cmd.Stderr = t.Output()
	var err error
	s.ask, err = s.cmd.StdinPipe()
	must(t, err)
	stdout, err := s.cmd.StdoutPipe()
	must(t, err)
	must(t, s.cmd.Start())
	t.Cleanup(func() { s.ask.Close() }) // the second time, as a rule
	s.said = bufio.NewReader(stdout)
	line, err := s.said.ReadString('\n')
	must(t, err)
	s.addr = strings.TrimSpace(line)
	return s
}

func (s *served) sample() (got sample) {
	s.t.Helper()
	_, err := fmt.Fprintln(s.ask)
	must(s.t, err)
	line, err := s.said.ReadBytes('\n')
	must(s.t, err)
	must(s.t, json.Unmarshal(line, &got))
	return got
}

// end ends the server and hears what it left.
func (s *served) end() {
	s.t.Helper()
	must(s.t, s.ask.Close())
	if err := s.cmd.Wait(); err != nil {
		s.t.Errorf("the server's end: %v", err)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

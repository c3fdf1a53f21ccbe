//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/nixnfsd/nixnfsd/integration/uml/spec"
	"golang.org/x/sys/unix"
)

// dyingGrace is what a test has to end by itself when the server is gone: its
// own complaint says more than ours.
const dyingGrace = 2 * time.Second

// supervise carries out the order and writes the report.
func supervise() error {
	order, err := readOrder(spec.Harness)
	if err != nil {
		return err
	}
	err = report(perform(order))
	if order.Systemd { // else the first process does it
		err = errors.Join(err, unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF))
	}
	return err
}

// perform brings the guest up, runs the test and takes all down again.
func perform(order spec.Run) spec.Result {
	test, serverLog, err := consoles()
	if err != nil {
		return trouble(err)
	}
	if err := prepare(order); err != nil {
		return trouble(err)
	}
	srv := newServer(order, serverLog)
	if err := listen(srv); err != nil {
		return trouble(err)
	}
	if order.Mount {
		for _, verb := range []string{"start", "mount"} {
			if err := srv.do(verb); err != nil {
				return trouble(err)
			}
		}
	}
	result := runTest(order, srv, test)
	if result.Outcome != spec.Done {
		return result
	}
	if result.ServerStatus, err = srv.finish(); err != nil {
		result.Outcome, result.Detail = spec.Trouble, "after the test: "+err.Error()
	}
	return result
}

func trouble(err error) spec.Result {
	return spec.Result{Outcome: spec.Trouble, Detail: err.Error()}
}

// runTest runs the test to its end, or to the server's unasked one.
func runTest(order spec.Run, srv *server, out io.Writer) spec.Result {
	cmd := asUser(order.Test, order.TestUID)
	cmd.Env = environment(order, order.TestUID)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.WaitDelay = time.Second // a daemon that the test left may hold the pipe
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return trouble(fmt.Errorf("start the test: %w", err))
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // the status is in cmd.ProcessState
		close(ended)
	}()
	select {
	case <-ended:
	case why := <-srv.died:
		select {
		case <-ended:
		case <-time.After(dyingGrace):
		}
		return spec.Result{Outcome: spec.ServerDied, Detail: why}
	}
	return spec.Result{Outcome: spec.Done, Status: status(cmd.ProcessState), TestSeconds: time.Since(start).Seconds()}
}

// status is the exit status as a shell shows it.
func status(state *os.ProcessState) int {
	if ws, ok := state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return state.ExitCode()
}

// environment is all that server and test find in theirs.
func environment(order spec.Run, uid int) []string {
	return append([]string{
		"PATH=" + searchPath,
		"HOME=" + home(uid),
		"USER=" + userName(uid),
		"LANG=C.UTF-8",
		"TERM=dumb",
		"TMPDIR=/tmp",
		spec.EnvDir + "=" + spec.MountPoint,
		spec.EnvPlain + "=" + spec.Plain,
		spec.EnvExport + "=" + spec.Export,
		spec.EnvControl + "=" + filepath.Join(spec.Programs, spec.Init),
		spec.EnvVolume + "=" + order.Volume,
		fmt.Sprintf("%s=%d", spec.EnvPort, order.Port),
		spec.EnvOut + "=" + spec.Out,
	}, order.Env...)
}

// userName looks the user up; addNames has seen to it that there is one.
func userName(uid int) string {
	for _, line := range readLines("/etc/passwd") {
		if f := strings.Split(line, ":"); len(f) > 2 && f[2] == fmt.Sprint(uid) {
			return f[0]
		}
	}
	return fmt.Sprint(uid)
}

func readLines(file string) []string {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil // no such table: nothing in it
	}
	return strings.Split(string(text), "\n")
}

// consoles opens the two lines to the outside, for the test and for the
// server's log. They are terminals, but server and test must not see one: what
// is returned is no *os.File, so that os/exec puts a pipe between.
func consoles() (test, serverLog io.Writer, err error) {
	lines := make([]io.Writer, 2)
	for i, name := range []string{"/dev/tty0", "/dev/ttyS1"} {
		line, err := os.OpenFile(name, os.O_WRONLY|unix.O_NOCTTY, 0)
		if err != nil {
			return nil, nil, err
		}
		if err := makeRaw(line); err != nil {
			return nil, nil, fmt.Errorf("make %s raw: %w", name, err)
		}
		lines[i] = struct{ io.Writer }{line}
	}
	return lines[0], lines[1], nil
}

// makeRaw keeps the line from changing newlines.
func makeRaw(line *os.File) error {
	mode, err := unix.IoctlGetTermios(int(line.Fd()), unix.TCGETS)
	if err != nil {
		return err
	}
	mode.Oflag &^= unix.OPOST
	return unix.IoctlSetTermios(int(line.Fd()), unix.TCSETS, mode)
}

// report writes the result and brings it and the test's output to the host's
// disk. It does not sync all: a dead mount would hang it.
func report(result spec.Result) error {
	text, err := json.Marshal(result)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(spec.Harness, spec.Report), text, 0o644); err != nil {
		return err
	}
	for _, dir := range []string{spec.Out, spec.Harness} {
		if err := syncFS(dir); err != nil {
			return fmt.Errorf("sync %s: %w", dir, err)
		}
	}
	return nil
}

func syncFS(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Syncfs(int(f.Fd()))
}

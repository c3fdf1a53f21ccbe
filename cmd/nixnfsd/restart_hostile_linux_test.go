package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/internal/control"
	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
	"github.com/nixnfsd/nixnfsd/internal/testenv"
)

// A client that resets its connection while one program gives way to another is gone, and
// nobody else is.
func TestResetInARestart(t *testing.T) {
	p := startProcess(t)
	idle, _ := p.client()
	var gone []*net.TCPConn
	for range 3 {
		c, err := net.Dial("tcp", p.Addr)
		if err != nil {
			t.Fatal(err)
		}
		gone = append(gone, c.(*net.TCPConn))
	}
	p.meanwhile(func() {
		for _, c := range gone {
			_ = c.SetLinger(0)
			c.Close()
		}
	})
	if err := idle.Null(t.Context()); err != nil {
		t.Error(err)
	}
}

// A process that may have few descriptors keeps its clients.
func TestRestartWithFewDescriptors(t *testing.T) {
	p := startProcess(t)
	var clients []*nfsclient.Client
	for range 30 {
		c, _ := p.client()
		clients = append(clients, c)
	}
	enough := uint64(p.descriptors() + 16)
	few := unix.Rlimit{Cur: enough, Max: enough}
	if err := unix.Prlimit(p.PID(), unix.RLIMIT_NOFILE, &few, nil); err != nil {
		t.Fatal(err)
	}
	p.mustRestart("nixnfsd")
	for i, c := range clients {
		if err := c.Null(t.Context()); err != nil {
			t.Errorf("client %d: %v", i, err)
		}
	}
}

// meanwhile does something between two programs.
func (p *process) meanwhile(do func()) {
	p.t.Helper()
	dir := p.t.TempDir()
	begun, over := filepath.Join(dir, "begun"), filepath.Join(dir, "over")
	err := p.order("exit; fi\n>" + begun + "\nwhile ! [ -e " + over + " ]; do sleep .01; done\nexec nixnfsd \"$@\"\n")
	if !errors.Is(err, control.ErrEnded) {
		p.t.Fatal(err)
	}
	testenv.Await(p.t, "the server has given way", func() bool { _, err := os.Stat(begun); return err == nil })
	do()
	if err := os.WriteFile(over, nil, 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// A server whose directories are not where they were stays as it is: neither a successor nor
// itself could open them again.
func TestNoRestartOverOtherDirectories(t *testing.T) {
	p := startProcess(t)
	c, root := p.client()
	path := func(name string) string { return filepath.Join(p.dir, name) }
	for _, tt := range []struct {
		name, dir string
		replace   func(dir, old string) error
	}{
		{"upper moved", "upper", func(string, string) error { return nil }},
		{"upper replaced", "upper", func(dir, _ string) error { return os.Mkdir(dir, 0o755) }},
		{"upper behind a link", "upper", func(dir, old string) error { return os.Symlink(old, dir) }},
		{"work replaced", "work", func(dir, _ string) error { return os.Mkdir(dir, 0o700) }},
		{"lower moved", "lower", func(string, string) error { return nil }},
		{"state replaced", "state", func(dir, old string) error {
			return errors.Join(os.Mkdir(dir, 0o700), os.Link(filepath.Join(old, "control"), filepath.Join(dir, "control")))
		}},
	} {
		dir, old := path(tt.dir), path(tt.dir+".old")
		if err := errors.Join(os.Rename(dir, old), tt.replace(dir, old)); err != nil {
			t.Fatal(err)
		}
		before, _ := os.ReadDir(p.dir)
		if _, err := p.restart("nixnfsd"); err == nil || !strings.Contains(err.Error(), "nothing was restarted") {
			t.Errorf("%s: %v", tt.name, err)
		}
		if after, _ := os.ReadDir(p.dir); len(after) != len(before) {
			t.Errorf("%s: got %v, want %v", tt.name, after, before)
		}
		if _, err := c.Getattr(t.Context(), root); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if err := errors.Join(os.RemoveAll(dir), os.Rename(old, dir)); err != nil {
			t.Fatal(err)
		}
	}
	p.mustRestart("nixnfsd")
	if _, err := c.Getattr(t.Context(), root); err != nil {
		t.Error(err)
	}
}

// hang has the server rehearse a program that never ends, until ctx does, and gives its process.
func (p *process) hang(ctx context.Context) (pid int) {
	p.t.Helper()
	dir := p.t.TempDir()
	program, note := filepath.Join(dir, "successor"), filepath.Join(dir, "pid")
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho $$ >"+note+"\nexec sleep 1000\n"), 0o755); err != nil {
		p.t.Fatal(err)
	}
	go func() {
		_ = control.Call(ctx, filepath.Join(p.dir, "state"), "POST", restartPath, restartArg{program}, nil)
	}()
	testenv.Await(p.t, "a program is tried", func() bool {
		b, _ := os.ReadFile(note)
		_, err := fmt.Sscanf(string(b), "%d\n", &pid)
		return err == nil
	})
	return pid
}

// wantGone wants that there is no such process.
func wantGone(t *testing.T, pid int) {
	t.Helper()
	if err := unix.Kill(pid, 0); err != unix.ESRCH {
		t.Errorf("the program that was tried is there: %v", err)
	}
}

// A server that is told to end does not wait for a program that it tries, nor leave it behind.
func TestEndDuringARehearsal(t *testing.T) {
	p := startProcess(t)
	pid := p.hang(t.Context())
	if err := p.Stop(); err != nil {
		t.Error(err)
	}
	wantGone(t, pid)
	if strings.Contains(p.log.String(), "cut short") {
		t.Error("the server waited")
	}
}

// A program takes over when no other is being tried, for that would be its child.
func TestRestartDuringARehearsal(t *testing.T) {
	p := startProcess(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	pid := p.hang(ctx)
	done := make(chan error)
	go func() {
		_, err := p.restart("nixnfsd")
		done <- err
	}()
	select {
	case err := <-done:
		t.Fatalf("a program has taken over: %v", err)
	case <-time.After(200 * time.Millisecond):
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	wantGone(t, pid)
}

// A program in the mount is not tried: nobody would answer while it is started.
func TestNoRestartFromTheMount(t *testing.T) {
	p := startProcess(t)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink("/nix/store", link); err != nil {
		t.Fatal(err)
	}
	for _, program := range []string{"/nix/store/x/bin/nixnfsd", link + "/x/bin/nixnfsd", "/proc/../nix"} {
		err := control.Call(t.Context(), filepath.Join(p.dir, "state"), "POST", restartPath, restartArg{program}, nil)
		if err == nil || !strings.Contains(err.Error(), "lies in what this server serves") {
			t.Errorf("%s: %v", program, err)
		}
	}
}

// A directory that does not answer, as one of a file system whose server is gone, holds up the
// restart and no other order, and not the server's end.
func TestRestartWithADirectoryThatHangs(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	o := newOrders(logrus.New())
	asked := make(chan struct{})
	o.use(new(server), layersAnswer{}, func(string) error {
		close(asked)
		<-release
		return nil
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- o.mayFollow(ctx, "program") }()
	<-asked
	if err := o.hold(t.Context()); err != nil {
		t.Error(err)
	}
	cancel()
	if err := <-done; err != errEnding {
		t.Error(err)
	}
}

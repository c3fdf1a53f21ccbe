package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/control"
	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
)

// order has the server try a shell script as its successor, which rehearses well.
func (p *process) order(script string) error {
	program := filepath.Join(p.t.TempDir(), "successor")
	const rehearsal = "#!/bin/sh\nif [ $NIXNFSD_HANDOVER = rehearsal ]; then echo '{\"format\":2}'; "
	if err := os.WriteFile(program, []byte(rehearsal+script), 0o755); err != nil {
		p.t.Fatal(err)
	}
	return control.Call(p.t.Context(), filepath.Join(p.dir, "state"), "POST", restartPath, restartArg{program}, nil)
}

// A program that cannot be started leaves the server as it was, under load, and so does one
// that is none.
func TestRestartThatFails(t *testing.T) {
	p := startProcess(t)
	load, stop := startLoad(p, 4)
	idle, _ := p.client()
	before := 0
	for i := range 5 {
		err := p.order("rm \"$0\"; exit; fi\n")
		if err == nil || !strings.Contains(err.Error(), "no such file or directory") {
			t.Errorf("a program that has gone: %v", err)
		}
		if i == 0 {
			before = p.descriptors()
		}
	}
	for _, script := range []string{"exit 3; fi\n", "echo no; exit; fi\n", "yes; fi\n", ":"} {
		if err := p.order(script); err == nil || !strings.Contains(err.Error(), "cannot take over") {
			t.Errorf("%q: %v", script, err)
		}
	}
	p.mustRestart("nixnfsd")
	if err := errors.Join(stop(), idle.Null(t.Context())); err != nil {
		t.Error(err)
	}
	if got := p.descriptors(); got > before+16 {
		t.Errorf("%d descriptors after restarts that failed, %d after the first", got, before)
	}
	t.Logf("%d calls", load.calls.Load())
}

// A program that rehearses well and then cannot serve gives the clients back.
func TestRestartThatIsGivenBack(t *testing.T) {
	p := startProcess(t)
	load, stop := startLoad(p, 4)
	for _, flags := range []string{"--export bad", "--lower none", "--upper lower"} {
		if err := p.order("exit; fi\nexec nixnfsd \"$@\" " + flags + "\n"); !errors.Is(err, control.ErrEnded) {
			t.Errorf("%s: %v", flags, err)
		}
		var a serverAnswer
		if err := control.Call(t.Context(), filepath.Join(p.dir, "state"), "GET", serverPath, nil, &a); err != nil || a.Failure == "" {
			t.Errorf("%s: got %+v, %v", flags, a, err)
		}
	}
	p.mustRestart("nixnfsd")
	if err := stop(); err != nil {
		t.Error(err)
	}
	t.Logf("%d calls", load.calls.Load())
}

// A server that is killed between two programs is as one that is killed.
func TestKilledInARestart(t *testing.T) {
	p := startProcess(t)
	_, root := p.client()
	c, _ := p.client()
	file, err := c.Create(t.Context(), root, "file", nfsclient.Guarded, nfsclient.SetAttr{})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.order("exit; fi\nexec sleep 1000\n"); !errors.Is(err, control.ErrEnded) {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(p.dir, "state", "handover")); !os.IsNotExist(err) {
		t.Errorf("the manifest has a name: %v", err)
	}
	p.Kill()
	<-c.Done()
	p.start(p.Addr)
	again, _ := p.client()
	if _, err := again.Write(t.Context(), *file.FH, 0, nfsclient.FileSync, []byte("data")); err != nil {
		t.Error(err)
	}
	p.mustRestart("nixnfsd")
	if _, err := again.Getattr(t.Context(), *file.FH); err != nil {
		t.Error(err)
	}
}

// A copy-up under way is waited for, and is whole.
func TestRestartDuringCopyUp(t *testing.T) {
	p := startProcess(t)
	data := bytes.Repeat([]byte("all of it, "), 6_000_000)
	if err := os.WriteFile(filepath.Join(p.dir, "lower", "large"), data, 0o644); err != nil {
		t.Fatal(err)
	}
	c, root := p.client()
	large, err := c.Lookup(t.Context(), root, "large")
	if err != nil {
		t.Fatal(err)
	}
	write := c.Start(&nfsclient.WriteArgs{FH: large.FH, Count: 3, Data: []byte("new")})
	p.mustRestart("nixnfsd")
	err = write.Into(t.Context(), &nfsclient.WriteRes{})
	for errors.Is(err, nfsclient.ErrJukebox) {
		_, err = c.Write(t.Context(), large.FH, 0, nfsclient.Unstable, []byte("new"))
	}
	if err != nil {
		t.Fatal(err)
	}
	copy(data, "new")
	if got, err := os.ReadFile(filepath.Join(p.dir, "upper", "large")); err != nil || !bytes.Equal(got, data) {
		t.Errorf("the copy has %d bytes and is not what it should be: %v", len(got), err)
	}
}

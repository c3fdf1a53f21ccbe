package hostile

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nixnfsd/nixnfsd/integration/testserver"
	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
	"github.com/nixnfsd/nixnfsd/internal/testenv"
)

// scene is a store of the owner's, the server of it, and what root sees through that.
type scene struct {
	t    *testing.T
	bin  programs
	args []string // of the server, further ones
	order
	server *testserver.Process
	began  time.Time
	log    bytes.Buffer
	client *nfsclient.Client // root's connection, calling as the owner
}

const secret = "the owner's secret\n"

func newScene(t *testing.T, args ...string) *scene {
	testenv.Require(t, os.Getuid() == 0, "it runs processes of two users, which takes root")
	s := &scene{t: t, bin: build(t), args: args}
	s.Dir = t.TempDir()
	for dir := s.Dir; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		must(t, os.Chmod(dir, 0o755)) // an attacker can get as far as here
	}
	must(t, os.Mkdir(filepath.Join(s.Dir, "home"), 0o700))
	for _, dir := range []string{s.Dir, filepath.Join(s.Dir, "home")} {
		must(t, os.Chown(dir, ownerUID, ownerUID))
	}
	s.start("127.0.0.1:0")
	s.fill()
	return s
}

// command is one of the server's program, run by the owner.
func (s *scene) command(args ...string) *exec.Cmd {
	return as(context.WithoutCancel(s.t.Context()), ownerUID, s.bin.server(), args...)
}

func (s *scene) serveArgs(addr string) []string {
	return append([]string{"serve", "--listen", addr, "--upper", s.upper(), "--state", s.state()}, s.args...)
}

func (s *scene) start(addr string) {
	s.t.Helper()
	cmd := s.command(s.serveArgs(addr)...)
	cmd.Stderr, s.began = &s.log, time.Now()
	var err error
	s.server, err = testserver.Start(cmd)
	must(s.t, err)
	s.t.Cleanup(s.stop)
	s.Addr, s.PID = s.server.Addr, s.server.PID()
}

// stop ends the server, which must have lived until then, and have told of refusals in a
// line a minute.
func (s *scene) stop() {
	if err := s.server.Stop(); err != nil {
		s.t.Errorf("the server ended with %v", err)
	}
	most := 1 + int(time.Since(s.began)/time.Minute)
	if n := strings.Count(s.log.String(), "connection refused"); n > most {
		s.t.Errorf("it told of refusals in %d lines, want %d at most", n, most)
	}
	if s.t.Failed() {
		s.t.Logf("its log:\n%s", s.log.String())
	}
}

// dial connects as root, which kernels do, and calls as the owner.
func (s *scene) dial() *nfsclient.Client {
	s.t.Helper()
	c, err := nfsclient.Dial(s.t.Context(), s.Addr, nfsclient.Options{Cred: nfsclient.AuthSys(ownerUID, ownerUID)})
	must(s.t, err)
	s.t.Cleanup(func() { c.Close() })
	return c
}

// fill makes what there is to attack.
func (s *scene) fill() {
	s.client = s.dial()
	ctx := s.t.Context()
	m, err := s.client.Mnt(ctx, "/nix")
	must(s.t, err)
	dir, err := s.client.Mkdir(ctx, m.FH, "sub", nfsclient.SetAttr{Mode: new(uint32(0o755))})
	must(s.t, err)
	file, err := s.client.Create(ctx, *dir.FH, "file", nfsclient.Guarded, nfsclient.SetAttr{Mode: new(uint32(0o644))})
	must(s.t, err)
	_, err = s.client.Write(ctx, *file.FH, 0, nfsclient.FileSync, []byte(secret))
	must(s.t, err)
	s.Root, s.Sub, s.File = m.FH, *dir.FH, *file.FH
}

// seen is what an attacker could change.
type seen struct {
	Root, Sub []nfsclient.Entry
	File      nfsclient.Attr
	Data      string
}

func (s *scene) look() (v seen) {
	s.t.Helper()
	ctx := s.t.Context()
	for dir, entries := range map[nfsclient.FH]*[]nfsclient.Entry{s.Root: &v.Root, s.Sub: &v.Sub} {
		r, err := s.client.Readdir(ctx, dir, 0, nfsclient.Verf{}, 1<<16)
		must(s.t, err)
		*entries = r.Entries
	}
	r, err := s.client.Read(ctx, s.File, 0, 1000)
	must(s.t, err)
	v.Data = string(r.Data)
	v.File, err = s.client.Getattr(ctx, s.File)
	must(s.t, err)
	v.File.Atime = nfsclient.Time{} // this look changes it
	return v
}

// attack runs an attack in a process of the attacker's while the owner works, and
// looks at what it has done.
func (s *scene) attack(t *testing.T, name string) {
	owner := s.startWork(t)
	defer owner.finish()
	before := s.look()
	o := s.order
	o.Do = name
	out, err := s.bin.ordered(t.Context(), attackerUID, o).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("the attack ended with %v, and could:\n%s", err, out)
	}
	if d := cmp.Diff(before, s.look()); d != "" {
		t.Errorf("the store was changed: before -, after +:\n%s", d)
	}
	must(t, s.dial().Null(t.Context()))
}

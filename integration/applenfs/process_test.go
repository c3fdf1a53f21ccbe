package applenfs_test

import (
	"context"
	"net"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/nixnfsd/nixnfsd/integration/testserver"
	"github.com/nixnfsd/nixnfsd/integration/uml"
)

// process is a nixnfsd that is killed now and then, and started again by the next who
// connects; or it is made to give way to another.
type process struct {
	t            testing.TB
	binary       string
	upper, state string
	lowers       []string
	server       *testserver.Process // nil: none runs
	every        int                 // calls between accidents
	calls        int
	kills        int
	restarts     int
}

// build builds nixnfsd.
func build(t testing.TB) (binary string) {
	t.Helper()
	binary = filepath.Join(t.TempDir(), "nixnfsd")
	if err := uml.GoBuild(t.Context(), binary, "github.com/nixnfsd/nixnfsd/cmd/nixnfsd"); err != nil {
		t.Fatal(err)
	}
	return binary
}

// run runs the server until the test ends. The first who dials starts it.
func (p *process) run(t testing.TB) {
	p.t = t
	t.Cleanup(p.kill)
}

// command is a command about the server's directories.
func (p *process) command(verb string, flags ...string) *exec.Cmd {
	flags = append([]string{verb, "--upper", p.upper, "--state", p.state}, flags...)
	return exec.Command(p.binary, flags...)
}

// lowerFlags name the lower directories.
func (p *process) lowerFlags() (flags []string) {
	for _, lower := range p.lowers {
		flags = append(flags, "--lower", lower)
	}
	return flags
}

// start starts the server and waits until it is ready.
func (p *process) start() (err error) {
	cmd := p.command("serve", append(p.lowerFlags(), "--listen", "127.0.0.1:0", "--log-level", "warn")...)
	cmd.Stderr = p.t.Output()
	p.server, err = testserver.Start(cmd)
	return err
}

func (p *process) kill() {
	p.server.Kill()
	p.server = nil
}

// dial starts the server if there is none.
func (p *process) dial(ctx context.Context) (net.Conn, error) {
	if p.server == nil {
		if err := p.start(); err != nil {
			return nil, err
		}
	}
	nc, err := new(net.Dialer).DialContext(ctx, "tcp", p.server.Addr)
	return &killing{nc, p}, err
}

// giveWay has another program take the server's place, and its connections.
func (p *process) giveWay() {
	if out, err := p.command("restart").CombinedOutput(); err != nil {
		p.t.Errorf("restart: %v\n%s", err, out)
	}
}

// killing is a connection that has the server go when it has been sent enough.
type killing struct {
	net.Conn
	p *process
}

// Write is given one call. The server goes when it is on its way, killed or not in turn.
func (k *killing) Write(b []byte) (int, error) {
	n, err := k.Conn.Write(b)
	k.p.calls++
	switch k.p.calls % (2 * k.p.every) {
	case 0:
		k.p.kills++
		k.p.kill()
	case k.p.every:
		k.p.restarts++
		k.p.giveWay()
	}
	return n, err
}

// fsck looks through the stopped store.
func (p *process) fsck() {
	p.t.Helper()
	p.kill()
	out, err := p.command("fsck", p.lowerFlags()...).CombinedOutput()
	if err != nil {
		p.t.Errorf("fsck: %v\n%s", err, out)
	}
}

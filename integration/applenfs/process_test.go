package applenfs_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// process is a nixnfsd that is killed now and then, and started again by the next who
// connects.
type process struct {
	t      testing.TB
	binary string
	args   []string
	addr   string
	cmd    *exec.Cmd
	every  int // calls between kills, 0 for none
	calls  int
	kills  int
}

// build builds nixnfsd.
func build(t testing.TB) (binary string) {
	t.Helper()
	binary = filepath.Join(t.TempDir(), "nixnfsd")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../../cmd/nixnfsd").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return binary
}

// newProcess has flags that serve and fsck take. The first who dials starts it.
func newProcess(t testing.TB, binary string, every int, flags ...string) *process {
	t.Helper()
	p := &process{t: t, binary: binary, every: every, args: flags}
	t.Cleanup(p.kill)
	return p
}

// start starts the server and waits until it is ready.
func (p *process) start() error {
	p.cmd = exec.Command(p.binary, append([]string{"serve", "--listen", "127.0.0.1:0"}, p.args...)...)
	p.cmd.Stderr = os.Stderr
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := p.cmd.Start(); err != nil {
		return err
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	_, after, found := strings.Cut(line, " is served on ")
	if err != nil || !found {
		return fmt.Errorf("nixnfsd says %q: %w", line, err)
	}
	p.addr, _, _ = strings.Cut(after, " ")
	return nil
}

// kill ends the server as kill -9 does, and waits until it is gone.
func (p *process) kill() {
	if p.cmd == nil || p.cmd.Process == nil {
		return
	}
	if err := p.cmd.Process.Kill(); err != nil {
		p.t.Errorf("kill: %v", err)
	}
	_ = p.cmd.Wait() // it says that it was killed
	p.cmd = nil
}

// dial starts the server if there is none.
func (p *process) dial(ctx context.Context) (net.Conn, error) {
	if p.cmd == nil {
		if err := p.start(); err != nil {
			return nil, err
		}
	}
	nc, err := new(net.Dialer).DialContext(ctx, "tcp", p.addr)
	return &killing{nc, p}, err
}

// killing is a connection that has the server killed when it has been sent enough.
type killing struct {
	net.Conn
	p *process
}

// Write is given one call, but for a batch of WRITEs, and kills when it is on its way.
func (k *killing) Write(b []byte) (int, error) {
	n, err := k.Conn.Write(b)
	k.p.calls++
	if k.p.every > 0 && k.p.calls%k.p.every == 0 {
		k.p.kills++
		k.p.kill()
	}
	return n, err
}

// fsck looks through the stopped store.
func (p *process) fsck() {
	p.t.Helper()
	p.kill()
	out, err := exec.CommandContext(p.t.Context(), p.binary, append([]string{"fsck"}, p.args...)...).CombinedOutput()
	if err != nil {
		p.t.Errorf("fsck: %v\n%s", err, out)
	}
}

package posixtest

import (
	"io"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"
)

func processCases() []testCase {
	return []testCase{
		{name: "exec", run: func(p *place) {
			p.program("hello", 0o555)
			p.greets("hello")
		}},
		{name: "exec-after-rename", run: func(p *place) {
			p.mkdir("out/bin")
			p.program("out/bin/hello", 0o555)
			p.rename("out", "final")
			p.greets("final/bin/hello")
		}},
		{name: "exec-script", run: func(p *place) {
			p.file("script", "#!/bin/sh\necho hello from $1\n")
			p.chmod("script", 0o555)
			p.greets("script")
		}},
		{name: "exec-not-executable", run: func(p *place) {
			p.program("hello", 0o644)
			p.refused("exec", exec.Command(p.path("hello")).Run(), unix.EACCES)
		}},
		{name: "exec-open-for-writing", run: func(p *place) {
			p.program("hello", 0o755)
			f := p.open("hello", unix.O_WRONLY, 0)
			p.refused("exec", exec.Command(p.path("hello")).Run(), unix.ETXTBSY)
			p.close(f)
			p.greets("hello")
		}},
	}
}

// program copies the test binary into the place.
func (p *place) program(name string, mode uint32) {
	p.Helper()
	self, err := os.Executable()
	p.try(err)
	from, err := os.Open(self)
	p.try(err)
	defer from.Close()
	to := p.open(name, createNew, 0o600)
	_, err = io.Copy(to, from)
	p.try(err)
	p.close(to)
	p.chmod(name, mode)
}

// greets runs a program and checks what it says.
func (p *place) greets(name string) {
	p.Helper()
	cmd := exec.CommandContext(p.Context(), p.path(name), "the mount")
	cmd.Env = append(os.Environ(), childEnv+"=hello")
	out, err := cmd.CombinedOutput()
	if err != nil || string(out) != "hello from the mount\n" {
		p.Errorf("run %s: got %q and error %v, want a greeting", name, out, err)
	}
}

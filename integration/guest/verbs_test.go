//go:build linux

package guest

import (
	"errors"
	"os/exec"
	"strings"
	"testing"
)

// verbs has the owner stop and start the server by its own verbs: what is in use goes on, and what
// is stopped is unmounted first.
func (m *thereAndBack) verbs(t *testing.T) {
	sitting := exec.CommandContext(t.Context(), "sleep", "1h")
	sitting.Dir = nixRoot
	try(t, sitting.Start())
	out, err := m.command(t, m.program, "stop").CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(string(out), "nothing was stopped") || !strings.Contains(string(out), "sleep") {
		t.Errorf("stop of what is in use: %v: %s", err, out)
	}
	m.nixnfsd(t, "", "wait")
	try(t, sitting.Process.Kill())
	_ = sitting.Wait() // killed
	if said := m.nixnfsd(t, "", "stop"); said != "unmounted: "+nixRoot+"\nstopped\n" || mountID(t) != "" {
		t.Errorf("stop: %s", said)
	}
	if said := m.nixnfsd(t, "", "start"); !strings.HasPrefix(said, "started\nmounted: "+nixRoot) {
		t.Errorf("start: %s", said)
	}
	if said := m.nixnfsd(t, "", "start"); !strings.HasPrefix(said, "it runs already\nmounted: "+nixRoot) {
		t.Errorf("start of what runs: %s", said)
	}
	if _, err := m.command(t, m.program, "exec", "--", m.nix.home+"/result/bin/hello").Output(); err != nil {
		t.Errorf("exec: %v", err)
	}
}

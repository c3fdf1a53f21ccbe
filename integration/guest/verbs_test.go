//go:build linux

package guest

import (
	_ "embed"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

//go:embed testdata/verbs.txtar
var verbsScript []byte

// verbs runs a script of the user's verbs, which package main's tests count among theirs.
func (m *thereAndBack) verbs(t *testing.T) {
	file := filepath.Join(t.TempDir(), "verbs.txtar")
	try(t, os.WriteFile(file, verbsScript, 0o600))
	testscript.Run(t, testscript.Params{
		Files:               []string{file},
		RequireExplicitExec: true,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"exits": m.exits},
	})
}

// exits is the command "exits CODE nixnfsd ARGS...": the user's program ends with that exit code.
func (m *thereAndBack) exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || args[1] != "nixnfsd" {
		ts.Fatalf("usage: exits CODE nixnfsd ARGS...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	id := strconv.Itoa(setUpUID)
	command := append([]string{"--reuid", id, "--regid", id, "--clear-groups", "env", "-i", "--chdir=" + setUpHome}, userEnv...)
	command = append(append(command, m.program), args[2:]...)
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec("setpriv", command...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

package shell

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/testenv"
)

// TestExport has the shells themselves read what is written for them.
func TestExport(t *testing.T) {
	values := []string{"/nix/bin:/usr/bin", "", "it's", `a\b`, `\'`, "a b  c", "$HOME `id` $(id)", "line\nline", "=ls", "~", "größe", "a;b&c|d", `"`, "*?[x]{a,b}"}
	tt := []struct {
		shell string
		kind  Kind
	}{{"sh", Bash}, {"bash", Bash}, {"zsh", Zsh}, {"fish", Fish}}
	for _, tc := range tt {
		program, err := exec.LookPath(tc.shell)
		testenv.Require(t, err == nil, "it needs "+tc.shell)
		for _, want := range values {
			cmd := exec.Command(program, "-c", tc.kind.Export("NIX_X", want)+"; printenv NIX_X")
			cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + t.TempDir()}
			got, err := cmd.CombinedOutput()
			if err != nil || string(got) != want+"\n" {
				t.Errorf("%s: got %q, %v; want %q", tc.shell, got, err, want)
			}
		}
	}
}

func TestExportPath(t *testing.T) {
	const value = "/a b/bin:/usr/bin"
	if got, want := Fish.Export("PATH", value), "set -gx PATH '/a b/bin' '/usr/bin'"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := Zsh.Export("PATH", value); strings.Count(got, "'") != 2 {
		t.Errorf("got %s, want one word", got)
	}
}

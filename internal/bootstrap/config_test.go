package bootstrap_test

import (
	"strings"
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/bootstrap"
)

func TestChoose(t *testing.T) {
	tests := []struct {
		name string
		s    bootstrap.Settings
		want string
	}{
		{"Linux", bootstrap.Settings{System: "linux", Version: "2.29.1", BuildDir: "/b"}, "sandbox=false auto-optimise-store=false experimental-features=nix-command flakes use-sqlite-wal=true"},
		{"Linux, builds in var", bootstrap.Settings{System: "linux", Version: "2.30.0", BuildDir: "/b"}, "sandbox=false auto-optimise-store=false experimental-features=nix-command flakes use-sqlite-wal=true build-dir=/b"},
		{"Linux, var apart", bootstrap.Settings{System: "linux", Version: "2.30.0", VarApart: true, BuildDir: "/b"}, "sandbox=false auto-optimise-store=false experimental-features=nix-command flakes"},
		{"macOS", bootstrap.Settings{System: "darwin", Version: "2.30.0", VarApart: true, BuildDir: "/b"}, "sandbox=false auto-optimise-store=false experimental-features=nix-command flakes"},
		{"macOS, var on the mount", bootstrap.Settings{System: "darwin", Version: "3.0pre20260101_abc", BuildDir: "/b"}, "sandbox=false auto-optimise-store=false experimental-features=nix-command flakes use-sqlite-wal=false build-dir=/b"},
		{"unknown version", bootstrap.Settings{System: "linux", Version: "x", BuildDir: "/b"}, "sandbox=false auto-optimise-store=false use-sqlite-wal=true"},
		{"without experimental features", bootstrap.Settings{System: "linux", Version: "2.3.16", BuildDir: "/b"}, "sandbox=false auto-optimise-store=false use-sqlite-wal=true"},
		{"prerelease", bootstrap.Settings{System: "linux", Version: "2.31pre20250101_abc", BuildDir: "/b"}, "sandbox=false auto-optimise-store=false experimental-features=nix-command flakes use-sqlite-wal=true build-dir=/b"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, s := range tt.s.Choose() {
				if s.Why == "" {
					t.Errorf("%s has no reason", s.Name)
				}
				got = append(got, s.Name+"="+s.Value)
			}
			if got := strings.Join(got, " "); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

package integration

import (
	"os"
	"testing"

	"github.com/nixnfsd/nixnfsd/integration/uml"
	"github.com/nixnfsd/nixnfsd/internal/testenv"
)

// TestLocalOverlay runs the guest's test of Nix's local-overlay store, which needs a newer
// Nix than the guest's own.
func TestLocalOverlay(t *testing.T) {
	t.Parallel()
	kit, err := uml.Setup(t.Context(), t.Output())
	if err != nil {
		testenv.Require(t, false, err.Error())
	}
	nix, err := uml.NewerNix(t.Context(), t.Output())
	if err != nil {
		testenv.Require(t, false, err.Error())
	}
	const lower = "/scratch/below/nix"
	runGuestTests(t, kit, uml.Config{
		// The test fills the lower and starts the server itself.
		Server:    []string{"nixnfsd", "serve", "--upper", "%E", "--state", "%S/state", "--listen", "127.0.0.1:%P", "--lower", lower},
		ServerUID: 1000, MountOptions: mountOptions(t), Programs: buildPrograms(t),
		Env:  []string{"NIXNFSD_LOWERS=" + lower, "NIXNFSD_NEWER_NIX=" + nix, "NIXNFSD_REQUIRE=" + os.Getenv("NIXNFSD_REQUIRE")},
		Test: []string{guestTest, "-test.run=^TestNixLocalOverlay$"},
	})
}

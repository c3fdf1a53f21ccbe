package integration

import (
	"os"
	"testing"

	"github.com/nixnfsd/nixnfsd/integration/nixtarball"
	"github.com/nixnfsd/nixnfsd/integration/uml"
	"github.com/nixnfsd/nixnfsd/internal/testenv"
)

// TestBootstrap has Nix come from a binary tarball, in a guest.
func TestBootstrap(t *testing.T) {
	kit, err := uml.Setup(t.Context(), t.Output())
	if err != nil {
		testenv.Require(t, false, err.Error())
	}
	out := t.TempDir()
	ball, err := nixtarball.Debian(t.Context(), kit.SysRoot(), "/")
	if err == nil {
		_, err = ball.File(t.Context(), out)
	}
	if err != nil {
		t.Fatal(err)
	}
	runGuestTests(t, kit, uml.Config{
		Programs: buildPrograms(t), MountOptions: mountOptions(t), Out: out,
		Server:    []string{"nixnfsd", "serve", "--upper", "%E", "--state", "%S/state", "--listen", "127.0.0.1:%P"},
		ServerUID: 1000, TestUID: 1000,
		Test: []string{guestTest, "-test.run=^TestBootstrap$"},
		Env:  []string{"NIXNFSD_REQUIRE=" + os.Getenv("NIXNFSD_REQUIRE")},
	})
}

package integration

import (
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nixnfsd/nixnfsd/integration/nixtarball"
	"github.com/nixnfsd/nixnfsd/integration/uml"
	"github.com/nixnfsd/nixnfsd/integration/uml/spec"
	"github.com/nixnfsd/nixnfsd/internal/testenv"
	"github.com/nixnfsd/nixnfsd/mount"
)

var fsxSteps = flag.Int("fsx", 60_000, "random operations of the guest's TestOverFsx")

var pause = flag.Duration("pause", 0, "how long the guest's tests of pauses hold up server and network, at least")

var kills = flag.Int("kills", 5, "how often the guest's TestTorture kills the server")

// The runs whose guests get a binary tarball of Nix.
const (
	bootstrapped = "bootstrap"
	thereAndBack = "setup"
)

// TestKernelClient runs the tests of package guest over the kernel's NFS client.
func TestKernelClient(t *testing.T) {
	kit, err := uml.Setup(t.Context(), t.Output())
	if err != nil {
		testenv.Require(t, false, err.Error())
	}
	programs := buildPrograms(t)
	// The state is the server's default place for it, but on the scratch.
	serve := []string{"nixnfsd", "serve", "--upper", "%E", "--state", "%S/state", "--listen", "127.0.0.1:%P"}
	const lower1, lower2 = "/scratch/lower1", "/scratch/lower2"
	over := slices.Concat(serve, []string{"--lower", lower1, "--lower", lower2})
	lowers := []string{"NIXNFSD_LOWERS=" + lower1 + ":" + lower2}
	tests := []struct {
		name       string
		cfg        uml.Config
		selections []string // of the guest's tests
	}{
		{"user", uml.Config{Server: serve, ServerUID: 1000, TestUID: 1000, Mount: true}, []string{"-test.skip=^(TestNixLower|TestNixLocalOverlay|TestReplays.*|TestTorture|TestOver.*|TestOthers.*|TestKeep|TestBootstrap|TestFault.*|TestThereAndBack|TestDoctor)$"}},
		// No store belongs to root; and run by root, Nix 2.8 collects the path of a program
		// that runs, on ext4 too.
		{"root", uml.Config{Server: serve, Mount: true}, []string{"-test.skip=^(TestNix.*|TestTorture|TestLoad|TestPauses|TestOver.*|TestOthers.*|TestKeep|TestBootstrap|TestFault.*|TestThereAndBack|TestDoctor)$"}},
		{
			"torture",
			uml.Config{Server: serve, ServerUID: 1000, TestUID: 1000, Mount: true},
			[]string{"-test.run=^TestTorture$", fmt.Sprint("-kills=", *kills)},
		},
		{
			// Any directory of the guest's does as a lower here.
			"layers",
			uml.Config{Server: slices.Concat(serve, []string{"--lower", "/usr/share/common-licenses"}), ServerUID: 1000, TestUID: 1000, Mount: true},
			[]string{"-test.run=^Test(Posix|GoFuse|Silly)"},
		},
		// A real Apple file system, which folds case and normalises Unicode.
		{
			"hfsplus",
			uml.Config{Server: serve, ServerUID: 1000, TestUID: 1000, Mount: true, Volume: spec.HFSPlus},
			[]string{"-test.run=^Test(Posix|ExactNames|NarHashes|NixStore)$"},
		},
		// These fill the lowers and start the server themselves.
		{"lower", uml.Config{Server: over, ServerUID: 1000, Env: lowers}, []string{"-test.run=^TestNixLower$"}},
		// Root tries what another user than the server's may.
		{"others", uml.Config{Server: serve, ServerUID: 1000, Mount: true}, []string{"-test.run=^TestOthersAreRefused$"}},
		{"sharing", uml.Config{Server: slices.Concat(serve, []string{"--share-read"}), ServerUID: 1000, Mount: true}, []string{"-test.run=^TestOthersRead$"}},
		// Root's keeper does the mounting.
		{"keep", uml.Config{Server: serve, ServerUID: 1000}, []string{"-test.run=^TestKeep$"}},
		{bootstrapped, uml.Config{Server: serve, ServerUID: 1000, TestUID: 1000}, []string{"-test.run=^TestBootstrap$"}},
		// systemd runs the machine, the server and the keeper.
		{thereAndBack, uml.Config{ServerUID: 1000, Systemd: true}, []string{"-test.run=^TestThereAndBack$"}},
		{"doctor", uml.Config{ServerUID: 1000, Systemd: true}, []string{"-test.run=^TestDoctor$"}},
		{"over", uml.Config{Server: over, ServerUID: 1000, TestUID: 1000, Env: lowers}, []string{"-test.run=^TestOver", fmt.Sprint("-fsx=", *fsxSteps)}},
		{"faults", uml.Config{Server: over, Env: lowers}, []string{"-test.run=^TestFault", fmt.Sprint("-pause=", *pause)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.cfg.Programs = programs
			if tt.name == bootstrapped || tt.name == thereAndBack {
				tt.cfg.Out = nixTarball(t, kit)
			}
			tt.cfg.MountOptions = mountOptions(t)
			tt.cfg.Test = slices.Concat([]string{guestTest}, tt.selections, chosen())
			tt.cfg.Env = append(tt.cfg.Env, "NIXNFSD_REQUIRE="+os.Getenv("NIXNFSD_REQUIRE"))
			runGuestTests(t, kit, tt.cfg)
		})
	}
}

// chosen is what -run says of the guest's own tests, as in TestKernelClient/user/TestCheck.
func chosen() []string {
	parts := strings.SplitN(flag.Lookup("test.run").Value.String(), "/", 3)
	if len(parts) < 3 {
		return nil
	}
	return []string{"-test.run=" + parts[2]}
}

// nixTarball gives a directory with a tarball of Debian's Nix.
func nixTarball(t *testing.T, kit *uml.Kit) string {
	t.Helper()
	out := t.TempDir()
	ball, err := nixtarball.Debian(t.Context(), kit.SysRoot(), "/")
	if err == nil {
		_, err = ball.File(t.Context(), out)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// mountOptions are those that nixnfsd itself tells people to use.
func mountOptions(t *testing.T) string {
	t.Helper()
	server := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uml.Port)
	args := mount.Args("linux", mount.Target{Server: server, Export: "/nix"})
	at := slices.Index(args, "-o")
	if at < 0 || at+1 == len(args) {
		t.Fatalf("no options in %q", args)
	}
	return args[at+1]
}

// guestTest is the name of package guest's test binary.
const guestTest = "guest.test"

// buildPrograms builds the server and the guest's tests.
func buildPrograms(t *testing.T) []string {
	t.Helper()
	const module = "github.com/nixnfsd/nixnfsd/"
	dir := t.TempDir()
	server, tests := filepath.Join(dir, "nixnfsd"), filepath.Join(dir, guestTest)
	if err := uml.GoBuild(t.Context(), server, module+"cmd/nixnfsd"); err != nil {
		t.Fatal(err)
	}
	if err := uml.GoTest(t.Context(), tests, module+"integration/guest"); err != nil {
		t.Fatal(err)
	}
	return []string{server, tests}
}

// runGuestTests boots a guest, runs the tests there and shows each as a subtest.
// A test may not run for longer than this one may.
func runGuestTests(t *testing.T, kit *uml.Kit, cfg uml.Config) {
	t.Helper()
	cfg.Timeout = timeLeft(t)
	cfg.Test = append(cfg.Test, "-test.v=test2json", "-test.timeout="+(cfg.Timeout-time.Minute).String())
	output, guestOut := io.Pipe()
	var result uml.Result
	var runErr error
	go func() {
		result, runErr = kit.Run(t.Context(), cfg, guestOut)
		guestOut.Close()
	}()
	ran := readTests(t, output)
	failed := false
	for _, test := range ran.tests {
		t.Run(test.name, test.show)
		failed = failed || test.action == "fail" || test.action == ""
	}
	if runErr != nil {
		t.Errorf("the guest's run: %v", runErr)
	}
	if result.Status != 0 && !failed || len(ran.tests) == 0 {
		t.Errorf("%d tests of the guest ended with status %d:\n%s", len(ran.tests), result.Status, lastLines(ran.rest.String(), 30))
	}
	if cfg.Mount && runErr == nil && result.ServerStatus != 0 {
		t.Errorf("the server ended with status %d after SIGTERM:\n%s", result.ServerStatus, lastLines(result.ServerLog, 20))
	}
	if t.Failed() {
		t.Logf("the server's log ends:\n%s", lastLines(result.ServerLog, 20))
	}
}

// timeLeft is what the guest may take, so that its end is still reported.
func timeLeft(t *testing.T) time.Duration {
	deadline, ok := t.Deadline()
	if !ok {
		return 30 * time.Minute
	}
	return max(time.Until(deadline)-30*time.Second, 2*time.Minute)
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

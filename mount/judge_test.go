package mount

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestProblemNames has each thing that can be wrong be told by its name.
func TestProblemNames(t *testing.T) {
	addr := netip.MustParseAddrPort("127.0.0.1:12049")
	other := netip.MustParseAddrPort("127.0.0.1:12050")
	down := fmt.Errorf("%w: refused", ErrNoAnswer)
	child := func(errno syscall.Errno) error { return fmt.Errorf("stat /nix: %w", errno) }
	mounted := func(options ...string) observation {
		return observation{entry: nfsEntry(addr, options...), ours: true}
	}
	tt := []struct {
		name string
		o    observation
		goos string
		want []string
	}{
		{"healthy", mounted("hard", "local_lock=all"), "linux", nil},
		{"healthy on macOS", mounted("hard", "locallocks", "exec"), "darwin", nil},
		{"no server", observation{server: down}, "linux", []string{ServerDown}},
		{"somebody's port", observation{server: down, holder: Holder{PID: 7, UID: 1}}, "linux", []string{PortTaken}},
		{"another export", observation{server: errors.New("MNT: no")}, "linux", []string{ServerRefuses}},
		{"nothing to mount on", observation{stat: child(syscall.ENOENT), noHelper: true}, "linux", []string{NoMountPoint, NoMountHelper, NotMountedYet}},
		{"silent", observation{entry: nfsEntry(addr), ours: true, stat: errors.New("context deadline exceeded")}, "linux", []string{MountSilent}},
		{"another state", observation{entry: nfsEntry(addr), ours: true, stat: child(syscall.ESTALE)}, "linux", []string{MountStale}},
		{"not allowed by macOS", observation{entry: nfsEntry(addr), ours: true, stat: child(syscall.EPERM)}, "darwin", []string{PrivacyRefused}},
		{"the same on Linux", observation{entry: nfsEntry(addr), ours: true, stat: child(syscall.EPERM)}, "linux", []string{MountSilent}},
		{"twice", observation{entry: nfsEntry(addr), ours: true, stacked: 1}, "linux", []string{MountsStacked}},
		{"options", mounted("soft", "noexec", "nolocks", "quarantine"), "darwin", []string{MountSoft, MountNoExec, MountLocks, MountQuarantine}},
		{"dead", observation{entry: nfsEntry(addr), ours: true, server: down}, "linux", []string{ServerDown, MountDead}},
		{"another's, dead", observation{entry: nfsEntry(other), other: down}, "linux", []string{OtherMountDead}},
		{"another's", observation{entry: nfsEntry(other)}, "linux", []string{MountedOver}},
		{"another user's", observation{entry: nfsEntry(addr), ours: true, server: down, self: 5, holder: Holder{UID: 6}}, "linux", []string{MountOfAnotherUser}},
	}
	for _, tc := range tt {
		tc.o.target, tc.o.goos = Target{Server: addr, Export: "/nix"}, tc.goos
		if tc.o.holder == (Holder{}) {
			tc.o.holder = unknownHolder
		}
		s := judge(&tc.o)
		var got []string
		for _, p := range s.Problems {
			got = append(got, p.Name)
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s: %s", tc.name, diff)
		}
	}
}

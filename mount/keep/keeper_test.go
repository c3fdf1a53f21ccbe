package keep

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nixnfsd/nixnfsd/mount"
)

// expect compares the commands that were run.
func expect(t *testing.T, when string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: ran %q, want %q", when, got, want)
	}
}

// mounted starts a keeper, and has it mount the server.
func mounted(t *testing.T, m *machine) *Keeper {
	t.Helper()
	m.server = own
	k := m.start(t)
	expect(t, "with a server", m.after(time.Second), "mount")
	return k
}

func TestServerComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{server: gone}
		m.start(t)
		expect(t, "without a server", m.after(time.Hour))
		m.set(func() { m.server = own })
		expect(t, "with a server", m.after(6*time.Second), "mount")
		expect(t, "with a mount", m.after(time.Hour))
	})
}

// TestServerGoes has servers end with and without somebody in the mount, and with umounts that
// do not come back.
func TestServerGoes(t *testing.T) {
	tt := []struct {
		name             string
		busy, hung, mute bool
		want             []string
	}{
		{"nobody uses it", false, false, false, []string{"umount"}},
		{"in use", true, false, false, []string{"umount", "umount -f"}},
		{"umount hangs", false, true, false, []string{"umount", "umount -f"}},
		{"the server is silent", true, true, true, []string{"umount", "umount -f"}},
	}
	for _, tc := range tt {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &machine{busy: tc.busy, hung: tc.hung}
				mounted(t, m)
				m.set(func() { m.server, m.mute = gone, tc.mute })
				expect(t, "in half of the grace time", m.after(grace/2))
				expect(t, "in the other half", m.after(grace/2), tc.want...)
				if len(m.mounts) > 0 {
					t.Error("it is still mounted")
				}
				expect(t, "afterwards", m.after(time.Hour))
				m.set(func() { m.server, m.mute = own, false })
				expect(t, "with a server again", m.after(10*time.Second), "mount")
			})
		})
	}
}

// TestServerFlaps: what comes back in time is not unmounted, however often.
func TestServerFlaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{}
		mounted(t, m)
		for range 100 {
			m.set(func() { m.server = gone })
			expect(t, "gone", m.after(grace/2))
			m.set(func() { m.server = own })
			expect(t, "back", m.after(6*time.Second))
		}
	})
}

func TestStrangerTakesThePort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{server: stranger, busy: true}
		k := m.start(t)
		expect(t, "with a stranger", m.after(time.Hour))
		if want := []string{"look: uid 1001 has taken the address 127.0.0.1:12049, which is to be uid 1000's"}; !slices.Equal(m.reports, want) {
			t.Errorf("reports %q, want %q", m.reports, want)
		}
		if _, err := k.Mount(t.Context()); err == nil || !strings.Contains(err.Error(), "uid 1001 has taken") {
			t.Errorf("an order to mount: %v", err)
		}
		expect(t, "in spite of an order", m.after(time.Hour))
		m.set(func() { m.server = own })
		expect(t, "with a server", m.after(6*time.Second), "mount")
		m.set(func() { m.server = stranger })
		expect(t, "with a stranger behind the mount", m.after(6*time.Second), "umount -f")
		expect(t, "afterwards", m.after(time.Hour))
	})
}

// TestOrders: the owner has it unmounted, and mounted.
func TestOrders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{}
		k := mounted(t, m)
		if s, err := k.Unmount(t.Context(), false); err != nil || s.Mount != "not-mounted" || !s.Away {
			t.Errorf("unmount: %+v, %v", s, err)
		}
		if s, err := k.Unmount(t.Context(), false); err != nil || s.Mount != "not-mounted" {
			t.Errorf("unmount again: %+v, %v", s, err)
		}
		expect(t, "afterwards", m.after(time.Hour), "umount")
		if s, err := k.Mount(t.Context()); err != nil || s.Mount != "mounted" || s.Away {
			t.Errorf("mount: %+v, %v", s, err)
		}
		m.set(func() { m.busy = true })
		if s, err := k.Unmount(t.Context(), false); err == nil || err.Error() != "/nix stays mounted: target is busy: end sh (process 7), nix (process 8), or use --force" || s.Mount != "mounted" || s.Away {
			t.Errorf("unmount what is in use: %+v, %v", s, err)
		}
		expect(t, "afterwards", m.after(time.Hour), "mount", "umount")
		if s, err := k.Unmount(t.Context(), true); err != nil || s.Mount != "not-mounted" {
			t.Errorf("unmount with force: %+v, %v", s, err)
		}
		expect(t, "afterwards", m.after(time.Hour), "umount", "umount -f")
		m.set(func() { m.server = gone })
		if s, err := k.Mount(t.Context()); err == nil || !strings.Contains(err.Error(), "no server of uid 1000's answers") || s.Server != "gone" {
			t.Errorf("mount without a server: %+v, %v", s, err)
		}
		m.set(func() { m.server = own })
		expect(t, "with a server", m.after(10*time.Second), "mount")
		if s, err := k.Status(t.Context()); err != nil || s.Server != "own" || s.Mount != "mounted" {
			t.Errorf("status: %+v, %v", s, err)
		}
	})
}

// TestSleep: hours in which the keeper did not run do not count, and a server that comes back
// after them finds its mount.
func TestSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{busy: true}
		mounted(t, m)
		m.set(func() { m.server, m.pause = gone, 8*time.Hour })
		expect(t, "asleep, and awake for a while", m.after(8*time.Hour+grace/3))
		m.set(func() { m.server = own })
		expect(t, "with a server", m.after(time.Hour))
	})
}

func TestForeignMountIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{server: own, mounts: []mount.Entry{{Dir: "/nix", Type: "apfs", From: "/dev/disk3s7"}}}
		k := m.start(t)
		if _, err := k.Mount(t.Context()); err == nil || !strings.Contains(err.Error(), "something else is mounted on /nix") {
			t.Errorf("mount: %v", err)
		}
		if _, err := k.Unmount(t.Context(), true); err == nil || !strings.Contains(err.Error(), "left alone") {
			t.Errorf("unmount: %v", err)
		}
		expect(t, "for an hour", m.after(time.Hour))
	})
}

// TestStaleMount is one from before the server got another key.
func TestStaleMount(t *testing.T) {
	for _, busy := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			m := &machine{server: own, stale: true, busy: busy, mounts: []mount.Entry{entry(target())}}
			m.start(t)
			if busy {
				expect(t, "at once", m.after(grace/2), "umount")
				expect(t, "at the end of the grace time", m.after(grace/2), "umount -f", "mount")
				return
			}
			expect(t, "at once", m.after(time.Second), "umount", "mount")
		})
	}
}

func TestStackedMounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := entry(target())
		m := &machine{server: own, mounts: []mount.Entry{e, e, e}}
		m.start(t)
		expect(t, "of three", m.after(time.Hour), "umount", "umount")
	})
}

// TestMountFails: a failure is tried again ever more seldom, and told once.
func TestMountFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &machine{server: own, broken: errors.New("there is no mount.nfs")}
		k := m.start(t)
		if n := len(m.after(time.Hour)); n < 30 || n > 100 {
			t.Errorf("%d tries in an hour", n)
		}
		if want := []string{"mount: there is no mount.nfs"}; !slices.Equal(m.reports, want) {
			t.Errorf("reports %q, want %q", m.reports, want)
		}
		if _, err := k.Mount(t.Context()); err == nil || err.Error() != "/nix does not get mounted: there is no mount.nfs" {
			t.Errorf("an order: %v", err)
		}
		m.set(func() { m.broken = nil })
		expect(t, "when it can", m.after(2 * time.Minute)[1:], "mount")
	})
}

package mount

import (
	"net/netip"
	"strings"
	"testing"
)

func TestCommand(t *testing.T) {
	local := netip.MustParseAddrPort("127.0.0.1:12049")
	tt := []struct {
		name, goos string
		target     Target
		want       string
	}{
		{
			"Linux", "linux",
			Target{Server: local, Export: "/nix"},
			"mount -t nfs -o vers=3,proto=tcp,port=12049,mountproto=tcp,mountport=12049,nolock,noacl,hard,noresvport,sec=sys,retry=0,nosuid,nodev,rw 127.0.0.1:/nix /nix",
		},
		{
			"macOS", "darwin",
			Target{Server: local, Export: "/nix"},
			"/sbin/mount_nfs -o vers=3,proto=tcp,port=12049,mountport=12049,sec=sys,hard,intr,locallocks,noquota,noresvport,nomntudp,rdirplus,negnamecache,nonfc,mutejukebox,deadtimeout=0,nobg,retrycnt=0,rw,exec,owners,noasync,nosync,nosuid,nodev,nobrowse,noatime,nounion,noquarantine,rsize=1048576,wsize=1048576,dsize=65536,readahead=16,acregmin=60,acregmax=3600,acdirmin=1,acdirmax=60,acrootdirmin=1,acrootdirmax=5,accesscache=16 127.0.0.1:/nix /nix",
		},
		{
			"IPv6, read-only, a path that the shell would break", "linux",
			Target{Server: netip.MustParseAddrPort("[::1]:2049"), Export: "/my nix's", ReadOnly: true},
			`mount -t nfs -o vers=3,proto=tcp6,port=2049,mountproto=tcp6,mountport=2049,nolock,noacl,hard,noresvport,sec=sys,retry=0,nosuid,nodev,ro '[::1]:/my nix'\''s' '/my nix'\''s'`,
		},
		{
			"a mount point of its own", "linux",
			Target{Server: local, Export: "/nix", Point: "/mnt"},
			"mount -t nfs -o vers=3,proto=tcp,port=12049,mountproto=tcp,mountport=12049,nolock,noacl,hard,noresvport,sec=sys,retry=0,nosuid,nodev,rw 127.0.0.1:/nix /mnt",
		},
		{"a system without a command", "plan9", Target{Server: local, Export: "/nix"}, ""},
	}
	for _, tc := range tt {
		if got := Command(tc.goos, tc.target); got != tc.want {
			t.Errorf("%s:\n got %s\nwant %s", tc.name, got, tc.want)
		}
	}
}

func TestUnmountArgs(t *testing.T) {
	tt := []struct {
		goos  string
		force bool
		want  string
	}{
		{"linux", false, "/bin/umount --no-canonicalize --internal-only /nix"},
		{"linux", true, "/bin/umount --no-canonicalize --internal-only -f -l /nix"},
		{"darwin", false, "/sbin/umount /nix"},
		{"darwin", true, "/sbin/umount -f /nix"},
		{"plan9", true, ""},
	}
	for _, tc := range tt {
		if got := strings.Join(UnmountArgs(tc.goos, "/nix", tc.force), " "); got != tc.want {
			t.Errorf("%s, force %v: got %q, want %q", tc.goos, tc.force, got, tc.want)
		}
	}
}

// TestOptions holds what mount_nfs(8) and nfs(5) say of the option string
// as a whole: an option twice or a blank is silently something else.
func TestOptions(t *testing.T) {
	target := Target{Server: netip.MustParseAddrPort("127.0.0.1:1"), Export: "/nix"}
	for goos, options := range map[string][]option{"linux": linuxOptions(target), "darwin": darwinOptions(target)} {
		seen := map[string]bool{}
		for _, o := range options {
			name, _, _ := strings.Cut(o.text, "=")
			if seen[name] || strings.ContainsAny(o.text, " ,") || o.why == "" {
				t.Errorf("%s: option %q: twice, with a blank or without a reason", goos, o.text)
			}
			seen[name] = true
		}
	}
}

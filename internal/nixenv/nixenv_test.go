package nixenv

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func userOf(home string, env map[string]string) User {
	return User{
		Home: home, MountPoint: "/nix",
		Getenv: func(name string) string { return env[name] },
		Usable: func() bool { return false },
	}
}

func TestVars(t *testing.T) {
	const (
		profiles = "NIX_PROFILES=/nix/var/nix/profiles/default HOME/.nix-profile"
		data     = "XDG_DATA_DIRS=/usr/local/share:/usr/share:HOME/.nix-profile/share:/nix/var/nix/profiles/default/share"
	)
	tt := []struct {
		name string
		env  map[string]string
		want []string
	}{
		{"nothing", nil, []string{profiles, "PATH=HOME/.nix-profile/bin:/usr/local/bin:/usr/bin:/bin", data}},
		{
			"as ever",
			map[string]string{"PATH": "/usr/bin:/bin", "MANPATH": "/usr/share/man", "XDG_DATA_DIRS": "/d"},
			[]string{
				profiles, "PATH=HOME/.nix-profile/bin:/usr/bin:/bin",
				"XDG_DATA_DIRS=/d:HOME/.nix-profile/share:/nix/var/nix/profiles/default/share", "MANPATH=HOME/.nix-profile/share/man:/usr/share/man",
			},
		},
		{"behind what nix-shell has put in front", map[string]string{"PATH": "/nix/store/x/bin:HOME/.nix-profile/bin:/usr/bin"}, []string{profiles, "PATH=/nix/store/x/bin:HOME/.nix-profile/bin:/usr/bin", data}},
		{"put to the end by path_helper", map[string]string{"PATH": "/usr/bin:/bin:HOME/.nix-profile/bin"}, []string{profiles, "PATH=HOME/.nix-profile/bin:/usr/bin:/bin", data}},
		{"without the system's directories", map[string]string{"PATH": "/x:HOME/.nix-profile/bin"}, []string{profiles, "PATH=/x:HOME/.nix-profile/bin", data}},
	}
	for _, tc := range tt {
		home := t.TempDir()
		env := map[string]string{"NIX_SSL_CERT_FILE": "/mine"} // a choice that stays
		for name, value := range tc.env {
			env[name] = strings.ReplaceAll(value, "HOME", home)
		}
		var got []string
		for _, v := range userOf(home, env).Vars() {
			got = append(got, strings.ReplaceAll(v.Name+"="+v.Value, home, "HOME"))
			env[v.Name] = v.Value
		}
		if diff := cmp.Diff(append(tc.want, "NIX_SSL_CERT_FILE=/mine"), got); diff != "" {
			t.Errorf("%s:\n%s", tc.name, diff)
		}
		for _, v := range userOf(home, env).Vars() {
			if env[v.Name] != v.Value {
				t.Errorf("%s: a second time: %s=%s, was %s", tc.name, v.Name, v.Value, env[v.Name])
			}
		}
	}
}

// TestProfileElsewhere has Nix's profile where XDG wants it: a link into a mount that is not
// touched, and here cannot be.
func TestProfileElsewhere(t *testing.T) {
	home := t.TempDir()
	u := userOf(home, nil)
	if got, want := u.profile(), home+"/.nix-profile"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	link := filepath.Join(home, ".local/state/nix/profile")
	if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/nix/store/x-user-environment", link); err != nil {
		t.Fatal(err)
	}
	if got := u.profile(); got != link {
		t.Errorf("got %s, want %s", got, link)
	}
}

// TestCertificatesOfAProfile are looked for only where the mount can be touched.
func TestCertificatesOfAProfile(t *testing.T) {
	u := userOf(t.TempDir(), nil)
	if file := u.certificates("/nowhere"); file != "" && !u.there(file) {
		t.Errorf("%s is not there", file)
	}
	asked := false
	u.Usable = func() bool { asked = true; return true }
	if file := u.certificates("/nowhere"); asked != (file == "") {
		t.Errorf("got %q, and the mount was asked after: %t", file, asked)
	}
}

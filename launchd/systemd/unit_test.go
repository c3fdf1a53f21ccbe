package systemd

import (
	"flag"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/testenv"
)

var update = flag.Bool("update", false, "write the golden files")

func TestUnits(t *testing.T) {
	tt := []struct {
		name string
		got  []byte
	}{
		{ServerUnit, Server([]string{"/home/you/bin/nixnfsd", "serve", "--lower", "/srv/100% of $HOME's \"nix\""})},
		{KeeperUnit, Keeper([]string{"/opt/nixnfsd/bin/nixnfsd", "keep", "--owner", "1000"}, "nixnfsd-1000")},
	}
	for _, tc := range tt {
		if err := checkUnit(tc.got); err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
		testenv.Golden(t, filepath.Join("testdata", tc.name), string(tc.got), *update)
	}
}

func TestWord(t *testing.T) {
	tt := []struct{ arg, want string }{
		{"/nix", "/nix"},
		{"größe", "größe"},
		{"127.0.0.1:12049", "127.0.0.1:12049"},
		{"", `""`},
		{"a b", `"a b"`},
		{"100%", "100%%"},
		{`a"b\c`, `"a\"b\\c"`},
		{"a\nb", `"a\x0ab"`},
		{"it's", `"it's"`},
		{"a;b", `"a;b"`},
	}
	for _, tc := range tt {
		if got := word(tc.arg); got != tc.want {
			t.Errorf("%q: got %s, want %s", tc.arg, got, tc.want)
		}
	}
}

// TestStrict has the parser reject what systemd would pass over.
func TestStrict(t *testing.T) {
	good := string(Keeper([]string{"/x", "keep"}, "nixnfsd-1000"))
	tt := []struct{ old, with string }{
		{"[Service]", "[Services]"},
		{"[Service]", "[Service"},
		{"RestartSec=", "RestartSecs="},
		{"NoNewPrivileges=yes", "PrivateTmp=yes"}, // a mount namespace
		{"Restart=always", "Restart"},
		{"Restart=always", "Restart="},
		{"Restart=always", `Restart=always \`},
		{"Restart=always", "Type=exec"},
		{"ExecStart=", "#"},
		{"[Install]", "#"},
	}
	for _, tc := range tt {
		if err := checkUnit([]byte(strings.Replace(good, tc.old, tc.with, 1))); err == nil {
			t.Errorf("%q for %q was taken", tc.with, tc.old)
		}
	}
}

func TestCommands(t *testing.T) {
	tt := []struct {
		args []string
		want string
	}{
		{System().Reload(), "daemon-reload"},
		{System().Enable(KeeperUnit), "enable --now nixnfsd-keep.service"},
		{User().Disable(ServerUnit), "--user disable --now nixnfsd.service"},
		{User().Start(ServerUnit), "--user start nixnfsd.service"},
		{User().Stop(ServerUnit), "--user stop nixnfsd.service"},
		{User().Restart(ServerUnit), "--user restart nixnfsd.service"},
	}
	for _, tc := range tt {
		if got := strings.Join(tc.args, " "); got != "/usr/bin/systemctl "+tc.want {
			t.Errorf("got %s, want /usr/bin/systemctl %s", got, tc.want)
		}
	}
}

func TestParseUnitPath(t *testing.T) {
	for text, want := range map[string][]string{"": nil, "UnitPath=\n": nil, "UnitPath=/a/systemd/user /etc/systemd/user\n": {"/a/systemd/user", "/etc/systemd/user"}} {
		if got := ParseUnitPath(text); !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestParseShow(t *testing.T) {
	const running = "MainPID=4711\nNRestarts=2\nExecMainStatus=0\nLoadState=loaded\nSubState=running\nFragmentPath=/etc/systemd/system/nixnfsd-keep.service\nUnitFileState=enabled\nNeedDaemonReload=no\n"
	tt := []struct {
		name, text string
		want       State
		wrong      bool
	}{
		{name: "running", text: running, want: State{Loaded: true, Running: true, Enabled: true, PID: 4711, Runs: 2, Path: "/etc/systemd/system/nixnfsd-keep.service"}},
		{name: "failed", text: "MainPID=0\nExecMainStatus=203\nLoadState=loaded\nSubState=failed\nUnitFileState=disabled\nNeedDaemonReload=yes\n", want: State{Loaded: true, LastExit: 203, Reason: "failed", Stale: true}},
		{name: "not there", text: "MainPID=0\nLoadState=not-found\nSubState=dead\nUnitFileState=\n", want: State{Reason: "dead"}},
		{name: "no systemd", text: "System has not been booted with systemd as init system (PID 1). Can't operate.\n", wrong: true},
	}
	for _, tc := range tt {
		got, err := ParseShow(tc.text)
		if got != tc.want || (err != nil) != tc.wrong {
			t.Errorf("%s: got %+v, %v; want %+v", tc.name, got, err, tc.want)
		}
	}
}

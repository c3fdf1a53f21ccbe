package launchd

import (
	"flag"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"howett.net/plist"

	"github.com/nixnfsd/nixnfsd/internal/testenv"
)

var update = flag.Bool("update", false, "write the golden files")

func TestPlists(t *testing.T) {
	tt := []struct {
		name string
		job  Job
	}{
		{"server", Server([]string{"/Users/you/bin/nixnfsd", "serve", "--lower", "/Users/Shared/nix & <more>"}, "/Users/you/Library/Logs/nixnfsd.log")},
		{"keeper", Keeper([]string{"/Library/PrivilegedHelperTools/nixnfsd", "keep", "--owner", "501", "--listen", "127.0.0.1:12049"}, "/var/log/nixnfsd-keep.log")},
	}
	for _, tc := range tt {
		got, err := tc.job.Plist()
		if err != nil {
			t.Fatal(err)
		}
		if err := checkJob(got); err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
		var back Job
		if _, err := plist.Unmarshal(got, &back); err != nil || !cmp.Equal(tc.job, back) {
			t.Errorf("%s: read back: %v\n%s", tc.name, err, cmp.Diff(tc.job, back))
		}
		testenv.Golden(t, filepath.Join("testdata", tc.name+".plist"), string(got), *update)
	}
}

// TestStrict has the parser reject what launchd would pass over in silence.
func TestStrict(t *testing.T) {
	good, err := Keeper([]string{"/x", "keep"}, "/var/log/x").Plist()
	if err != nil {
		t.Fatal(err)
	}
	tt := []struct{ old, with, want string }{
		{"<key>KeepAlive</key>", "<key>Keepalive</key>", "Keepalive is not in"},
		{"<key>ExitTimeOut</key>", "<key>ExitTimeout</key>", "ExitTimeout is not in"},
		{"<integer>20</integer>", "<integer>0</integer>", "no positive number"},
		{"<string>Interactive</string>", "<string>interactive</string>", "none of"},
		{"<string>/x</string>", "<string>x</string>", "no absolute path"},
		{"<string>/var/log/x</string>", "<string>~/x</string>", "no absolute path"},
		{"<key>NumberOfFiles</key>", "<key>MaxFiles</key>", "none of"},
		{"<key>Label</key>", "<key>UserName</key>", "no Label"},
	}
	for _, tc := range tt {
		bad := strings.Replace(string(good), tc.old, tc.with, 1)
		if err := checkJob([]byte(bad)); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("with %q: got %v, want %q", tc.with, err, tc.want)
		}
	}
}

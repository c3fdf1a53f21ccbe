package mount

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const mountinfo = `22 28 0:21 / /proc rw,relatime shared:12 - proc proc rw
28 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,errors=remount-ro
40 28 0:33 / /with\040space\134 ro - tmpfs tmp\011fs rw,size=1k
77 28 0:50 / /nix rw,nosuid,nodev,relatime shared:9 master:1 - nfs 127.0.0.1:/nix rw,vers=3,rsize=1048576,hard,nolock,noacl,proto=tcp,port=12049,local_lock=all,addr=127.0.0.1
`

func TestParseMountinfo(t *testing.T) {
	got, err := parseMountinfo(mountinfo)
	want := []Entry{
		{Dir: "/proc", Type: "proc", From: "proc", Options: []string{"rw", "relatime"}},
		{Dir: "/", Type: "ext4", From: "/dev/vda", Options: []string{"rw", "relatime", "errors=remount-ro"}},
		{Dir: `/with space\`, Type: "tmpfs", From: "tmp\tfs", Options: []string{"ro", "rw", "size=1k"}},
		{Dir: "/nix", Type: "nfs", From: "127.0.0.1:/nix", Options: []string{
			"rw", "nosuid", "nodev", "relatime", "vers=3", "rsize=1048576", "hard", "nolock", "noacl",
			"proto=tcp", "port=12049", "local_lock=all", "addr=127.0.0.1",
		}},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("error %v, difference:\n%s", err, diff)
	}
}

func TestParseMountinfoRefuses(t *testing.T) {
	for _, text := range []string{"\n", "22 28 0:21 / /proc rw", "1 2 3 - proc proc rw", "22 28 0:21 / /proc rw - proc"} {
		if got, err := parseMountinfo(text); err == nil {
			t.Errorf("%q: got %v, want an error", text, got)
		}
	}
}

func TestUnescape(t *testing.T) {
	tt := []struct{ text, want string }{
		{`plain`, "plain"},
		{`a\040b\011\012\134`, "a b\t\n\\"},
		{`\303\244`, "ä"},
		{`\04`, `\04`},
		{`\08x`, `\08x`},
		{`\777`, `\777`},
		{`end\`, `end\`},
	}
	for _, tc := range tt {
		if got := unescape(tc.text); got != tc.want {
			t.Errorf("%q: got %q, want %q", tc.text, got, tc.want)
		}
	}
}

func TestServerOfEntry(t *testing.T) {
	tt := []struct {
		name   string
		entry  Entry
		server string
		export string
	}{
		{"Linux", Entry{From: "127.0.0.1:/nix", Options: []string{"vers=3", "port=12049", "addr=127.0.0.1"}}, "127.0.0.1:12049", "/nix"},
		{"Linux leaves port 2049 out", Entry{From: "10.0.0.2:/x", Options: []string{"vers=3", "addr=10.0.0.2"}}, "10.0.0.2:2049", "/x"},
		{"a name, and what it stands for", Entry{From: "files:/x", Options: []string{"vers=4.2", "addr=10.0.0.2"}}, "10.0.0.2:2049", "/x"},
		{"IPv6", Entry{From: "[::1]:/nix", Options: []string{"vers=3", "port=7", "addr=::1"}}, "[::1]:7", "/nix"},
		{"macOS without nfsstat", Entry{From: "127.0.0.1:/nix", Options: []string{"rw", "nosuid"}}, "127.0.0.1:0", "/nix"},
		{"macOS with nfsstat", Entry{From: "127.0.0.1:/nix", Options: []string{"rw", "vers=3", "port=12049"}}, "127.0.0.1:12049", "/nix"},
		{"a name alone", Entry{From: "localhost:/nix"}, "invalid AddrPort", "/nix"},
		{"a port out of range", Entry{From: "127.0.0.1:/nix", Options: []string{"vers=3", "port=70000"}}, "127.0.0.1:0", "/nix"},
		{"no NFS", Entry{From: "/dev/disk3s7"}, "invalid AddrPort", ""},
	}
	for _, tc := range tt {
		if got := tc.entry.Server().String(); got != tc.server {
			t.Errorf("%s: got server %s, want %s", tc.name, got, tc.server)
		}
		if got := tc.entry.Export(); got != tc.export {
			t.Errorf("%s: got export %q, want %q", tc.name, got, tc.export)
		}
	}
}

func TestFindGivesTheTopmost(t *testing.T) {
	table := []Entry{{Dir: "/nix", Type: "ext4"}, {Dir: "/nix", Type: "nfs"}, {Dir: "/nix/var", Type: "tmpfs"}}
	if got := Find(table, "/nix/"); got != &table[1] {
		t.Errorf("got %v, want the second", got)
	}
	if got := Find(table, "/ni"); got != nil {
		t.Errorf("got %v, want none", got)
	}
}

func TestTableOfThisSystem(t *testing.T) {
	table, err := Table()
	if err != nil {
		t.Fatal(err)
	}
	if Find(table, "/") == nil {
		t.Errorf("no root in %v", table)
	}
}

func pad(s string, n int) []byte { return append([]byte(s), make([]byte, n-len(s))...) }

func TestStatfsEntry(t *testing.T) {
	tt := []struct {
		fs   statfs
		want Entry
	}{
		{
			statfs{pad("/nix", 1024), pad("127.0.0.1:/nix", 1024), pad("nfs", 16), 0x10100018},
			Entry{Dir: "/nix", Type: "nfs", From: "127.0.0.1:/nix", Options: []string{"rw", "nosuid", "nodev", "nobrowse", "noatime"}},
		},
		{
			statfs{pad("/", 1024), pad("/dev/disk3s1s1", 1024), pad("apfs", 16), 0x1001},
			Entry{Dir: "/", Type: "apfs", From: "/dev/disk3s1s1", Options: []string{"ro", "local"}},
		},
		{
			statfs{[]byte("full"), []byte("no NUL"), []byte("sixteenletters!!"), 0},
			Entry{Dir: "full", Type: "sixteenletters!!", From: "no NUL", Options: []string{"rw"}},
		},
	}
	for _, tc := range tt {
		if diff := cmp.Diff(tc.want, tc.fs.entry()); diff != "" {
			t.Errorf("%s:\n%s", tc.want.Dir, diff)
		}
	}
}

const nfsstat = `/nix from 127.0.0.1:/nix
  -- Original mount options:
     General mount flags: 0x100018
     NFS parameters: vers=3,tcp,port=1
     File system locations:
       /nix @ 127.0.0.1 (127.0.0.1)
  -- Current mount parameters:
     General mount flags: 0x4100018 multilabel
     NFS parameters: vers=3,tcp,port=12049,nomntudp,hard,intr,noresvport,negnamecache,locallocks,rsize=1048576
     File system locations:
       /nix @ 127.0.0.1 (127.0.0.1)
     Status flags: 0x0
`

func TestParseNfsstat(t *testing.T) {
	want := []string{"vers=3", "tcp", "port=12049", "nomntudp", "hard", "intr", "noresvport", "negnamecache", "locallocks", "rsize=1048576"}
	if diff := cmp.Diff(want, parseNfsstat(nfsstat)); diff != "" {
		t.Error(diff)
	}
	for _, text := range []string{"", "NFS parameters:", "nfsstat: /nix: not an NFS mount"} {
		if got := parseNfsstat(text); got != nil {
			t.Errorf("%q: got %v, want none", text, got)
		}
	}
}

func TestIsOurs(t *testing.T) {
	ours := Target{Server: netip.MustParseAddrPort("127.0.0.1:12049"), Export: "/nix"}
	tt := []struct {
		name  string
		entry Entry
		want  bool
	}{
		{"ours", Entry{Type: "nfs", From: "127.0.0.1:/nix", Options: []string{"vers=3", "port=12049"}}, true},
		{"port not known", Entry{Type: "nfs", From: "127.0.0.1:/nix"}, true},
		{"other port", Entry{Type: "nfs", From: "127.0.0.1:/nix", Options: []string{"vers=3", "port=12050"}}, false},
		{"other path", Entry{Type: "nfs", From: "127.0.0.1:/", Options: []string{"vers=3", "port=12049"}}, false},
		{"other host", Entry{Type: "nfs", From: "10.0.0.1:/nix", Options: []string{"vers=3", "port=12049"}}, false},
		{"version 4", Entry{Type: "nfs4", From: "127.0.0.1:/nix", Options: []string{"vers=4.2", "port=12049"}}, false},
		{"no NFS", Entry{Type: "ext4", From: "/dev/vdb"}, false},
	}
	for _, tc := range tt {
		if got := ours.Is(&tc.entry); got != tc.want {
			t.Errorf("%s: got %v, want %v", tc.name, got, tc.want)
		}
	}
}

package mount

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// mountNFS are the options of mount_nfs(8) and mount(8) of macOS that a mount of
// ours can have a use for: those that are a word alone, and the least and greatest
// value of the others. mount_nfs only warns about what it does not know, and goes
// on with its default.
var mountNFS = struct {
	words   []string
	numbers map[string][2]int
	texts   map[string][]string
}{
	words: []string{
		"hard", "soft", "intr", "nointr", "locallocks", "nolocks", "quota", "noquota", "resvport", "noresvport", "mntudp", "nomntudp",
		"rdirplus", "nordirplus", "negnamecache", "nonegnamecache", "nfc", "nonfc", "mutejukebox", "nomutejukebox", "bg", "nobg", "noac",
		"dumbtimer", "nodumbtimer", "async", "noasync", "sync", "nosync", "ro", "rw", "exec", "noexec", "owners", "noowners", "suid", "nosuid",
		"dev", "nodev", "browse", "nobrowse", "atime", "noatime", "union", "nounion", "quarantine", "noquarantine",
	},
	numbers: map[string][2]int{
		"port": {1, 65535}, "mountport": {1, 65535}, "retrycnt": {0, 1 << 20}, "deadtimeout": {0, 1 << 20},
		"rsize": {512, 1 << 20}, "wsize": {512, 1 << 20}, "dsize": {512, 1 << 20}, "readahead": {0, 128}, "accesscache": {1, 64},
		"acregmin": {0, 1 << 20}, "acregmax": {0, 1 << 20}, "acdirmin": {0, 1 << 20}, "acdirmax": {0, 1 << 20},
		"acrootdirmin": {0, 1 << 20}, "acrootdirmax": {0, 1 << 20},
	},
	texts: map[string][]string{
		"vers": {"3"}, "proto": {"tcp", "tcp4", "tcp6"}, "sec": {"sys"},
	},
}

// checkMountNFS rejects an option string that macOS would take otherwise than it
// is meant.
func checkMountNFS(options string) error {
	var seen []string
	for o := range strings.SplitSeq(options, ",") {
		name, value, valued := strings.Cut(o, "=")
		bounds, number := mountNFS.numbers[name]
		values, text := mountNFS.texts[name]
		n, err := strconv.Atoi(value)
		switch {
		case slices.Contains(mountNFS.words, name) && !valued:
		case number && err == nil && n >= bounds[0] && n <= bounds[1]:
		case text && slices.Contains(values, value):
		default:
			return fmt.Errorf("%q is none of mount_nfs(8)'s", o)
		}
		if other := opposite(name); slices.Contains(seen, other) || slices.Contains(seen, name) {
			return fmt.Errorf("%s and %s", other, name)
		}
		seen = append(seen, name)
	}
	return nil
}

// opposite is the option that undoes another.
func opposite(name string) string {
	switch name {
	case "hard":
		return "soft"
	case "soft":
		return "hard"
	case "ro":
		return "rw"
	case "rw":
		return "ro"
	}
	if rest, ok := strings.CutPrefix(name, "no"); ok {
		return rest
	}
	return "no" + name
}

func TestMountNFSKnowsOurOptions(t *testing.T) {
	for _, target := range []Target{
		{Server: netip.MustParseAddrPort("127.0.0.1:12049"), Export: "/nix"},
		{Server: netip.MustParseAddrPort("[::1]:1"), Export: "/nix", ReadOnly: true},
	} {
		args := Args("darwin", target)
		if err := checkMountNFS(args[slices.Index(args, "-o")+1]); err != nil {
			t.Error(err)
		}
	}
}

func TestMountNFSIsStrict(t *testing.T) {
	for _, options := range []string{
		"", "vers=3,", "NOBROWSE", "mountvers=3", "rsize=2097152", "rsize=1M", "rsize=", "rsize", "hard,soft", "intr,nointr",
		"rw,ro", "port=0", "port=65536", "nolocks,locks", "hard, intr", "proto=udp", "vers=4", "intr=1", "readahead=129",
	} {
		if err := checkMountNFS(options); err == nil {
			t.Errorf("%q was taken", options)
		}
	}
}

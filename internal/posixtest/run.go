package posixtest

import (
	"maps"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// Facts says what the file system under test does not have, or is spared.
type Facts struct {
	NoSymlinkLinks bool // link(2) of a symlink makes no second name for it
	NoSharedMmap   bool // a shared mapping cannot be written
	NoXattr        bool // extended attributes cannot be had
	Entries        int  // in the largest listing; 0 means 20,000
	// Exceptions are cases that are not expected to pass, as "group/case",
	// with the reason. They are skipped, and have to name a case.
	Exceptions map[string]string
}

func (f Facts) entries() int {
	if f.Entries == 0 {
		return 20_000
	}
	return f.Entries
}

// A testCase is one expectation, to be met in an empty directory.
type testCase struct {
	name string
	run  func(*place)
	// who tells for whom the case is true: root is refused nothing and may
	// give files away, others are and may not.
	who who
}

type who int

const (
	everyone who = iota
	onlyRoot
	onlyUser
)

// allows reports whether the case can run for the caller.
func (w who) allows(uid int) bool {
	return w == everyone || (w == onlyRoot) == (uid == 0)
}

// A group is cases that belong together.
type group struct {
	name  string
	cases []testCase
}

func groups(f Facts) []group {
	return []group{
		{"open", openCases()},
		{"write", writeCases()},
		{"truncate", truncateCases()},
		{"fsx", fsxCases()},
		{"rename", append(renameCases(), renameDirCases()...)},
		{"link", linkCases(f)},
		{"symlink", symlinkCases()},
		{"mode", modeCases()},
		{"owner", ownerCases()},
		{"permission", permissionCases()},
		{"times", append(timesCases(), omitCases()...)},
		{"changes", changeCases()},
		{"unlink", unlinkCases()},
		{"directory", directoryCases()},
		{"name", nameCases()},
		{"readdir", readdirCases(f)},
		{"at", atCases()},
		{"errno", errnoCases()},
		{"mmap", mmapCases(f)},
		{"process", processCases()},
		{"lock", lockCases()},
		{"special", specialCases()},
		{"statfs", statfsCases()},
		{"xattr", xattrCases(f)},
		{"concurrent", concurrentCases()},
	}
}

// Run puts every case to the file system that dir lies on, each in a new
// directory below dir. The umask is 022 while it runs: no other test may
// depend on it at the same time.
func Run(t *testing.T, dir string, facts Facts) {
	defer unix.Umask(unix.Umask(0o022))
	unused := maps.Clone(facts.Exceptions)
	for _, g := range groups(facts) {
		t.Run(g.name, func(t *testing.T) {
			for _, c := range g.cases {
				delete(unused, g.name+"/"+c.name)
				if c.who.allows(os.Geteuid()) {
					t.Run(c.name, func(t *testing.T) { runCase(t, dir, g, c, facts) })
				}
			}
		})
	}
	for name := range unused {
		t.Errorf("there is no case %s to make an exception of", name)
	}
}

func runCase(t *testing.T, dir string, g group, c testCase, facts Facts) {
	if reason, ok := facts.Exceptions[g.name+"/"+c.name]; ok {
		t.Skip("exception: " + reason)
	}
	c.run(newPlace(t, filepath.Join(dir, g.name+"."+c.name), facts))
}

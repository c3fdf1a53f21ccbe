package guest

import (
	"os"
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/posixtest"
)

func TestMain(m *testing.M) {
	posixtest.Child()
	os.Exit(m.Run())
}

// guestEntries keeps the largest listing short: a call takes longer in the guest.
const guestEntries = 2000

// hiddenName is why some cases cannot pass on the mount. A server that did not count the
// hidden name would have the client take a file with other names for one without any:
// when it lets go of the file it counts the name off itself, and it does not open again what
// has no name.
const hiddenName = "the client keeps a file that is unlinked while open under a hidden name (.nfs...), and wants it counted as a link"

// mountFacts are what the Linux client makes of NFSv3.
func mountFacts() posixtest.Facts {
	return posixtest.Facts{
		NoXattr: true, // RFC 1813 has none
		Entries: guestEntries,
		Exceptions: map[string]string{
			"link/count-without-the-name-of-an-open-file": hiddenName,
		},
	}
}

// hfsPlusFacts are what HFS+ under Linux makes of a mount besides.
func hfsPlusFacts() posixtest.Facts {
	facts := mountFacts()
	facts.NoSymlinkLinks = true
	const noHoles = "HFS+ has no holes: it would write gigabytes of zeros"
	for _, name := range []string{"write/at-4-gib", "write/at-5-gib", "write/at-100-gib", "truncate/sparse"} {
		facts.Exceptions[name] = noHoles
	}
	const wholeSeconds = "HFS+ keeps whole seconds"
	for _, name := range []string{
		"times/set", "times/future", "times/symlink", "times/omit-mtime", "times/omit-atime", "times/omit-both",
		"times/omit-on-symlink", "times/open-file-with-nanoseconds",
	} {
		facts.Exceptions[name] = wholeSeconds
	}
	const onlyFiles = "HFS+ under Linux has hard links to regular files only"
	for _, name := range []string{"link/fifo", "special/fifo-link-rename-unlink"} {
		facts.Exceptions[name] = onlyFiles
	}
	return facts
}

// onMount reports whether Dir is on the mount.
func onMount() bool { return os.Getenv(EnvDir) != "" }

// TestPosix runs our own suite.
func TestPosix(t *testing.T) {
	facts := posixtest.Facts{}
	if onMount() {
		facts = mountFacts()
	}
	if onHFSPlus() {
		facts = hfsPlusFacts()
	}
	posixtest.Run(t, Dir(t), facts)
}

// TestPosixPlain runs our own suite beside the export: the oracle, with the
// guest's kernel.
func TestPosixPlain(t *testing.T) {
	posixtest.Run(t, Plain(t), posixtest.Facts{Entries: guestEntries})
}

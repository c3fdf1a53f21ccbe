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

// hiddenName is why some cases cannot pass on the mount. With Linux's own
// NFSv3 server behind it the same cases fail, and no others.
const hiddenName = "NFSv3 has no open state: the client keeps a file that is unlinked while open under a hidden name (.nfs...)"

// mountFacts are what the Linux client makes of NFSv3.
func mountFacts() posixtest.Facts {
	return posixtest.Facts{
		NoXattr: true, // RFC 1813 has none
		Entries: guestEntries,
		Exceptions: map[string]string{
			"rename/over-open-file":                       hiddenName + ", which is listed",
			"unlink/while-open-is-out-of-sight":           hiddenName + ", which is listed",
			"unlink/while-open-then-rmdir":                hiddenName + ", so that its directory is not empty",
			"link/count-without-the-name-of-an-open-file": hiddenName + ", which counts as a link",
		},
	}
}

// onMount reports whether Dir is on the mount.
func onMount() bool { return os.Getenv(EnvDir) != "" }

// TestPosix runs our own suite.
func TestPosix(t *testing.T) {
	facts := posixtest.Facts{}
	if onMount() {
		facts = mountFacts()
	}
	posixtest.Run(t, Dir(t), facts)
}

// TestPosixPlain runs our own suite beside the export: the oracle, with the
// guest's kernel.
func TestPosixPlain(t *testing.T) {
	posixtest.Run(t, Plain(t), posixtest.Facts{Entries: guestEntries})
}

package posixtest_test

import (
	"os"
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/posixtest"
)

func TestMain(m *testing.M) {
	posixtest.Child()
	os.Exit(m.Run())
}

// TestPlain puts the suite to a local file system, which is the oracle: a case
// that fails here expects too much.
func TestPlain(t *testing.T) {
	posixtest.Run(t, t.TempDir(), posixtest.Facts{})
}

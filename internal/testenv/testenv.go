// Package testenv has what tests need of the machine that they run on: what it can do, waits that
// depend on how fast it is, and what is done to its network and its processes; and golden files.
package testenv

import (
	"os"
	"testing"
)

// Require goes on when ok holds. Else it skips the test with the reason, or
// fails it when NIXNFSD_REQUIRE=1 says that every test has to run.
func Require(t testing.TB, ok bool, reason string) {
	t.Helper()
	if ok {
		return
	}
	if os.Getenv("NIXNFSD_REQUIRE") == "1" {
		t.Fatalf("NIXNFSD_REQUIRE=1, and this test cannot run: %s", reason)
	}
	t.Skip(reason)
}

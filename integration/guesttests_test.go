package integration

import (
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/testevent"
)

// ranTest is a test that ran in the guest.
type ranTest struct {
	name    string
	action  string // pass, fail or skip; empty: it never ended
	seconds float64
	output  strings.Builder
}

// guestTests are the tests that ran in the guest, in the order of their starts.
type guestTests struct {
	tests  []*ranTest
	byName map[string]*ranTest
	rest   strings.Builder // what was printed outside of any test
}

// readTests reads the output of a test binary to its end. It logs the end of each
// test as it comes: a guest may run for minutes.
func readTests(t *testing.T, output io.Reader) *guestTests {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "tool", "test2json", "-t")
	cmd.Stdin = output
	events, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	seen := &guestTests{byName: map[string]*ranTest{}}
	readErr := testevent.Read(events, func(e testevent.Event) {
		seen.add(e)
		if e.Ended() && e.Test != "" && !strings.Contains(e.Test, "/") {
			t.Logf("in the guest: %s %s after %.1f s", e.Action, e.Test, e.Elapsed)
		}
	})
	if err := errors.Join(readErr, cmd.Wait()); err != nil {
		t.Fatalf("go tool test2json: %v", err)
	}
	return seen
}

func (g *guestTests) add(e testevent.Event) {
	if e.Test == "" {
		g.rest.WriteString(e.Output)
		return
	}
	test := g.byName[e.Test]
	if test == nil {
		test = &ranTest{name: e.Test}
		g.byName[e.Test] = test
		g.tests = append(g.tests, test)
	}
	test.add(e)
}

func (r *ranTest) add(e testevent.Event) {
	switch {
	case e.Action == "output" && !strings.HasPrefix(e.Output, "=== "):
		r.output.WriteString(e.Output)
	case e.Ended():
		r.action, r.seconds = e.Action, e.Elapsed
	}
}

// show repeats the test's end as a test on the host.
func (r *ranTest) show(t *testing.T) {
	t.Logf("%.1f s in the guest\n%s", r.seconds, r.output.String())
	switch r.action {
	case "pass":
	case "skip":
		t.SkipNow()
	case "fail":
		t.Fail()
	default:
		t.Error("did not end")
	}
}

// TestReadTests feeds what a test binary prints.
func TestReadTests(t *testing.T) {
	const output = "\x16=== RUN   TestA\n    a_test.go:1: line\n\x16=== RUN   TestA/sub\n" +
		"\x16--- FAIL: TestA (1.50s)\n    \x16--- SKIP: TestA/sub (0.00s)\n        a_test.go:2: reason\n\x16=== RUN   TestB\npanic: why\n"
	want := []struct {
		name, action, output string
	}{
		{"TestA", "fail", "line"},
		{"TestA/sub", "skip", "reason"},
		{"TestB", "", "panic: why"},
	}
	got := readTests(t, strings.NewReader(output)).tests
	if len(got) != len(want) {
		t.Fatalf("%d tests, want %d", len(got), len(want))
	}
	for i, w := range want {
		if g := got[i]; g.name != w.name || g.action != w.action || !strings.Contains(g.output.String(), w.output) {
			t.Errorf("%s %q with %q, want %+v", g.name, g.action, g.output.String(), w)
		}
	}
}

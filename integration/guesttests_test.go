package integration

import (
	"bytes"
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

// parseTests reads the output of a test binary, in the order of the tests' starts.
func parseTests(t *testing.T, output []byte) []*ranTest {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "tool", "test2json")
	cmd.Stdin = bytes.NewReader(output)
	events, err := cmd.Output()
	if err != nil {
		t.Fatalf("go tool test2json: %v", err)
	}
	var tests []*ranTest
	byName := map[string]*ranTest{}
	err = testevent.Read(bytes.NewReader(events), func(e testevent.Event) {
		if e.Test == "" {
			return
		}
		test := byName[e.Test]
		if test == nil {
			test = &ranTest{name: e.Test}
			byName[e.Test] = test
			tests = append(tests, test)
		}
		test.add(e)
	})
	if err != nil {
		t.Fatal(err)
	}
	return tests
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
	t.Logf("%.2f s in the guest\n%s", r.seconds, r.output.String())
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

// TestParseTests feeds what a test binary prints.
func TestParseTests(t *testing.T) {
	const output = "\x16=== RUN   TestA\n    a_test.go:1: line\n\x16=== RUN   TestA/sub\n" +
		"\x16--- FAIL: TestA (1.50s)\n    \x16--- SKIP: TestA/sub (0.00s)\n        a_test.go:2: reason\n\x16=== RUN   TestB\npanic: why\n"
	want := []struct {
		name, action, output string
	}{
		{"TestA", "fail", "line"},
		{"TestA/sub", "skip", "reason"},
		{"TestB", "", "panic: why"},
	}
	got := parseTests(t, []byte(output))
	if len(got) != len(want) {
		t.Fatalf("%d tests, want %d", len(got), len(want))
	}
	for i, w := range want {
		if g := got[i]; g.name != w.name || g.action != w.action || !strings.Contains(g.output.String(), w.output) {
			t.Errorf("%s %q with %q, want %+v", g.name, g.action, g.output.String(), w)
		}
	}
}

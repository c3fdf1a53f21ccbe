package launchd

import "testing"

// running is the shape of what "launchctl print" says of a job that runs.
const running = `gui/501/io.github.nixnfsd.serve = {
	active count = 1
	path = /Users/you/Library/LaunchAgents/io.github.nixnfsd.serve.plist
	type = LaunchAgent
	state = running

	program = /Users/you/bin/nixnfsd
	arguments = {
		/Users/you/bin/nixnfsd
		serve
		state = stopped
	}

	runs = 3
	pid = 4711
	last exit code = (never exited)
	event channels = {
		"x" = {
			state = waiting
			pid = 1
		}
	}
}
`

func TestParsePrint(t *testing.T) {
	tt := []struct {
		name, text string
		want       State
		wrong      bool
	}{
		{
			name: "running", text: running,
			want: State{Running: true, PID: 4711, Path: "/Users/you/Library/LaunchAgents/io.github.nixnfsd.serve.plist", Program: "/Users/you/bin/nixnfsd", Runs: 3, LastExit: -1},
		},
		{name: "ended", text: "system/x = {\n\tstate = not running\n\truns = 1\n\tlast exit code = 78: EX_CONFIG\n}\n", want: State{Reason: "not running", Runs: 1, LastExit: 78}},
		{name: "to be started", text: "system/x = {\n\tstate = spawn scheduled\n\tlast exit code = 1\n}\n", want: State{Reason: "spawn scheduled", LastExit: 1}},
		{name: "not loaded", text: "Could not find service \"x\" in domain for system\n", want: State{LastExit: -1}, wrong: true},
		{name: "nothing", want: State{LastExit: -1}, wrong: true},
		{name: "a state of something within", text: "x = {\n\t\tstate = running\n}\n", want: State{LastExit: -1}, wrong: true},
	}
	for _, tc := range tt {
		got, err := ParsePrint(tc.text)
		if got != tc.want || (err != nil) != tc.wrong {
			t.Errorf("%s: got %+v, %v; want %+v", tc.name, got, err, tc.want)
		}
	}
}

func TestParseDisabled(t *testing.T) {
	const text = "disabled services = {\n\t\"a\" => true\n\t\"b\" => disabled\n\t\"c\" => enabled\n\t\"d\" => false\n}\nlogin item associations = {\n}\n"
	for label, want := range map[string]bool{"a": true, "b": true, "c": false, "d": false, "e": false} {
		if got := ParseDisabled(text, label); got != want {
			t.Errorf("%s: got %v", label, got)
		}
	}
}

package systemd

import (
	"fmt"
	"strings"
	"unicode"
)

// Names of the units.
const (
	ServerUnit = "nixnfsd.service"
	KeeperUnit = "nixnfsd-keep.service"
)

// Where systemd finds unit files.
const (
	SystemDir = "/etc/systemd/system"
	UserDir   = "systemd/user" // beneath the user's configuration directory
)

// setting is one line of a unit and the reason for it.
type setting struct{ key, value, why string }

// section is a part of a unit file.
type section struct {
	name     string
	settings []setting
}

// Server is the unit that runs the server as its user, in the user's own manager.
func Server(args []string) []byte {
	return render([]section{
		{"Unit", []setting{
			{"Description", "nixnfsd, which serves a directory as /nix", ""},
			{"StartLimitIntervalSec", "0", "a mount hangs while there is no server: never give up"},
		}},
		{"Service", []setting{
			{"Type", "exec", "a program that is not there is an error of start"},
			{"ExecStart", command(args), ""},
			{"Restart", "always", "a mount hangs while there is no server"},
			{"RestartSec", "1", "one that fails at once costs a start a second"},
			{"TimeoutStopSec", "20", "the server takes 15 s at most to answer what is under way"},
			{"KillMode", "mixed", "SIGTERM is for the server; what it has started has nothing to save"},
		}},
		{"Install", []setting{{"WantedBy", "default.target", "started with the user's session"}}},
	})
}

// Keeper is the unit that runs the keeper as root, with a directory of that name beneath /run.
func Keeper(args []string, run string) []byte {
	return render([]section{
		{"Unit", []setting{
			{"Description", "nixnfsd's keeper, which mounts what the server serves", ""},
			{"StartLimitIntervalSec", "0", "without it nobody unmounts what hangs"},
		}},
		{"Service", []setting{
			{"Type", "exec", "a program that is not there is an error of start"},
			{"ExecStart", command(args), ""},
			{"Restart", "always", "without it nobody unmounts what hangs"},
			{"RestartSec", "1", "one that fails at once costs a start a second"},
			{"TimeoutStopSec", "45", "it may be mounting, which takes 30 s at most"},
			{"RuntimeDirectory", run, "what is in it goes with the keeper"},
			{"NoNewPrivileges", "yes", "it starts no program that needs to become somebody else"},
			{"LockPersonality", "yes", "it has no need of another one"},
			{"RestrictRealtime", "yes", "it has no need of it"},
			{"MemoryDenyWriteExecute", "yes", "it makes no code"},
		}},
		{"Install", []setting{{"WantedBy", "multi-user.target", "started when the machine is up"}}},
	})
}

// render writes a unit file, with a comment before what has a reason.
func render(sections []section) []byte {
	var b strings.Builder
	for i, s := range sections {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "[%s]\n", s.name)
		for _, l := range s.settings {
			if l.why != "" {
				fmt.Fprintf(&b, "# %s: %s\n", l.key, l.why)
			}
			fmt.Fprintf(&b, "%s=%s\n", l.key, l.value)
		}
	}
	return []byte(b.String())
}

// command is an argument vector as a line of ExecStart. The colon has systemd
// leave "$" as it is (systemd.service(5), COMMAND LINES).
func command(args []string) string {
	words := make([]string, len(args))
	for i, arg := range args {
		if i == 0 {
			arg = ":" + arg
		}
		words[i] = word(arg)
	}
	return strings.Join(words, " ")
}

// word quotes where something would be taken for more than a word's part.
func word(s string) string {
	s = strings.ReplaceAll(s, "%", "%%") // else a specifier
	if s != "" && !strings.ContainsFunc(s, special) {
		return s
	}
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c == 0x7f:
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			b.WriteByte(c)
		}
	}
	return `"` + b.String() + `"`
}

// special reports whether a rune needs quotes around its word.
func special(r rune) bool {
	return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-_./:=,@%+", r)
}

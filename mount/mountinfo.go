package mount

import (
	"fmt"
	"slices"
	"strings"
)

// parseMountinfo reads the text of /proc/self/mountinfo (proc_pid_mountinfo(5)):
//
//	36 35 0:40 / /nix rw,nosuid shared:1 - nfs 127.0.0.1:/nix rw,vers=3,port=12049
func parseMountinfo(text string) ([]Entry, error) {
	var table []Entry
	for line := range strings.Lines(text) {
		front, back, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " - ")
		// Not Fields: the kernel escapes blanks, tabs and newlines, and no other white space.
		mount, fs := strings.Split(front, " "), strings.Split(back, " ")
		if !ok || len(mount) < 6 || len(fs) < 2 {
			return nil, fmt.Errorf("line of mountinfo is not understood: %q", line)
		}
		e := Entry{
			Dir:     unescape(mount[4]),
			Type:    fs[0],
			From:    unescape(fs[1]),
			Options: strings.Split(mount[5], ","),
		}
		if len(fs) > 2 {
			e.Options = union(e.Options, strings.Split(unescape(fs[2]), ","))
		}
		table = append(table, e)
	}
	return table, nil
}

// union appends to a what of b is not there yet.
func union(a, b []string) []string {
	for _, s := range b {
		if !slices.Contains(a, s) {
			a = append(a, s)
		}
	}
	return a
}

// unescape undoes the kernel's \ooo for space, tab, newline and backslash.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if c, ok := octal(s[i:]); ok {
			b.WriteByte(c)
			i += 3
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func octal(s string) (c byte, ok bool) {
	if len(s) < 4 || s[0] != '\\' || s[1] > '3' {
		return 0, false
	}
	for _, d := range []byte(s[1:4]) {
		if d < '0' || d > '7' {
			return 0, false
		}
		c = c<<3 | (d - '0')
	}
	return c, true
}

// Package shell shows command lines as a POSIX shell takes them.
package shell

import "strings"

// Quote makes s one word of a POSIX shell, and of zsh, which has "=ls" mean a program's path.
func Quote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:=,@%+", r)
	}
	if s != "" && s[0] != '=' && strings.TrimFunc(s, plain) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

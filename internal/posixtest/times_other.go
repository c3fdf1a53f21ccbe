//go:build !linux

package posixtest

// omitCases need utimensat(2) with its special values, which x/sys/unix does
// not have on macOS.
func omitCases() []testCase { return nil }

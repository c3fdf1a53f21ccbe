//go:build !darwin

package synthetic

import "io/fs"

// immutable is not known: only macOS has such files.
func immutable(fs.FileInfo) string { return "" }

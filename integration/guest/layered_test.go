//go:build linux

package guest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// EnvLowers names the directories that the server has as its lower layers, the
// uppermost first, with a colon between them. The server has not been started when
// it is set: a test fills the layers first.
const EnvLowers = "NIXNFSD_LOWERS"

// lowerDirs are the server's lower layers. It skips the test without any.
func lowerDirs(t testing.TB) []string {
	t.Helper()
	return strings.Split(fromEnv(t, EnvLowers), ":")
}

// layers are the places of a directory of a test's own, in each layer and merged.
type layers struct {
	upper  string
	lowers []string // the uppermost first
	merged string
}

// layered has fill put into a directory of the lower layers what the test needs
// there, and serves and mounts them until the test ends.
func layered(t *testing.T, fill func(lowers []string)) layers {
	t.Helper()
	name := strings.ReplaceAll(t.Name(), "/", "-")
	l := layers{upper: filepath.Join(Export(t), name), merged: filepath.Join(Mount(t), name)}
	for _, dir := range lowerDirs(t) {
		l.lowers = append(l.lowers, filepath.Join(dir, name))
		try(t, os.MkdirAll(filepath.Join(dir, name), 0o755))
	}
	t.Cleanup(func() {
		for _, dir := range append(l.lowers, l.upper) {
			removeTree(t, dir)
		}
	})
	fill(l.lowers)
	Control(t, "start")
	t.Cleanup(func() { Control(t, "stop") })
	Control(t, "mount")
	t.Cleanup(func() { Control(t, "umount") })
	return l
}

//go:build linux

package guest

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	gofuse "github.com/hanwen/go-fuse/v2/posixtest"
)

// goFuseExceptions are the cases of go-fuse's suite that cannot pass, with the
// reason.
func goFuseExceptions(mounted bool) map[string]string {
	exceptions := map[string]string{
		"FcntlFlockLocksFile": "fails on every file system, and go-fuse's own tests leave it out",
	}
	if mounted {
		exceptions["Fallocate"] = "NFSv3 has no call to allocate space"
		exceptions["FallocateKeepSize"] = "NFSv3 has no call to allocate space"
		exceptions["DirSeek"] = "the client lists with READDIR or READDIRPLUS as it sees fit, and READDIR gives no type"
		exceptions["FstatDeleted"] = hiddenName
		exceptions["NlinkZero"] = hiddenName
	} else {
		exceptions["OpenSymlinkRace"] = "takes a file of another device for the attack it looks for"
	}
	return exceptions
}

// TestPosixGoFuse runs the suite that hanwen/go-fuse tests its file systems with.
func TestPosixGoFuse(t *testing.T) {
	dir, exceptions := Dir(t), goFuseExceptions(onMount())
	for _, name := range slices.Sorted(maps.Keys(gofuse.All)) {
		t.Run(name, func(t *testing.T) {
			if reason, ok := exceptions[name]; ok {
				t.Skip("exception: " + reason)
			}
			sub := filepath.Join(dir, name)
			if err := os.Mkdir(sub, 0o755); err != nil {
				t.Fatal(err)
			}
			gofuse.All[name](t, sub)
		})
	}
}

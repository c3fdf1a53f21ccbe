package applenfs_test

import (
	"slices"
	"testing"

	"github.com/nixnfsd/nixnfsd/nfs"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// TestRules breaks one rule of the server at a time, and has to find each. The server under
// it is the real one, on which the same scene goes well (TestScenes).
func TestRules(t *testing.T) {
	tt := []struct {
		broken string
		wrap   func(nfs.FS) nfs.FS
		scene  string
	}{
		{"a directory's mtime does not advance within a second", wholeSeconds(overlay.ModeDir), "names of others are seen"},
		{"a file's mtime does not advance within a second", wholeSeconds(overlay.ModeRegular), "bytes of others are seen"},
		{"no attributes from before a change", withChange(func(c *overlay.Change) { c.HasPre = false }), "one's own names stay cached"},
		{"no attributes from after a change", withChange(func(c *overlay.Change) { c.HasPost = false }), "one's own names stay cached"},
		{"the mtime from before a change is that from after", withChange(func(c *overlay.Change) { c.Pre.Mtime = c.Post.Mtime }), "one's own bytes stay cached"},
		{"the mtime from before a change is older than another client's change", oldBefore(), "names of others are seen between one's own"},
		{"cookies count entries", withEntries(numbered), "a listing goes on while its names go"},
		{"a listing ends where a reply ends", withEntries(endsEarly), "a long listing is whole"},
		{"a cookie does not advance", withEntries(standsStill), "a listing goes on while its names go"},
		{"a listing is that of the first time", frozen(), "names of others are seen"},
		{"entries have the attributes of others", withEntries(shifted), "what a listing tells of names is true"},
		{"entries have no attributes", withEntries(bare), "what a listing tells of names is true"},
		{"entries have other fileids than their objects", withEntries(otherFileids), "what a listing tells of names is true"},
		{"COMMIT changes the mtime", func(f nfs.FS) nfs.FS { return touching{f} }, "one's own bytes stay cached"},
		{"nobody writes to what is read-only", func(f nfs.FS) nfs.FS { return strict{f} }, "times that were set stay"},
		{"data is lost before COMMIT, and the verifier stays", newLossy(), "times that were set stay"},
		{"times are set to whole minutes", withAttr(wholeMinutes), "times that were set stay"},
		{"a handle is used again", newReused, "a handle is of one object"},
		{"the fileid changes with copy-up", newMoving(func(a *overlay.Attr) { a.ID.Fileid++ }), "an object has one fileid"},
		{"the type changes", newMoving(func(a *overlay.Attr) { a.Mode ^= overlay.ModeDir ^ overlay.ModeRegular }), "an object has one fileid"},
		{"EXCLUSIVE forgets its verifier", func(f nfs.FS) nfs.FS { return noVerifier{f} }, "a file that is made is made once"},
		{"a name that is there is not found once", newHasty(), "names of others are seen"},
		{"silly names are names like others", func(f nfs.FS) nfs.FS { return unAppled{f} }, "an open file can be removed"},
		{"names are folded", func(f nfs.FS) nfs.FS { return folding{f} }, "each name is its own"},
	}
	all := scenes()
	for _, tt := range tt {
		t.Run(tt.broken, func(t *testing.T) {
			i := slices.IndexFunc(all, func(s scene) bool { return s.name == tt.scene })
			if i < 0 {
				t.Fatalf("there is no scene %q", tt.scene)
			}
			found := newWorld(t, all[i].lowers, tt.wrap).play(all[i].play)
			if len(found) == 0 {
				t.Errorf("not found out by %q", tt.scene)
				return
			}
			t.Logf("%d findings, such as: %s", len(found), found[0])
		})
	}
}

func wholeMinutes(a *overlay.Attr) { a.Mtime.Sec -= a.Mtime.Sec % 60 }

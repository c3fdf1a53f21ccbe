package overlay_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nixnfsd/nixnfsd/overlay"
)

// linkSpoiling is one way to spoil what is kept of a lower file with the names a, b and c.
type linkSpoiling struct {
	name  string
	use   func(tr *tree)
	spoil func(t *testing.T, index, id string)
	want  []string // ID stands for the file's
	links uint32   // of what has the name b, after repair
}

func findsLinks(t *testing.T, tests []linkSpoiling) {
	needMarks(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tr := newTree(t, 1)
			lower := tr.options.Lowers[0]
			mustWrite(t, lower+"/a", "x")
			for _, name := range []string{"b", "c"} {
				if err := os.Link(lower+"/a", lower+"/"+name); err != nil {
					t.Fatal(err)
				}
			}
			tr.open()
			tt.use(tr)
			tr.close()
			entry := onlyEntry(t, tr.options.Upper+".work/index")
			tt.spoil(t, tr.options.Upper+".work/index", entry)
			for i, want := range tt.want {
				want = strings.Replace(want, "index/", "upper.work/index/", 1)
				want = strings.Replace(want, "IDX", strings.ToUpper(entry[:32])+"X", 1)
				tt.want[i] = strings.Replace(want, "ID", entry[:32], 1)
			}
			tr.wantFsck(tt.want, nil)
			tr.open()
			if tt.links == 0 {
				return
			}
			if got := tr.walk("b").Nlink; got != tt.links {
				t.Errorf("the file has %d links, want %d", got, tt.links)
			}
		})
	}
}

// copyUpA copies the file up by its first name.
func copyUpA(tr *tree) {
	tr.t.Helper()
	var w overlay.Change
	if err := tr.Setattr(worker, tr.walk("a").ID, &overlay.SetAttr{SetMode: true, Mode: 0o600}, &w); err != nil {
		tr.t.Fatal(err)
	}
}

// onlyEntry gives the one name in a directory.
func onlyEntry(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Fatal(entries, err)
	}
	return entries[0].Name()
}

// TestFsckFindsCounts is about the counts of hidden names.
func TestFsckFindsCounts(t *testing.T) {
	findsLinks(t, []linkSpoiling{
		{
			name: "count is too low", use: func(tr *tree) { tr.remove(tr.Root(), "a") },
			spoil: func(t *testing.T, index, id string) { mustRemove(t, index+"/"+id) },
			want:  []string{"hidden-count index/ID-1"}, links: 2,
		}, {
			name: "count is too high", use: func(tr *tree) { tr.remove(tr.Root(), "a") },
			spoil: func(t *testing.T, index, id string) { mustMove(t, index+"/"+id, index+"/"+id[:33]+"2") },
			want:  []string{"hidden-count index/ID-2"}, links: 2,
		}, {
			name: "two counts", use: func(tr *tree) { tr.remove(tr.Root(), "a") },
			spoil: func(t *testing.T, index, id string) { mustWrite(t, index+"/"+id[:33]+"3", "") },
			want:  []string{"hidden-count index/ID-3", "hidden-leftover index/ID-1"}, links: 2,
		}, {
			name: "count of a file that is gone", use: func(tr *tree) { tr.remove(tr.Root(), "a") },
			spoil: func(t *testing.T, index, id string) { mustWrite(t, index+"/0123456789abcdef0123456789abcdef-3", "") },
			want:  []string{"hidden-leftover index/0123456789abcdef0123456789abcdef-3"}, links: 2,
		}, {
			name: "count of a copied-up file", use: copyUpA,
			spoil: func(t *testing.T, index, id string) { mustWrite(t, index+"/"+id+"-1", "") },
			want:  []string{"hidden-leftover index/ID-1"}, links: 3,
		},
	})
}

// TestFsckFindsIndex is about the index of copied-up files.
func TestFsckFindsIndex(t *testing.T) {
	findsLinks(t, []linkSpoiling{
		{
			name: "bad names", use: copyUpA,
			spoil: func(t *testing.T, index, id string) {
				mustWrite(t, index+"/"+id+"-01", "")
				mustWrite(t, index+"/#1", "")
				if err := os.Link(index+"/"+id, index+"/"+strings.ToUpper(id)+"X"); err != nil {
					t.Fatal(err)
				}
			},
			want: []string{"leftover index/#1", "leftover index/ID-01", "leftover index/IDX"}, links: 3,
		}, {
			name: "lower links are wrong", use: copyUpA,
			spoil: func(t *testing.T, index, id string) { mark(t, index+"/"+id, markLinks, "\x00\x00\x00\x07") },
			want:  []string{"index-links index/ID"}, links: 3,
		}, {
			name: "lower links are not noted", use: copyUpA,
			spoil: func(t *testing.T, index, id string) { mark(t, index+"/"+id, markLinks, "many more") },
			want:  []string{"index-links index/ID"}, links: 3,
		}, {
			name: "origin is wrong", use: copyUpA,
			spoil: func(t *testing.T, index, id string) { mark(t, index+"/"+id, markOrigin, "no ID") },
			want:  []string{"index-origin index/ID"}, links: 3,
		}, {
			name: "file without names", use: copyUpA,
			spoil: func(t *testing.T, index, id string) {
				up := filepath.Dir(filepath.Dir(index)) + "/upper"
				for _, name := range []string{"a", "c"} {
					if err := os.Remove(up + "/" + name); err != nil && name == "a" {
						t.Fatal(err)
					}
				}
				for _, name := range []string{"a", "b", "c"} {
					mustWrite(t, up+"/"+name, "")
					mark(t, up+"/"+name, markWhiteout, "y")
				}
				mark(t, up, markOpaque, "x")
			},
			want: []string{"orphan-index index/ID"},
		}, {
			name: "entry is lost", use: copyUpA,
			spoil: func(t *testing.T, index, id string) { mustRemove(t, index+"/"+id) },
			want:  []string{"missing-index upper/a"}, links: 3,
		},
	})
}

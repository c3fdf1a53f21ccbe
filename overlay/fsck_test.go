package overlay_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/internal/testenv"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// fsck looks at the closed tree.
func (tr *tree) fsck(repair bool) (found []overlay.Problem) {
	tr.t.Helper()
	err := overlay.Fsck(tr.t.Context(), tr.options, repair, func(p overlay.Problem) { found = append(found, p) })
	if err != nil {
		tr.t.Fatalf("fsck: %v", err)
	}
	return found
}

var noteName = regexp.MustCompile("mode-[0-9a-f]+-750-755")

// mustBeSound has a test leave a store in which nothing is wrong. Leftovers are what a
// crash may leave, and marks that are not needed any more. One that was only read has no work
// directory to look through.
func (tr *tree) mustBeSound() {
	if tr.spoilt || tr.options.ReadOnly || tr.t.Failed() || tr.t.Skipped() {
		return
	}
	err := overlay.Fsck(context.Background(), tr.options, false, func(p overlay.Problem) {
		if p.Kind != "needless-mark" {
			tr.t.Errorf("the test leaves a store where fsck finds %s: %s: %s", p.Kind, p.Path, p.What)
		}
	})
	if err != nil {
		tr.t.Errorf("fsck: %v", err)
	}
}

// texts are problems as a user reads them.
func (tr *tree) texts(problems []overlay.Problem) (texts []string) {
	base := filepath.Dir(tr.options.Upper) + "/"
	for _, p := range problems {
		path := noteName.ReplaceAllString(strings.TrimPrefix(p.Path, base), "NOTE")
		texts = append(texts, p.Kind+" "+path)
	}
	return texts
}

func mark(t *testing.T, path, name, value string) {
	t.Helper()
	if err := unix.Lsetxattr(path, name, []byte(value), 0); err != nil {
		t.Fatalf("mark %s: %v", path, err)
	}
}

func unmark(t *testing.T, path, name string) {
	t.Helper()
	if err := unix.Lremovexattr(path, name); err != nil {
		t.Fatalf("remove the mark of %s: %v", path, err)
	}
}

func needMarks(t *testing.T) {
	t.Helper()
	err := unix.Lsetxattr(t.TempDir(), "user.try", nil, 0)
	testenv.Require(t, err == nil, "no user extended attributes")
}

const (
	markWhiteout = "user.overlay.whiteout"
	markOpaque   = "user.overlay.opaque"
	markImpure   = "user.overlay.impure"
	markOrigin   = "user.nixnfsd.origin"
	markRedirect = "user.overlay.redirect"
	markLinks    = "user.nixnfsd.lowerlinks"
	markLayered  = "user.nixnfsd.layered"
)

// spoiling is one way to spoil a store, and what fsck has to find then.
type spoiling struct {
	name  string
	use   func(tr *tree)                         // through a server
	spoil func(t *testing.T, up, work, s string) // behind its back
	want  []string
	// left are the problems that stay for somebody to decide.
	left []string
}

// findsAll spoils stores, and has fsck find that, not change it, mend it as it said and
// find nothing more.
func findsAll(t *testing.T, tests []spoiling) {
	needMarks(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tr := newTree(t, 2)
			tr.spoilt = true
			mustWrite(t, tr.options.Lowers[0]+"/a", "a")
			mustWrite(t, tr.options.Lowers[0]+"/d/x", "x")
			mustWrite(t, tr.options.Lowers[1]+"/d/y", "y")
			tr.open()
			if tt.use != nil {
				tt.use(tr)
			}
			tr.close()
			if tt.spoil != nil {
				tt.spoil(t, tr.options.Upper, tr.options.Upper+".work", tr.options.State)
			}
			tr.wantFsck(tt.want, tt.left)
		})
	}
}

// TestFsckFindsWhiteouts is about whiteouts and opaque directories.
func TestFsckFindsWhiteouts(t *testing.T) {
	findsAll(t, []spoiling{
		{
			name: "whiteout over nothing", use: func(tr *tree) { tr.remove(tr.Root(), "a") },
			spoil: func(t *testing.T, up, _, _ string) {
				mustWrite(t, up+"/none", "")
				mark(t, up+"/none", markWhiteout, "y")
			},
			want: []string{"orphan-whiteout upper/none"},
		}, {
			name: "whiteout in a directory that its owner may not read",
			spoil: func(t *testing.T, up, _, _ string) {
				mustWrite(t, up+"/closed/none", "")
				mark(t, up+"/closed/none", markWhiteout, "y")
				must(t, os.Chmod(up+"/closed", 0))
				t.Cleanup(func() {
					if info, err := os.Stat(up + "/closed"); err != nil || info.Mode().Perm() != 0 {
						t.Errorf("the mode is %v, %v", info.Mode(), err)
					}
				})
			},
			want: []string{"orphan-whiteout upper/closed/none"},
		}, {
			name: "whiteout in an opaque directory",
			spoil: func(t *testing.T, up, _, _ string) {
				mustWrite(t, up+"/d/x", "")
				mark(t, up+"/d", markOpaque, "y")
				mark(t, up+"/d/x", markWhiteout, "y")
			},
			want: []string{"orphan-whiteout upper/d/x"},
		}, {
			name: "whiteouts in an unmarked directory",
			spoil: func(t *testing.T, up, _, _ string) {
				mustWrite(t, up+"/d/x", "")
				mark(t, up+"/d/x", markWhiteout, "y")
				mustWrite(t, up+"/d/y", "")
				mark(t, up+"/d/y", markWhiteout, "y")
			},
			want: []string{"unmarked-whiteouts upper/d"},
		}, {
			name: "needless mark", use: func(tr *tree) { tr.remove(tr.Root(), "a"); tr.create(tr.Root(), "a", "new") },
			want: []string{"needless-mark upper"},
		}, {
			name: "false whiteout",
			spoil: func(t *testing.T, up, _, _ string) {
				mustWrite(t, up+"/new", "data")
				mark(t, up+"/new", markWhiteout, "y")
			},
			want: []string{"false-whiteout upper/new"},
		}, {
			name: "exchange that was cut short", use: func(tr *tree) { tr.remove(tr.walk("d").ID, "x") },
			spoil: func(t *testing.T, up, _, _ string) {
				mark(t, up+"/d", "user.nixnfsd.hidden", "x\x00y\x00")
				mustRemove(t, up+"/d/x")
				t.Cleanup(func() {
					for _, name := range []string{"x", "y"} {
						if _, err := unix.Lgetxattr(up+"/d/"+name, markWhiteout, nil); err != nil {
							t.Errorf("%s is not hidden: %v", name, err)
						}
					}
				})
			},
			want: []string{"cut-exchange upper/d"},
		},
	})
}

// TestFsckFindsRedirects is about redirects and marks that are damaged.
func TestFsckFindsRedirects(t *testing.T) {
	findsAll(t, []spoiling{
		{
			name: "redirects that are no paths", use: func(tr *tree) { tr.mustRename(tr.Root(), "d", tr.Root(), "e") },
			spoil: func(t *testing.T, up, _, _ string) {
				mark(t, up+"/e", markRedirect, "/../etc")
				mustMkdir(t, up+"/long")
				mark(t, up+"/long", markRedirect, strings.Repeat("a/", 100))
				mustWrite(t, up+"/file", "data")
				mark(t, up+"/file", markRedirect, "/d")
			},
			want: []string{"bad-redirect upper/e", "bad-redirect upper/long", "stray-mark upper/file"},
		}, {
			name: "redirect to nothing", use: func(tr *tree) { tr.mustRename(tr.Root(), "d", tr.Root(), "e") },
			spoil: func(t *testing.T, up, _, _ string) { mark(t, up+"/e", markRedirect, "/none/d") },
			want:  []string{"lost-redirect upper/e"},
		}, {
			name: "lower redirect that leads out",
			spoil: func(t *testing.T, up, _, _ string) {
				mustMkdir(t, up+"/d")
				mark(t, filepath.Dir(up)+"/lower1/d", markRedirect, "/../etc")
			},
			want: []string{"unreadable upper/d"}, left: []string{"unreadable upper/d"},
		}, {
			name: "bad marks of a directory", use: func(tr *tree) { tr.write(tr.walk("d", "x").ID, "X") },
			spoil: func(t *testing.T, up, _, _ string) {
				mark(t, up+"/d", markOpaque, "yes, indeed")
				mark(t, up+"/d", markImpure, "n")
			},
			want: []string{"bad-opaque upper/d", "bad-impure upper/d"},
		}, {
			name: "bad layered", use: func(tr *tree) { tr.remove(tr.Root(), "a") },
			spoil: func(t *testing.T, up, _, _ string) { mark(t, up, markLayered, "what is this?") },
			want:  []string{"bad-layered upper"},
		}, {
			name: "missing layered", use: func(tr *tree) { tr.remove(tr.Root(), "a") },
			spoil: func(t *testing.T, up, _, _ string) { unmark(t, up, markLayered) },
			want:  []string{"missing-layered upper"},
		}, {
			name: "missing impure", use: func(tr *tree) { tr.write(tr.walk("d", "x").ID, "X") },
			spoil: func(t *testing.T, up, _, _ string) { unmark(t, up+"/d", markImpure); unmark(t, up, markImpure) },
			want:  []string{"missing-impure upper", "missing-impure upper/d"},
		},
	})
}

// TestFsckFindsStrayMarks is about marks and names that stand where none can.
func TestFsckFindsStrayMarks(t *testing.T) {
	findsAll(t, []spoiling{
		{
			name: "stray marks",
			spoil: func(t *testing.T, up, _, _ string) {
				mustWrite(t, up+"/new/f", "data")
				mark(t, up+"/new/f", markImpure, "y")
				mark(t, up+"/new/f", markLinks, "many")
				mark(t, up+"/new", markLayered, "y")
				mark(t, up+"/new", markLinks, "many")
			},
			want: []string{"stray-mark upper/new", "stray-mark upper/new", "stray-mark upper/new/f"},
		}, {
			name: "unknown marks",
			spoil: func(t *testing.T, up, _, _ string) {
				mustWrite(t, up+"/new", "data")
				mark(t, up+"/new", "user.overlay.metacopy", "")
				mark(t, up+"/new", "user.nixnfsd.later", "y")
				mark(t, up+"/new", "user.overlay.uuid", "a")
			},
			want: []string{"unknown-mark upper/new", "unknown-mark upper/new"},
			left: []string{"unknown-mark upper/new", "unknown-mark upper/new"},
		}, {
			name: "names that are not stored ones",
			spoil: func(t *testing.T, up, _, _ string) {
				mark(t, up, "user.nixnfsd.names", "escaped")
				mustWrite(t, up+"/^foo%ff", "data")
				mustWrite(t, up+"/Foo", "data")
				mustWrite(t, up+"/%~"+strings.Repeat("a", 32), "data")
				mustWrite(t, up+"/%~names/"+strings.Repeat("b", 32), "data")
			},
			want: []string{"foreign-name upper/Foo", "lost-name upper/%~" + strings.Repeat("a", 32)},
			left: []string{"foreign-name upper/Foo", "lost-name upper/%~" + strings.Repeat("a", 32)},
		},
	})
}

// TestFsckFindsOrigins is about the IDs of copied-up objects.
func TestFsckFindsOrigins(t *testing.T) {
	findsAll(t, []spoiling{
		{
			name: "bad origin", use: func(tr *tree) { tr.write(tr.walk("d", "x").ID, "X") },
			spoil: func(t *testing.T, up, _, _ string) {
				mark(t, up+"/d/x", markOrigin, "short")
				mark(t, up+"/d", markOrigin, strings.Repeat("long", 100))
			},
			want: []string{"bad-origin upper/d", "bad-origin upper/d/x"},
		}, {
			name: "lost origin", use: func(tr *tree) { tr.mustRename(tr.Root(), "a", tr.Root(), "z") },
			spoil: func(t *testing.T, up, _, _ string) {
				if err := os.Remove(filepath.Dir(up) + "/lower1/a"); err != nil {
					t.Fatal(err)
				}
			},
			want: []string{"orphan-whiteout upper/a", "lost-origin upper/z", "needless-mark upper"},
		}, {
			name: "two with one origin", use: func(tr *tree) { tr.write(tr.walk("a").ID, "A") },
			spoil: func(t *testing.T, up, _, _ string) {
				b := make([]byte, 64)
				n, err := unix.Getxattr(up+"/a", markOrigin, b)
				if err != nil {
					t.Fatal(err)
				}
				mustWrite(t, up+"/0", "first in the listing, or not")
				mark(t, up+"/0", markOrigin, string(b[:n]))
			},
			want: []string{"shared-origin upper/0"},
		}, {
			name: "lower shows again", use: func(tr *tree) { tr.mustRename(tr.Root(), "a", tr.Root(), "z") },
			spoil: func(t *testing.T, up, _, _ string) {
				if err := os.Remove(up + "/a"); err != nil {
					t.Fatal(err)
				}
			},
			want: []string{"needless-mark upper", "shared-origin upper/z"},
		}, {
			name: "lower redirect shows it again", use: func(tr *tree) { tr.mustRename(tr.walk("d").ID, "y", tr.Root(), "z") },
			spoil: func(t *testing.T, up, _, _ string) {
				twin := filepath.Dir(up) + "/lower1/twin"
				mustMkdir(t, twin)
				mark(t, twin, markRedirect, "/d")
			},
			want: []string{"needless-mark upper", "shared-origin upper/z"},
		},
	})
}

// TestFsckFindsLeftovers is about what a crash leaves in the work directory.
func TestFsckFindsLeftovers(t *testing.T) {
	findsAll(t, []spoiling{
		{
			name: "leftovers in the work directory",
			spoil: func(t *testing.T, _, work, s string) {
				mustWrite(t, work+"/#1/x/y", "half")
				if err := os.Chmod(work+"/#1/x", 0); err != nil {
					t.Fatal(err)
				}
				mustWrite(t, s+"/places/index.new", "half")
			},
			want: []string{"leftover state/places/index.new", "leftover upper.work/#1"},
		}, {
			name: "modes that were widened",
			spoil: func(t *testing.T, up, work, _ string) {
				info, err := os.Stat(up)
				if err != nil {
					t.Fatal(err)
				}
				ino := info.Sys().(*syscall.Stat_t).Ino
				for _, note := range []string{fmt.Sprintf("mode-%x-750-755", ino), "mode-strange"} {
					if err := os.Symlink(up, work+"/"+note); err != nil {
						t.Fatal(err)
					}
				}
				t.Cleanup(func() {
					if info, err := os.Stat(up); err != nil || info.Mode().Perm() != 0o750 {
						t.Errorf("the mode is %v, %v", info.Mode(), err)
					}
				})
			},
			want: []string{"leftover upper.work/mode-strange", "widened-mode upper.work/NOTE"},
		}, {
			name: "rename that was cut short",
			spoil: func(t *testing.T, _, work, _ string) {
				mustWrite(t, work+"/rename", "not whole")
				mustWrite(t, work+"/rename-whiteout", "")
			},
			want: []string{"unfinished-rename upper.work/rename"},
		}, {
			name:  "rename that was finished",
			spoil: func(t *testing.T, _, work, _ string) { mustWrite(t, work+"/rename-whiteout", "") },
			want:  []string{"leftover upper.work/rename-whiteout"},
		},
	})
}

// TestFsckFindsWorkDirectory is about what is kept over a restart.
func TestFsckFindsWorkDirectory(t *testing.T) {
	findsAll(t, []spoiling{
		{
			name: "open files that were removed",
			spoil: func(t *testing.T, _, work, _ string) {
				run := "0123456789abcdef"
				ids := run + run + "-" + run + run
				mustWrite(t, work+"/silly/unknown-"+ids+"-.nfs01", "in use, for all that one can know")
				mustWrite(t, work+"/silly/unknown-"+ids+"-.nfs02", "")
				mark(t, work+"/silly/unknown-"+ids+"-.nfs02", markWhiteout, "y")
				mustWrite(t, work+"/silly/"+run+"-"+ids+"-.nfs01", "of an earlier run of the kernel")
				mustWrite(t, work+"/silly/mine", "data")
			},
			want: []string{
				"foreign-file upper.work/silly/mine",
				"leftover upper.work/silly/0123456789abcdef-0123456789abcdef0123456789abcdef-0123456789abcdef0123456789abcdef-.nfs01",
				"leftover upper.work/silly/unknown-0123456789abcdef0123456789abcdef-0123456789abcdef0123456789abcdef-.nfs02",
			},
			left: []string{"foreign-file upper.work/silly/mine"},
		}, {
			name: "somebody's files in the work directory",
			spoil: func(t *testing.T, _, work, _ string) {
				mustWrite(t, work+"/precious", "data")
				mustWrite(t, work+"/index/mine", "data")
			},
			want: []string{"bad-index upper.work/index/mine", "foreign upper.work/precious"},
			left: []string{"bad-index upper.work/index/mine", "foreign upper.work/precious"},
		}, {
			name: "journal", use: func(tr *tree) { tr.walk("d", "x") },
			spoil: func(t *testing.T, _, _, s string) {
				b, err := os.ReadFile(s + "/places/1")
				if err != nil || len(b) < 60 {
					t.Fatal(len(b), err)
				}
				b[48+8+2] = 99 // what the second record is: the first has 48 bytes and a name, filled up
				if err := os.WriteFile(s+"/places/1", b, 0o600); err != nil {
					t.Fatal(err)
				}
			},
			want: []string{"bad-journal state/places/1"},
		}, {
			name: "journal that is no directory",
			spoil: func(t *testing.T, _, _, s string) {
				if err := os.RemoveAll(s + "/places"); err != nil {
					t.Fatal(err)
				}
				if err := os.Symlink("elsewhere", s+"/places"); err != nil {
					t.Fatal(err)
				}
			},
			want: []string{"foreign-journal state/places"}, left: []string{"foreign-journal state/places"},
		},
	})
}

// wantFsck has fsck find what is wanted, twice, mend it and then find what is left.
func (tr *tree) wantFsck(want, left []string) {
	t := tr.t
	t.Helper()
	slices.Sort(want)
	for _, repair := range []bool{false, false, true} {
		problems := tr.fsck(repair)
		got := tr.texts(problems)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("with repair %t: fsck found %q, want %q", repair, got, want)
		}
		for _, p := range problems {
			if p.Mended != (repair && p.Mend != "") || p.Err != nil {
				t.Errorf("with repair %t: %+v", repair, p)
			}
		}
	}
	got := tr.texts(tr.fsck(false))
	slices.Sort(got)
	slices.Sort(left)
	if !slices.Equal(got, left) {
		t.Errorf("after repair, fsck found %q, want %q", got, left)
	}
}

func (tr *tree) close() {
	tr.t.Helper()
	if err := tr.Close(); err != nil {
		tr.t.Fatal(err)
	}
}

// With other lower directories than the server had, or none, fsck takes no whiteout for an
// orphan.
func TestFsckOtherLowers(t *testing.T) {
	needMarks(t)
	tr := newTree(t, 2)
	mustWrite(t, tr.options.Lowers[0]+"/a", "a")
	fds := openDescriptors(t)
	tr.open()
	tr.remove(tr.Root(), "a")
	tr.close()
	had := tr.options.Lowers
	for _, lowers := range [][]string{nil, had[1:], {had[1], had[0]}} {
		tr.options.Lowers = lowers
		err := overlay.Fsck(t.Context(), tr.options, true, func(p overlay.Problem) { t.Errorf("found %+v", p) })
		var other *overlay.LowersError
		if !errors.As(err, &other) || !slices.Equal(other.Lowers, had) {
			t.Errorf("with %q the error is %v", lowers, err)
		}
	}
	tr.options.Lowers = nil // a server may, and then so may fsck
	tr.open()
	tr.close()
	if got := tr.fsck(true); len(got) > 0 {
		t.Errorf("without lower directories, fsck found %+v", got)
	}
	if got := openDescriptors(t); got != fds {
		t.Errorf("%d descriptors are open, were %d", got, fds)
	}
	tr.options.Lowers = had[:1] // what it hides stays hidden
	tr.open()
	if _, err := tr.tryWalk("a"); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("the removed name: %v", err)
	}
}

func mustRemove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func mustMove(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

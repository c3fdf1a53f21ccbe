package applenfs_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
)

// scene is something that programs do, and must find on each server.
type scene struct {
	name   string
	lowers int
	play   func(*world)
}

// scenes are about what only a client by Apple's rules is strict in.
func scenes() []scene {
	return []scene{
		{"names of others are seen", 0, othersNames},
		{"names of others are seen between one's own", 0, othersNamesBetween},
		{"bytes of others are seen", 0, othersBytes},
		{"one's own names stay cached", 0, ownNames},
		{"one's own bytes stay cached", 0, ownBytes},
		{"a long listing is whole", 0, longListing},
		{"a listing goes on while its names go", 0, listWhileRemoving},
		{"a listing has each name once while others come", 0, listWhileAdding},
		{"what a listing tells of names is true", 2, listedAttributes},
		{"times that were set stay", 0, setTimes},
		{"a handle is of one object", 0, handleOfOne},
		{"an object has one fileid", 2, oneFileid},
		{"an open file can be removed", 0, removeOpen},
		{"an open lower file can be removed", 1, removeOpenLower},
		{"calls are sent again to the next server", 0, sentAgain},
		{"a file that is made is made once", 0, exclusiveAgain},
		{"writes go on with the next server", 0, writeAcrossRestart},
		{"each name is its own", 0, confusedNames},
		{"what changes below shows after a refresh", 2, changeBelow},
	}
}

// TestScenes plays each scene on the real server.
func TestScenes(t *testing.T) {
	for _, s := range scenes() {
		t.Run(s.name, func(t *testing.T) {
			for _, wrong := range newWorld(t, s.lowers, nil).play(s.play) {
				t.Error(wrong)
			}
		})
	}
}

// rounds is how often a scene repeats what may go right by chance.
const rounds = 20

func othersNames(w *world) {
	w.try(w.a.Mkdir("d", 0o755))
	w.put(w.a, "d/last", "x")
	w.later()
	for i := range rounds {
		name := fmt.Sprintf("d/%d", i)
		_, err := w.b.Lstat(name)
		w.refused("lstat before it is made", err, fs.ErrNotExist)
		w.names(w.b, "d")
		w.put(w.a, name, "x")
		w.later()
		w.content(w.b, name, "x")
		w.sameNames(w.b, "d", []string{"last", fmt.Sprint(i)})
		w.try(w.a.Remove(name))
		w.later()
		_, err = w.b.Lstat(name)
		w.refused("lstat after it was removed", err, fs.ErrNotExist)
		w.sameNames(w.b, "d", []string{"last"})
	}
}

// othersNamesBetween has B make a name after A has put another file over one that B knows:
// what B is told of the directory before its change must not be what B knows.
func othersNamesBetween(w *world) {
	w.try(w.a.Mkdir("d", 0o755))
	for i := range rounds {
		f, g := fmt.Sprintf("d/f%d", i), fmt.Sprintf("d/g%d", i)
		w.put(w.a, f, "old")
		w.put(w.a, g, "new")
		w.later()
		w.content(w.b, f, "old")
		w.try(w.a.Rename(g, f))
		w.put(w.b, fmt.Sprintf("d/own%d", i), "x")
		w.content(w.b, f, "new")
		_, err := w.b.Lstat(g)
		w.refused("lstat of what was renamed", err, fs.ErrNotExist)
	}
}

func othersBytes(w *world) {
	for i := range rounds {
		text := fmt.Sprintf("version %02d", i)
		w.put(w.a, "f", text)
		w.muchLater()
		w.content(w.b, "f", text)
		w.tick()
	}
}

// tick waits until the file system's clock has gone on: a file's mtime is as exact as that.
func (w *world) tick() {
	first := w.touch()
	for w.touch().Equal(first) {
	}
}

func (w *world) touch() time.Time {
	path := w.o.State + "/tick"
	w.try(os.WriteFile(path, []byte("x"), 0o600))
	fi, err := os.Stat(path)
	w.try(err)
	return fi.ModTime()
}

// ownNames counts calls: what the client does itself must not cost it its caches, nor may
// it have to ask for what a reply could have told.
func ownNames(w *world) {
	const files = 50
	w.try(w.a.Mkdir("d", 0o755))
	w.try(w.b.Mkdir("e", 0o755))
	for i := range files {
		w.put(w.a, fmt.Sprintf("d/%d", i), "x")
	}
	before := w.a.Calls()
	for i := range files {
		w.stat(w.a, fmt.Sprintf("d/%d", i))
	}
	// The look-up of a companion, under way beside a CREATE, may bring the directory's
	// attributes from before: then the names are looked up once more.
	if n := w.a.Calls()["LOOKUP"] - before["LOOKUP"]; n > files {
		w.wrong("%d look-ups of %d files", n, files)
	}
	if n := w.a.Calls()["READDIRPLUS"]; n > 0 {
		w.wrong("%d listings that nobody asked for", n)
	}
}

func ownBytes(w *world) {
	w.put(w.a, "f", strings.Repeat("bytes", 100_000))
	for range rounds {
		w.content(w.a, "f", strings.Repeat("bytes", 100_000))
		w.try(w.a.Chmod("f", 0o444))
		w.try(w.a.Chmod("f", 0o644))
		w.muchLater()
	}
	if n := w.a.Calls()["READ"]; n > 0 {
		w.wrong("%d READs of what the client has", n)
	}
}

// many is more names than a READDIRPLUS tells of.
const many = 700

func (w *world) manyNames(dir string) {
	w.try(w.a.Mkdir(dir, 0o755))
	for i := range many {
		w.try(w.a.Symlink("x", fmt.Sprintf("%s/name-%04d-%s", dir, i, strings.Repeat("x", 90))))
	}
	w.later()
}

func longListing(w *world) {
	w.manyNames("d")
	w.same("names to who made them", len(w.names(w.a, "d")), many)
	w.same("names to another", len(w.names(w.b, "d")), many)
	w.same("names out of the cache", len(w.names(w.b, "d")), many)
}

func listWhileRemoving(w *world) {
	w.manyNames("d")
	f, err := w.a.Open("d")
	w.try(err)
	for removed := 0; ; {
		some, err := f.ReadSome()
		w.try(err)
		if len(some) == 0 {
			w.same("names removed", removed, many)
			break
		}
		for _, e := range some {
			if e.Name != "." && e.Name != ".." {
				w.try(w.a.Remove("d/" + e.Name))
				removed++
			}
		}
		w.later()
	}
	w.try(f.Close())
	w.try(w.a.Remove("d"))
}

func listWhileAdding(w *world) {
	w.manyNames("d")
	f, err := w.b.Open("d")
	w.try(err)
	seen := map[string]int{}
	for i := 0; ; i++ {
		some, err := f.ReadSome()
		w.try(err)
		if len(some) == 0 {
			break
		}
		for _, e := range some {
			seen[e.Name]++
		}
		for j := range 5 {
			w.try(w.a.Symlink("x", fmt.Sprintf("d/new-%d-%d", i, j)))
			w.try(w.a.Symlink("x", fmt.Sprintf("d/passing-%d-%d", i, j)))
			w.try(w.a.Remove(fmt.Sprintf("d/passing-%d-%d", i, j)))
		}
		w.later()
	}
	w.try(f.Close())
	for name, n := range seen {
		if n > 1 {
			w.wrong("%s is there %d times", name, n)
		}
		if strings.HasPrefix(name, "name-") {
			delete(seen, name)
		}
	}
	listed := many
	for i := range many {
		if _, err := w.b.Lstat(fmt.Sprintf("d/name-%04d-%s", i, strings.Repeat("x", 90))); err != nil {
			listed--
		}
	}
	w.same("names that stayed", listed, many)
}

// listedAttributes compares what a listing brought with what look-ups bring to another
// kernel, and with the fileids that the entries have.
func listedAttributes(w *world) {
	w.try(w.a.Mkdir("below/d", 0o751))
	w.put(w.a, "below/f", "four")
	w.put(w.a, "below/b", "copied up")
	w.try(w.a.Symlink("target", "below/s"))
	w.try(w.a.Mkfifo("below/p", 0o640))
	w.later()
	for _, dir := range []string{"", "below"} {
		entries, err := w.b.ReadDir(dir)
		w.try(err)
		calls := w.b.Calls()
		for _, e := range entries {
			name := dir + "/" + e.Name
			listed, looked := w.stat(w.b, name), w.stat(w.a, name)
			w.same("fileid in the listing of "+name, e.Fileid, looked.Fileid)
			listed.Atime, looked.Atime = nfsclient.Time{}, nfsclient.Time{}
			w.same("attributes from the listing of "+name, listed, looked)
		}
		w.same("look-ups of what was listed", w.b.Calls()["LOOKUP"], calls["LOOKUP"])
	}
}

// setTimes is what Nix does with each file of a store path, when all has to be written
// that waits: a WRITE or COMMIT after it would change the mtime again.
func setTimes(w *world) {
	text := strings.Repeat("0123456789", 30_000)
	f, err := w.a.OpenFile("f", os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o444)
	w.try(err)
	_, err = f.Write([]byte(text))
	w.try(err)
	w.try(f.Chmod(0o555))
	w.try(f.Chtimes(time.Unix(0, 0), time.Unix(1, 0)))
	w.try(f.Sync())
	w.try(f.Close())
	w.muchLater()
	attr := w.stat(w.b, "f")
	w.same("mtime", attr.Mtime, nfsclient.Time{Sec: 1})
	w.same("mode", attr.Mode, uint32(0o555))
	w.same("mtime to who wrote it", w.stat(w.a, "f").Mtime, nfsclient.Time{Sec: 1})
	w.content(w.b, "f", text)
}

// handleOfOne has another file come in the place of one, with the same size and mtime. Only
// the handle tells them apart.
func handleOfOne(w *world) {
	for i := range rounds {
		text := fmt.Sprintf("file %02d", i)
		w.put(w.a, "f", text)
		w.try(w.a.Chtimes("f", time.Unix(1, 0), time.Unix(1, 0)))
		w.muchLater()
		w.content(w.b, "f", text)
		w.try(w.a.Remove("f"))
	}
}

func oneFileid(w *world) {
	for _, name := range []string{"a", "b", "below/a", "below/b", "below"} {
		before := w.stat(w.b, name)
		w.try(w.a.Chmod(name, 0o700))
		w.muchLater()
		after := w.stat(w.b, name)
		w.same("fileid of "+name, after.Fileid, before.Fileid)
		w.same("mode of "+name, after.Mode, uint32(0o700))
	}
	w.put(w.a, "a", "more than it was before")
	w.muchLater()
	w.content(w.b, "a", "more than it was before")
	w.restart()
	w.muchLater()
	w.content(w.b, "below/b", "lower b")
}

func removeOpen(w *world) {
	w.try(w.a.Mkdir("d", 0o755))
	w.put(w.a, "d/f", "text")
	w.removeOpenIn("d", "f", "text")
}

func removeOpenLower(w *world) { w.removeOpenIn("below", "a", "lower a") }

// removeOpenIn removes a file that is open, and then its directory.
func (w *world) removeOpenIn(dir, name, text string) {
	f, err := w.a.OpenFile(dir+"/"+name, os.O_RDWR, 0)
	w.try(err)
	w.try(w.a.Remove(dir + "/" + name))
	w.sameNames(w.a, dir, nil)
	w.later()
	w.sameNames(w.b, dir, nil)
	w.restart()
	_, err = f.WriteAt([]byte("more"), int64(len(text)))
	w.try(errors.Join(err, f.Sync()))
	w.try(w.a.Remove(dir))
	got := make([]byte, len(text)+4)
	_, err = f.ReadAt(got, 0)
	w.try(err)
	w.same("content", string(got), text+"more")
	w.try(f.Close())
	_, err = w.a.Lstat(dir)
	w.refused("lstat of the directory", err, fs.ErrNotExist)
	left, err := os.ReadDir(w.o.Upper + "/../work/silly")
	if err == nil {
		w.same("open files that were removed", len(left), 0)
	}
}

// sentAgain loses the reply of each call that changes something, and the server with it.
func sentAgain(w *world) {
	w.put(w.a, "f", "text")
	for proc, do := range map[uint32]func() error{
		nfsclient.ProcMkdir:   func() error { return w.a.Mkdir("d", 0o755) },
		nfsclient.ProcSymlink: func() error { return w.a.Symlink("t", "s") },
		nfsclient.ProcLink:    func() error { return w.a.Link("f", "g") },
		nfsclient.ProcCreate:  func() error { w.put(w.a, "c", "made"); return nil },
		nfsclient.ProcWrite:   func() error { w.put(w.a, "w", "written"); return nil },
		nfsclient.ProcSetattr: func() error { return w.a.Chmod("f", 0o600) },
		nfsclient.ProcCommit:  func() error { w.put(w.a, "k", "committed"); return nil },
	} {
		w.lost.next(proc, w.restart)
		w.try(do())
	}
	w.lost.next(nfsclient.ProcRename, w.restart)
	w.try(w.a.Rename("s", "r"))
	w.lost.next(nfsclient.ProcRemove, w.restart)
	w.try(w.a.Remove("g"))
	w.lost.next(nfsclient.ProcRmdir, w.restart)
	w.try(w.a.Remove("d"))
	w.muchLater()
	w.sameNames(w.b, "", []string{"f", "r", "c", "w", "k"})
	for name, text := range map[string]string{"f": "text", "c": "made", "w": "written", "k": "committed"} {
		w.content(w.b, name, text)
	}
	w.same("mode", w.stat(w.b, "f").Mode, uint32(0o600))
	w.same("links", w.stat(w.b, "f").Nlink, uint32(1))
}

func exclusiveAgain(w *world) {
	for i := range 3 {
		name := fmt.Sprint("f", i)
		w.lost.next(nfsclient.ProcCreate, w.restart)
		f, err := w.a.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o640)
		w.try(err)
		w.try(f.Close())
		attr := w.stat(w.b, name)
		w.same("mode", attr.Mode, uint32(0o640))
		if age := time.Since(attr.Mtime.Time()); age < -time.Hour || age > time.Hour {
			w.wrong("mtime is %v, which is the verifier's", attr.Mtime.Time())
		}
		_, err = w.b.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o640)
		w.refused("made again", err, fs.ErrExist)
	}
}

// writeAcrossRestart has the server go between WRITE and COMMIT.
func writeAcrossRestart(w *world) {
	f, err := w.a.OpenFile("f", os.O_CREATE|os.O_RDWR, 0o644)
	w.try(err)
	text := strings.Repeat("abcdefgh", 400_000) // several WRITEs go out at once
	_, err = f.Write([]byte(text))
	w.try(err)
	w.restart()
	writes := w.a.Calls()["WRITE"]
	w.try(f.Sync())
	if w.a.Calls()["WRITE"] == writes {
		w.wrong("nothing was written again, though the server had not been told to keep it")
	}
	w.muchLater()
	w.content(w.b, "f", text)
	w.try(f.Close())
}

func confusedNames(w *world) {
	var names []string
	for _, name := range []string{"Foo", "foo", "FOO", "\u00e4", "a\u0308", "._foo", "\xff", ".nfs.x", "%41", "A", "~"} {
		w.put(w.a, name, "content of "+name)
		names = append(names, name)
	}
	w.later()
	w.sameNames(w.b, "", names)
	for _, name := range names {
		w.content(w.b, name, "content of "+name)
	}
	_, err := w.b.Lstat("fOO")
	w.refused("another spelling", err, syscall.ENOENT)
}

// changeBelow changes lower directories behind the server's back, as a store that is shared
// does, and has it told: within a minute all is seen.
func changeBelow(w *world) {
	for i := range rounds {
		below := filepath.Join(w.o.Lowers[i%2], "below")
		name := fmt.Sprint("new", i)
		_, err := w.b.Lstat("below/" + name)
		w.refused("lstat before it is there", err, fs.ErrNotExist)
		w.names(w.b, "below")
		w.try(os.WriteFile(filepath.Join(below, name), []byte("new"), 0o644))
		w.refresh()
		w.content(w.b, "below/"+name, "new")
		w.try(os.WriteFile(filepath.Join(below, "other"), []byte("other"), 0o644))
		w.try(os.Rename(filepath.Join(below, "other"), filepath.Join(below, name)))
		w.refresh()
		w.content(w.b, "below/"+name, "other")
		w.try(os.Remove(filepath.Join(below, name)))
		w.refresh()
		_, err = w.b.Lstat("below/" + name)
		w.refused("lstat after it has gone", err, fs.ErrNotExist)
		w.sameNames(w.b, "below", []string{"a", "b"})
		w.put(w.b, "below/own", "x")
		w.try(w.b.Remove("below/own"))
	}
}

// refresh tells the server of changes, and lets the client look.
func (w *world) refresh() {
	_, err := w.fsys.Refresh()
	w.try(err)
	w.later()
}

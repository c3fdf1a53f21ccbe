package faults

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
)

// lowerData is what the files in a lower directory hold.
var lowerData = string(bytes.Repeat([]byte("lower"), 1000))

// lowerNames are listed in its directory sub.
var lowerNames = []string{".", "..", "read", "unread"}

// newLower fills a directory.
func newLower(t *testing.T, dir string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Join(dir, "sub"), 0o755))
	for _, name := range []string{"read", "changed", "sub/read", "sub/unread"} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(lowerData), 0o644))
	}
}

// A lower directory whose disk is pulled out gives errors, and no names are missing from
// what is listed instead; what is in the upper goes on. When it is back and the server
// started again, all of it is there, by the handles from before.
func TestLowerDiskPulled(t *testing.T) {
	d := ext4(t)
	lower := filepath.Join(d.point, "lower")
	newLower(t, lower)
	s := newServer(t, t.TempDir(), lower)
	c := newClient(t, s)
	l := c.lowerFiles()
	mine := c.put("mine", []byte("mine"))
	d.sync()
	d.pull()
	if _, err := c.read(l.unread, 0, 100); err == nil {
		t.Error("a file on a disk that was pulled out can be read")
	}
	if names, err := c.list(l.sub); err == nil && len(names) != len(lowerNames) {
		t.Errorf("of a directory on a disk that was pulled out only %q is listed", names)
	}
	if _, err := c.lookup(l.sub, "read"); err == nfsclient.ErrNoEnt {
		t.Error("a name on a disk that was pulled out is said not to be there")
	}
	c.holds("a file that was copied up", l.changed, l.changedData())
	c.holds("a file of the upper", mine, []byte("mine"))
	must(t, c.write(mine, 4, []byte("more"), nfsclient.FileSync))
	s.Kill()
	d.unmount()
	d.mend()
	d.mount()
	s.start()
	l.check()
	c.holds("a file of the upper", mine, []byte("minemore"))
	s.checkStore()
}

// A lower directory whose file system is unmounted under the server stays what it was
// as long as the server has it open; a server that is started without it says so
// and serves nothing; and when it is back, all of it is there.
func TestLowerUnmounted(t *testing.T) {
	d := ext4(t)
	lower := filepath.Join(d.point, "lower")
	newLower(t, lower)
	s := newServer(t, t.TempDir(), lower)
	c := newClient(t, s)
	l := c.lowerFiles()
	d.tool("umount", "--lazy", d.point)
	l.check()
	s.hasProblem("is not at its path any more")
	s.Kill()
	s.isRefused("--lower " + lower + " is not there")
	d.mount()
	s.start()
	l.check()
	s.checkStore()
}

// A lower directory that is removed behind the server is gone, and is told; what was
// copied up of it stays. Another one at its path is shown by the next server.
func TestLowerRemoved(t *testing.T) {
	lower := filepath.Join(t.TempDir(), "lower")
	newLower(t, lower)
	s := newServer(t, t.TempDir(), lower)
	c := newClient(t, s)
	l := c.lowerFiles()
	must(t, os.RemoveAll(lower))
	_, err := c.lookup(c.root, "read")
	wantStatus(t, "look up", err, nfsclient.ErrNoEnt)
	c.holds("a file that was copied up", l.changed, l.changedData())
	c.put("mine", []byte("mine"))
	s.hasProblem("was removed")
	newLower(t, lower)
	s.restart()
	fh, err := c.lookup(c.root, "read")
	must(t, err)
	c.holds("a file that is there again", fh, []byte(lowerData))
	c.holds("a file that was copied up", l.changed, l.changedData())
}

// lowerFiles are handles of what is in a lower directory.
type lowerFiles struct {
	c                          *client
	sub, read, changed, unread nfsclient.FH
}

// lowerFiles reads what newLower made, and changes a file of it.
func (c *client) lowerFiles() *lowerFiles {
	c.t.Helper()
	l := &lowerFiles{c: c}
	find := func(dir nfsclient.FH, name string) nfsclient.FH {
		fh, err := c.lookup(dir, name)
		must(c.t, err)
		return fh
	}
	l.sub, l.read, l.changed = find(c.root, "sub"), find(c.root, "read"), find(c.root, "changed")
	l.unread = find(l.sub, "unread")
	must(c.t, c.write(l.changed, 0, []byte("UPPER"), nfsclient.FileSync))
	c.holds("a lower file", l.read, []byte(lowerData))
	return l
}

func (l *lowerFiles) changedData() []byte { return []byte("UPPER" + lowerData[5:]) }

// check reads everything by the handles from before.
func (l *lowerFiles) check() {
	l.c.t.Helper()
	l.c.holds("a lower file", l.read, []byte(lowerData))
	l.c.holds("a lower file in a directory", l.unread, []byte(lowerData))
	l.c.holds("a file that was copied up", l.changed, l.changedData())
	if names, err := l.c.list(l.sub); err != nil || !slices.Equal(names, lowerNames) {
		l.c.t.Errorf("the directory holds %q, %v", names, err)
	}
}

package faults

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
	"github.com/nixnfsd/nixnfsd/internal/testenv"
)

// btrfsQuota is a disk with room on which the store may have little.
func btrfsQuota(t *testing.T) *disk {
	_, err := exec.LookPath("mkfs.btrfs")
	testenv.Require(t, err == nil, "mkfs.btrfs is not installed")
	d := newDisk(t, 256<<20, "loop", "mkfs.btrfs", "-q")
	d.tool("btrfs", "quota", "enable", d.point)
	d.tool("btrfs", "qgroup", "limit", "32M", d.point)
	return d
}

// fewInodes is a disk, in memory, that has room for some files only, however small.
func fewInodes(t *testing.T) *disk {
	testenv.Require(t, os.Getuid() == 0, "to mount a file system takes root")
	d := &disk{t: t, point: t.TempDir()}
	d.tool("mount", "-t", "tmpfs", "-o", "nr_inodes=48,size=128m", "tmpfs", d.point)
	t.Cleanup(func() { _ = unix.Unmount(d.point, unix.MNT_DETACH) })
	return d
}

// A disk that is full, of data or of files, or a quota that is used up, with the store and the
// server's state on it, is told to who writes, and by `nixnfsd layers`. What was acknowledged
// stays, also over a restart, reading and removing go on, and with room again everything does.
func TestFull(t *testing.T) {
	for _, tt := range []struct {
		name   string
		disk   func(*testing.T) *disk
		want   nfsclient.Status
		told   string // by layers
		lowers func(*testing.T) []string
	}{
		{"disk", ext4, nfsclient.ErrNoSpc, "no space left", none},
		{"quota, which leaves not even an empty file", btrfsQuota, nfsclient.ErrDQuot, "disk quota exceeded", none},
		{"quota, over a lower directory", btrfsQuota, nfsclient.ErrDQuot, "disk quota exceeded", oneLower},
		{"inodes", fewInodes, nfsclient.ErrNoSpc, "no space left", none},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := tt.disk(t)
			s := newServer(t, d.point, tt.lowers(t)...)
			c := newClient(t, s)
			data := bytes.Repeat([]byte("acknowledged"), 10_000)
			kept := c.put("kept", data)
			files, err := c.fill()
			wantStatus(t, "write without room", err, tt.want)
			t.Logf("%d files of 1 MiB until then", len(files))
			c.check(kept, data, files)
			s.hasProblem("cannot be written to: " + tt.told)
			s.Kill()
			s.start()
			c.check(kept, data, files)
			_, err = c.fillOn(len(files))
			wantStatus(t, "write without room", err, tt.want)
			must(t, c.remove(c.root, filler(0)))
			must(t, c.remove(c.root, filler(1)))
			c.holds("what is written with room again", c.put("after", data), data)
			must(t, c.rename(c.root, "after", "renamed"))
			c.check(kept, data, files[2:])
			s.checkStore()
		})
	}
}

func none(*testing.T) []string { return nil }

func oneLower(t *testing.T) []string {
	dir := t.TempDir()
	newLower(t, dir)
	return []string{dir}
}

func filler(i int) string { return fmt.Sprint("filler-", i) }

// fill makes files of 1 MiB until there is no room for one. It gives those that are on disk,
// and the error.
func (c *client) fill() (files []nfsclient.FH, err error) { return c.fillOn(0) }

// fillOn is fill where there are files already.
func (c *client) fillOn(have int) (files []nfsclient.FH, err error) {
	c.t.Helper()
	for {
		fh, err := c.create(c.root, filler(have+len(files)))
		if err == nil {
			err = c.write(fh, 0, fillerData(fh), nfsclient.FileSync)
		}
		if err != nil {
			return files, err
		}
		files = append(files, fh)
	}
}

// fillerData differs from file to file.
func fillerData(fh nfsclient.FH) []byte {
	return bytes.Repeat([]byte(fh), 1<<20/len(fh))
}

// check compares what was acknowledged.
func (c *client) check(kept nfsclient.FH, data []byte, files []nfsclient.FH) {
	c.t.Helper()
	c.holds("the file from before", kept, data)
	for i, fh := range files {
		c.holds(filepath.Join("file", fmt.Sprint(i)), fh, fillerData(fh))
	}
}

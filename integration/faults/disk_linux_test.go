package faults

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/internal/testenv"
)

// disk is a file system of the test's own on a loop device.
type disk struct {
	t       *testing.T
	image   string
	point   string // where it is mounted
	options string // of mount(8)
}

// newDisk makes a file system by a command to which the image is added, and mounts it.
func newDisk(t *testing.T, size int64, options string, mkfs ...string) *disk {
	t.Helper()
	testenv.Require(t, os.Getuid() == 0, "to mount a file system takes root")
	d := &disk{t: t, image: newImage(t, size), point: t.TempDir(), options: options}
	d.tool(append(mkfs, d.image)...)
	t.Cleanup(func() { _ = unix.Unmount(d.point, unix.MNT_DETACH) }) // the test may have done it
	d.mount()
	return d
}

// newImage makes a sparse file, in memory where there is a file system for that.
func newImage(t *testing.T, size int64) string {
	t.Helper()
	dir := "/dev/shm"
	if unix.Access(dir, unix.W_OK) != nil {
		dir = t.TempDir()
	}
	f, err := os.CreateTemp(dir, "nixnfsd-faults")
	must(t, err)
	t.Cleanup(func() { _ = os.Remove(f.Name()) })
	must(t, f.Truncate(size))
	must(t, f.Close())
	return f.Name()
}

func ext4(t *testing.T) *disk {
	return newDisk(t, 64<<20, "loop,errors=remount-ro", "mkfs.ext4", "-q", "-F", "-N", "2000")
}

// tool runs a program of the administrator's.
func (d *disk) tool(args ...string) {
	d.t.Helper()
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		d.t.Fatalf("%v: %v\n%s", args, err, out)
	}
}

func (d *disk) mount() { d.t.Helper(); d.tool("mount", "-o", d.options, d.image, d.point) }

func (d *disk) unmount() { d.t.Helper(); must(d.t, unix.Unmount(d.point, 0)) }

// device is the name of the block device, such as loop0.
func (d *disk) device() string {
	d.t.Helper()
	var st unix.Stat_t
	must(d.t, unix.Stat(d.point, &st))
	name, err := os.Readlink(fmt.Sprintf("/sys/dev/block/%d:%d", unix.Major(st.Dev), unix.Minor(st.Dev)))
	must(d.t, err)
	return filepath.Base(name)
}

// corrupt has ext4 meet what it takes for damage, upon which it refuses every change.
func (d *disk) corrupt() {
	d.t.Helper()
	must(d.t, os.WriteFile(filepath.Join("/sys/fs/ext4", d.device(), "trigger_fs_error"), []byte("by intent"), 0))
}

func (d *disk) sync() {
	d.t.Helper()
	f, err := os.Open(d.point)
	must(d.t, err)
	defer f.Close()
	must(d.t, unix.Syncfs(int(f.Fd())))
}

// pull has every access fail from now on, as when the disk is pulled out.
func (d *disk) pull() {
	d.t.Helper()
	const shutdown, noFlush = 0x8004587d, 2 // EXT4_IOC_SHUTDOWN, EXT4_GOING_FLAGS_NOLOGFLUSH (fs/ext4/ext4.h)
	f, err := os.Open(d.point)
	must(d.t, err)
	defer f.Close()
	must(d.t, unix.IoctlSetPointerInt(int(f.Fd()), shutdown, noFlush))
}

// mend repairs the file system, which is not mounted, as a machine does when it starts.
func (d *disk) mend() {
	d.t.Helper()
	const corrected = 1 // the exit status of e2fsck(8) when it did something
	out, err := exec.Command("e2fsck", "-fy", d.image).CombinedOutput()
	if exit, ok := err.(*exec.ExitError); err != nil && !(ok && exit.ExitCode() == corrected) {
		d.t.Fatalf("e2fsck: %v\n%s", err, out)
	}
}

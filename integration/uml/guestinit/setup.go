//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/nixnfsd/nixnfsd/integration/hfsplus"
	"github.com/nixnfsd/nixnfsd/integration/uml/spec"
	"golang.org/x/sys/unix"
)

// searchPath is PATH in the guest. The run's own programs come first.
const searchPath = spec.Programs + ":/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// openFiles is the limit on open files: tests of the server keep thousands open.
const openFiles = 1 << 18

// prepare makes a small Unix of the root: loopback, users, modules, scratch.
func prepare(order spec.Run) error {
	unix.Umask(0o022)
	limit := unix.Rlimit{Cur: openFiles, Max: openFiles}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("raise the limit on open files: %w", err)
	}
	if err := unix.Sethostname([]byte("guest")); err != nil {
		return fmt.Errorf("set the host name: %w", err)
	}
	if err := command("busybox", "ip", "link", "set", "lo", "up"); err != nil {
		return err
	}
	if err := linkDevFd(); err != nil {
		return err
	}
	if err := addNames(order); err != nil {
		return err
	}
	if err := loadClient(order.Modules); err != nil {
		return err
	}
	if err := mountScratch(); err != nil {
		return err
	}
	if err := mountVolume(order.Volume); err != nil {
		return err
	}
	return makeDirs(order)
}

// volumeSize is that of a volume that is not the scratch's: its image is sparse.
const volumeSize = 6 << 30

// mountVolume makes and mounts another file system for the export.
func mountVolume(kind string) error {
	switch kind {
	case "":
		return nil
	case spec.HFSPlus:
	default:
		return fmt.Errorf("unknown volume %q", kind)
	}
	const image = spec.Scratch + "/volume.image"
	if err := hfsplus.Create(image, volumeSize, "volume", time.Now()); err != nil {
		return fmt.Errorf("make the volume: %w", err)
	}
	if err := os.Mkdir(spec.Volume, 0o755); err != nil {
		return err
	}
	if err := command("modprobe", "-a", "loop", "hfsplus"); err != nil {
		return err
	}
	return command("mount", "-t", "hfsplus", "-o", "loop", image, spec.Volume)
}

// command runs a program to its end; its output is part of the error.
func command(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// linkDevFd makes what udev makes elsewhere.
func linkDevFd() error {
	for link, target := range map[string]string{
		"/dev/fd": "/proc/self/fd", "/dev/stdin": "/proc/self/fd/0",
		"/dev/stdout": "/proc/self/fd/1", "/dev/stderr": "/proc/self/fd/2",
	} {
		if err := os.Symlink(target, link); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	return nil
}

// addNames gives the users names and homes, and loopback its name.
func addNames(order spec.Run) error {
	for _, uid := range []int{order.ServerUID, order.TestUID} {
		if err := addLine("/etc/passwd", fmt.Sprintf(":%d:", uid), fmt.Sprintf("user%d:x:%d:%d::%s:/bin/sh", uid, uid, uid, home(uid))); err != nil {
			return err
		}
		if err := addLine("/etc/group", fmt.Sprintf(":%d:", uid), fmt.Sprintf("user%d:x:%d:", uid, uid)); err != nil {
			return err
		}
	}
	return addLine("/etc/hosts", "localhost", "127.0.0.1 localhost")
}

// addLine appends a line to a file that does not hold the given text.
func addLine(file, unless, line string) error {
	text, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if strings.Contains(string(text), unless) {
		return nil
	}
	return os.WriteFile(file, append(text, line+"\n"...), 0o644)
}

// loadClient makes the modules known and loads the NFS client, so that a
// kernel without one fails here and not at the first mount.
func loadClient(modules string) error {
	release, err := kernelRelease()
	if err != nil {
		return err
	}
	link := filepath.Join("/lib/modules", release)
	if err := os.MkdirAll("/lib/modules", 0o755); err != nil {
		return err
	}
	if err := os.Symlink(filepath.Join(modules, release), link); err != nil {
		return err
	}
	return command("modprobe", "-a", "nfs", "nfsv3")
}

// mountScratch mounts the disk without barriers: the disk does not outlive the run, and
// each barrier would make the host sync its image.
func mountScratch() error {
	return mounting{"/dev/ubda", spec.Scratch, "ext4", "barrier=0"}.do()
}

// makeDirs makes the directories of the scratch and hands them to their users.
func makeDirs(order spec.Run) error {
	if err := os.Remove(filepath.Join(spec.Scratch, "lost+found")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	dirs := []struct {
		path string
		uid  int
	}{
		{spec.MountPoint, 0},
		{spec.Scratch, order.ServerUID},
		{spec.Volume, order.ServerUID},
		{spec.Export, order.ServerUID},
		{spec.Plain, order.TestUID},
		{home(order.ServerUID), order.ServerUID},
		{home(order.TestUID), order.TestUID},
	}
	for _, d := range dirs {
		if err := os.MkdirAll(d.path, 0o755); err != nil {
			return err
		}
		if err := os.Chown(d.path, d.uid, d.uid); err != nil {
			return err
		}
	}
	return nil
}

func home(uid int) string {
	return filepath.Join(spec.Home, fmt.Sprint(uid))
}

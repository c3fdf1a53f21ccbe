//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/nixnfsd/nixnfsd/integration/uml/spec"
	"golang.org/x/sys/unix"
)

// newRoot is where the guest's root is put together before the chroot.
const newRoot = "/mnt/root"

// firstProcess builds the root, starts the supervisor in it, reaps whatever
// dies, and turns the machine off when the supervisor has ended.
func firstProcess() error {
	err := boot()
	if err != nil {
		fmt.Fprintln(os.Stderr, "guestinit: boot:", err) // on the kernel's console
	}
	return errors.Join(err, unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF))
}

func boot() error {
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	runDir, err := runDir()
	if err != nil {
		return err
	}
	order, err := readOrder(runDir)
	if err != nil {
		return err
	}
	if err := buildRoot(order, runDir); err != nil {
		return err
	}
	if err := errors.Join(unix.Chroot(newRoot), os.Chdir("/")); err != nil {
		return fmt.Errorf("enter the new root: %w", err)
	}
	if order.Systemd {
		return becomeSystemd(order)
	}
	return reapUntilSupervisorEnds()
}

// runDir finds the run's directory on the kernel's command line.
func runDir() (string, error) {
	line, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return "", err
	}
	for word := range strings.FieldsSeq(string(line)) {
		if dir, ok := strings.CutPrefix(word, spec.RunArg); ok {
			return dir, nil
		}
	}
	return "", fmt.Errorf("no %s on the kernel's command line", spec.RunArg)
}

func readOrder(dir string) (spec.Run, error) {
	var order spec.Run
	text, err := os.ReadFile(filepath.Join(dir, spec.Order))
	if err != nil {
		return order, err
	}
	if err := json.Unmarshal(text, &order); err != nil {
		return order, fmt.Errorf("read the order: %w", err)
	}
	return order, nil
}

// mounting is one call of mount(2); its target is made first.
type mounting struct {
	source, target, kind, options string
}

func (m mounting) do() error {
	if err := os.MkdirAll(m.target, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(m.source, m.target, m.kind, 0, m.options); err != nil {
		return fmt.Errorf("mount %s at %s: %w", m.kind, m.target, err)
	}
	return nil
}

func mountAll(all []mounting) error {
	for _, m := range all {
		if err := m.do(); err != nil {
			return err
		}
	}
	return nil
}

// buildRoot lays the guest's packages over the host's files and a writable
// layer over both. Only /mnt is there to be mounted on: the root is read-only.
func buildRoot(order spec.Run, runDir string) error {
	err := mountAll([]mounting{
		{"tmpfs", "/mnt", "tmpfs", "mode=755"},
		{"tmpfs", "/mnt/rw", "tmpfs", "mode=755,size=80%"},
		{"none", "/mnt/sys", "hostfs", order.SysRoot},
		{"none", "/mnt/host", "hostfs", "/"},
	})
	if err != nil {
		return err
	}
	if err := errors.Join(os.Mkdir("/mnt/rw/upper", 0o755), os.Mkdir("/mnt/rw/work", 0o755)); err != nil {
		return err
	}
	if err := loadOverlay(order.Modules); err != nil {
		return fmt.Errorf("load overlayfs: %w", err)
	}
	err = mountAll([]mounting{
		{"overlay", newRoot, "overlay", "lowerdir=/mnt/sys:/mnt/host,upperdir=/mnt/rw/upper,workdir=/mnt/rw/work"},
		{"overlay", newRoot + spec.Found, "overlay", "lowerdir=/mnt/sys:/mnt/host"},
		{"proc", newRoot + "/proc", "proc", ""},
		{"sysfs", newRoot + "/sys", "sysfs", ""},
		{"devtmpfs", newRoot + "/dev", "devtmpfs", ""},
		{"devpts", newRoot + "/dev/pts", "devpts", "gid=5,mode=620"},
		{"tmpfs", newRoot + "/dev/shm", "tmpfs", "mode=1777"},
		{"tmpfs", newRoot + "/run", "tmpfs", "mode=755"},
		{"none", newRoot + spec.Harness, "hostfs", runDir},
		{"none", newRoot + spec.Out, "hostfs", order.OutDir},
	})
	return errors.Join(err, os.Mkdir(newRoot+spec.Changes, 0o755), unix.Mount("/mnt/rw/upper", newRoot+spec.Changes, "", unix.MS_BIND, ""))
}

// loadOverlay loads the module by hand: there is no root yet that has modprobe.
func loadOverlay(modules string) error {
	known, err := os.ReadFile("/proc/filesystems")
	if err != nil || bytes.Contains(known, []byte("\toverlay\n")) {
		return err
	}
	release, err := kernelRelease()
	if err != nil {
		return err
	}
	module, err := os.Open(filepath.Join(modules, release, "kernel/fs/overlayfs/overlay.ko"))
	if err != nil {
		return err
	}
	defer module.Close()
	return unix.FinitModule(int(module.Fd()), "", 0)
}

func kernelRelease() (string, error) {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return "", fmt.Errorf("uname: %w", err)
	}
	return unix.ByteSliceToString(name.Release[:]), nil
}

// reapUntilSupervisorEnds starts the supervisor and is init to all others.
func reapUntilSupervisorEnds() error {
	self := filepath.Join(spec.Programs, spec.Init)
	child, err := os.StartProcess(self, []string{self, "supervise"}, &os.ProcAttr{
		Env:   []string{"PATH=" + searchPath},
		Files: []*os.File{nil, os.Stdout, os.Stderr},
	})
	if err != nil {
		return fmt.Errorf("start the supervisor: %w", err)
	}
	for {
		pid, err := unix.Wait4(-1, nil, 0, nil)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return fmt.Errorf("reap: %w", err)
		case pid == child.Pid:
			return nil
		}
	}
}

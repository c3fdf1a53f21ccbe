//go:build linux

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/nixnfsd/nixnfsd/integration/uml/spec"
	"golang.org/x/sys/unix"
)

const (
	packagedUnits  = "/lib/systemd/system"
	enabledUnits   = "/etc/systemd/system"
	superviseUnit  = "supervise.service"
	systemdProgram = "/lib/systemd/systemd"
)

// superviseText is the supervisor's unit. It goes on whatever the test isolates.
const superviseText = `[Unit]
IgnoreOnIsolate=yes
After=dbus.socket systemd-logind.service systemd-user-sessions.service

[Service]
Environment=PATH=` + searchPath + `
ExecStart=` + spec.Programs + "/" + spec.Init + ` supervise
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS0
TimeoutStopSec=1
`

// becomeSystemd makes the first process systemd, which starts the supervisor.
func becomeSystemd(order spec.Run) error {
	err := errors.Join(dropMachines(), enableUnits(), writeSettings(), letSudo(), ownUnpacked(), dropUser(order.ServerUID), addNames(order))
	if err != nil {
		return fmt.Errorf("prepare for systemd: %w", err)
	}
	err = unix.Exec(systemdProgram, []string{systemdProgram, "--unit=multi-user.target"}, []string{"PATH=" + searchPath})
	return fmt.Errorf("run %s: %w", systemdProgram, err)
}

// dropMachines has the guest see nothing of what the machine starts for itself, mounts or
// keeps in /nix.
func dropMachines() error {
	dirs := []string{"/.dockerenv", spec.MountPoint, enabledUnits, "/etc/systemd/user", "/lib/systemd/system-generators", "/lib/systemd/user-generators"}
	for _, target := range []string{"sysinit", "local-fs", "sockets", "timers", "multi-user"} {
		dirs = append(dirs, filepath.Join(packagedUnits, target+".target.wants"))
	}
	for _, dir := range dirs {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return os.WriteFile("/etc/fstab", nil, 0o644)
}

// dropUser has addNames make a user anew: a manager goes by the home that the list of users says.
func dropUser(uid int) error {
	const users = "/etc/passwd"
	lines := slices.DeleteFunc(readLines(users), func(line string) bool {
		fields := strings.Split(line, ":")
		return uid != 0 && len(fields) > 2 && fields[2] == strconv.Itoa(uid)
	})
	return os.WriteFile(users, []byte(strings.Join(lines, "\n")), 0o644)
}

// enableUnits has systemd start what a user's session takes, and the supervisor.
func enableUnits() error {
	wants := filepath.Join(enabledUnits, "multi-user.target.wants")
	err := os.MkdirAll(wants, 0o755)
	for _, unit := range []string{"systemd-journald.service", "dbus.socket", "systemd-logind.service", "systemd-user-sessions.service", superviseUnit} {
		err = errors.Join(err, os.Symlink(filepath.Join(packagedUnits, unit), filepath.Join(wants, unit)))
	}
	return errors.Join(err, os.WriteFile(filepath.Join(packagedUnits, superviseUnit), []byte(superviseText), 0o644))
}

// writeSettings writes what Debian's packages make as they are configured, which those that
// are unpacked for the guest were not.
func writeSettings() error {
	const pam = "account required pam_permit.so\nsession required "
	return errors.Join(
		os.WriteFile("/etc/machine-id", []byte("6e69786e667364000000000000000000\n"), 0o444),
		os.MkdirAll("/etc/pam.d", 0o755),
		os.WriteFile("/etc/pam.d/systemd-user", []byte(pam+"pam_systemd.so\n"), 0o644),
		os.WriteFile("/etc/pam.d/sudo", []byte("auth required pam_permit.so\n"+pam+"pam_permit.so\n"), 0o644),
		addLine("/etc/hosts", "guest", "127.0.0.1 guest"), // which sudo looks up
		addLine("/etc/passwd", "messagebus:", "messagebus:x:990:990::/:/usr/sbin/nologin"),
		addLine("/etc/group", "messagebus:", "messagebus:x:990:"),
	)
}

// letSudo has sudo do what any user asks. It lies where it was unpacked, by any user.
func letSudo() error {
	const program, rules = "/usr/bin/sudo", "/etc/sudoers"
	err := errors.Join(os.RemoveAll(rules), os.RemoveAll(rules+".d"))
	return errors.Join(
		err, os.WriteFile(rules, []byte("ALL ALL=(ALL) NOPASSWD: ALL\n"), 0o440),
		os.Chown(program, 0, 0), os.Chmod(program, 0o755|fs.ModeSetuid),
	)
}

// ownUnpacked gives root what it has on a machine and setup, sudo and systemd-tmpfiles ask about. Here it
// belongs to the user who unpacked the packages.
func ownUnpacked() error {
	for _, path := range []string{"/etc", "/etc/sudo.conf", "/etc/systemd", "/var", "/var/lib", "/var/log", "/var/log/journal"} {
		var stat unix.Stat_t
		err := unix.Lstat(path, &stat)
		if err == nil && stat.Uid != 0 {
			err = os.Lchown(path, 0, 0)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("give %s to root: %w", path, err)
		}
	}
	return nil
}

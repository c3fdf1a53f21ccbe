package uml

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// kernelPackage is the guest's kernel with its modules.
const kernelPackage = "user-mode-linux"

// guestPackages is what the guest needs beyond a minimal Debian, each with all
// it depends on. What the machine has already is not fetched again.
const guestPackages = "netbase busybox-static kmod mount nfs-common nix-bin git sqlite3 fio strace attr nfs-kernel-server rpcbind nfs-ganesha nfs-ganesha-vfs systemd dbus libpam-systemd sudo"

// unpackPackages downloads the packages and unpacks them in dir: the kernel in
// dir/kernel, the others in dir/sysroot.
func unpackPackages(ctx context.Context, dir string, log io.Writer) error {
	archives := filepath.Join(dir, "archives")
	if err := os.MkdirAll(filepath.Join(archives, "partial"), 0o755); err != nil {
		return err
	}
	lists := filepath.Join(filepath.Dir(dir), "lists")
	if err := download(ctx, archives, lists, log); err != nil {
		return err
	}
	fmt.Fprintln(log, "guest: unpacking")
	if err := unpackAll(ctx, archives, dir); err != nil {
		return err
	}
	return os.RemoveAll(archives)
}

// download fetches the packages with the machine's package lists. Where these
// are missing or too old it fetches lists of its own: that needs no root.
func download(ctx context.Context, archives, lists string, log io.Writer) error {
	fmt.Fprintln(log, "guest: downloading", kernelPackage, guestPackages)
	err := fetch(ctx, archives)
	if err == nil {
		return nil
	}
	fmt.Fprintln(log, "guest: updating the package lists")
	own := "Dir::State::lists=" + lists
	if err := os.MkdirAll(filepath.Join(lists, "partial"), 0o755); err != nil {
		return err
	}
	if updateErr := apt(ctx, archives, "update", "-o", own); updateErr != nil {
		return errors.Join(err, updateErr)
	}
	return fetch(ctx, archives, "-o", own)
}

func fetch(ctx context.Context, archives string, options ...string) error {
	install := append([]string{"-y", "--no-install-recommends", "--download-only"}, options...)
	if err := apt(ctx, archives, "install", append(install, strings.Fields(guestPackages)...)...); err != nil {
		return err
	}
	// By itself, because a machine that has it installed needs its files too.
	return apt(ctx, archives, "download", append(options, kernelPackage)...)
}

// apt runs apt-get so that it touches nothing of the machine's but its cache of
// package lists, and works without root.
func apt(ctx context.Context, archives, verb string, args ...string) error {
	common := []string{
		verb, "-q", "-o", "Debug::NoLocking=1", "-o", "APT::Sandbox::User=root",
		"-o", "Dir::Cache::archives=" + archives,
	}
	return command(ctx, archives, "apt-get", append(common, args...)...)
}

func unpackAll(ctx context.Context, archives, dir string) error {
	debs, err := filepath.Glob(filepath.Join(archives, "*.deb"))
	if err != nil {
		return err
	}
	sysRoot := filepath.Join(dir, "sysroot")
	if err := makeSysRoot(sysRoot); err != nil {
		return err
	}
	for _, deb := range debs {
		target := sysRoot
		if strings.HasPrefix(filepath.Base(deb), kernelPackage+"_") {
			target = filepath.Join(dir, "kernel")
		}
		if err := unpackOne(ctx, deb, target); err != nil {
			return err
		}
	}
	return nil
}

// makeSysRoot makes the links of a merged /usr. Old packages still hold /sbin and /lib.
func makeSysRoot(dir string) error {
	for _, name := range []string{"bin", "sbin", "lib", "lib64"} {
		if err := os.MkdirAll(filepath.Join(dir, "usr", name), 0o755); err != nil {
			return err
		}
		if err := os.Symlink(filepath.Join("usr", name), filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// unpackOne unpacks a package and keeps the links of makeSysRoot.
func unpackOne(ctx context.Context, deb, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	const pipe = `set -o pipefail; dpkg-deb --fsys-tarfile "$1" | tar -x --keep-directory-symlink -C "$2"`
	return command(ctx, "", "bash", "-c", pipe, "unpack", deb, dir)
}

// command runs a program in dir; what it printed is part of the error.
func command(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, tail(string(out), 20))
	}
	return nil
}

// tail returns the last n lines of a text.
func tail(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/nixnfsd/nixnfsd/integration/uml/spec"
	"github.com/nixnfsd/nixnfsd/mount"
)

// The contenders, in the order of the table.
const (
	ext4       = "ext4"
	knfsd      = "knfsd"
	knfsdAsync = "knfsd-async"
	ganesha    = "ganesha"
	nixnfsd    = "nixnfsd"
)

// contender is a way in which a directory gets to /nix.
type contender struct {
	name         string
	nfs, mnt     int    // ports; 0: no server
	comm         string // of the server's processes or threads, as ps shows it
	start        func(ctx context.Context, g *guest, c *contender) error
	exportPolicy string // of exports(5)
}

func allContenders() []contender {
	return []contender{
		{name: ext4},
		{name: knfsd, nfs: 2049, mnt: 20048, comm: "nfsd", start: startKnfsd, exportPolicy: "sync"},
		{name: knfsdAsync, nfs: 2049, mnt: 20048, comm: "nfsd", start: startKnfsd, exportPolicy: "async"},
		{name: ganesha, nfs: 22049, mnt: 20049, comm: "ganesha.nfsd", start: startGanesha},
		{name: nixnfsd, nfs: 12049, mnt: 12049, start: startNixnfsd},
	}
}

func contenderNames() (names []string) {
	for _, c := range allContenders() {
		names = append(names, c.name)
	}
	return names
}

// disk is where the contender's ext4 is mounted, and export what of it is shown as /nix.
func (c *contender) disk() string   { return filepath.Join(spec.Scratch, c.name) }
func (c *contender) export() string { return filepath.Join(c.disk(), "export") }

// source is what the client is to mount.
func (c *contender) source() string {
	if c.name == nixnfsd {
		return "127.0.0.1:" + spec.MountPoint
	}
	return "127.0.0.1:" + c.export()
}

// makeDisk makes the contender's ext4. Its image is sparse.
func (c *contender) makeDisk(ctx context.Context) error {
	image := c.disk() + ".image"
	if err := command(ctx, "mke2fs", "-q", "-F", "-t", "ext4", "-m", "0", "-E", "lazy_itable_init=1,nodiscard", image, "3G"); err != nil {
		return err
	}
	if err := os.Mkdir(c.disk(), 0o755); err != nil {
		return err
	}
	if err := command(ctx, "mount", "-t", "ext4", "-o", "loop", image, c.disk()); err != nil {
		return err
	}
	if err := os.Mkdir(c.export(), 0o755); err != nil {
		return err
	}
	for _, dir := range []string{c.disk(), c.export()} {
		if err := os.Chown(dir, user, user); err != nil {
			return err
		}
	}
	return nil
}

// mount shows the contender's directory as /nix, to a client that knows nothing of it.
func (c *contender) mount(ctx context.Context, more string) error {
	if c.nfs == 0 {
		return command(ctx, "mount", "--bind", c.export(), spec.MountPoint)
	}
	return command(ctx, "mount", "-t", "nfs", "-o", c.mountOptions(more), c.source(), spec.MountPoint)
}

// mountOptions are those that nixnfsd tells people to use, with this server's ports.
func (c *contender) mountOptions(more string) string {
	server := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(c.nfs))
	args := mount.Args("linux", mount.Target{Server: server, Export: spec.MountPoint})
	options := args[slices.Index(args, "-o")+1]
	options = strings.Replace(options, fmt.Sprint("mountport=", c.nfs), fmt.Sprint("mountport=", c.mnt), 1)
	return strings.TrimSuffix(options+","+more, ",")
}

// await returns when the server lets itself be mounted.
func (c *contender) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for {
		err := c.mount(ctx, "")
		if err == nil {
			return unmount(ctx)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer: %w", c.name, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// unmount takes what is at /nix away, which has everything written.
func unmount(ctx context.Context) error { return command(ctx, "umount", spec.MountPoint) }

// command runs a program to its end; what it printed is part of the error.
func command(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// daemon starts a program that runs until the guest ends, with its output in a file of its own.
func daemon(ctx context.Context, uid uint32, name string, args ...string) error {
	log, err := os.Create(filepath.Join(spec.Out, filepath.Base(name)+".log"))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	return cmd.Start()
}

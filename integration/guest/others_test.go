//go:build linux

package guest

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"testing"

	"github.com/nixnfsd/nixnfsd/integration/uml/spec"
)

// The server's user here, and another one. The tests themselves are root's.
const (
	ownerUID = 1000
	otherUID = 1001
)

// asOther runs f as the other user, on a thread of its own that ends with it.
func asOther(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // for good
		for _, call := range [][4]uintptr{
			{syscall.SYS_SETGROUPS}, {syscall.SYS_SETRESGID, otherUID, otherUID, otherUID}, {syscall.SYS_SETRESUID, otherUID, otherUID, otherUID},
		} {
			if _, _, errno := syscall.RawSyscall(call[0], call[1], call[2], call[3]); errno != 0 {
				panic(errno)
			}
		}
		f()
	}()
	<-done
}

// ownersTree makes a tree that is partly open to others, and removes it after the
// test. It is the owner's, though root makes it.
func ownersTree(t *testing.T) string {
	t.Helper()
	top := filepath.Join(Mount(t), "tree")
	t.Cleanup(func() { os.RemoveAll(top) })
	for _, e := range []struct {
		name string
		mode os.FileMode
		data string
	}{
		{"", 0o755, ""},
		{"private", 0o700, ""},
		{"listed", 0o744, ""},
		{"writable", 0o777, ""},
		{"readable", 0o666, "readable"},
		{"secret", 0o600, "secret"},
		{"private/file", 0o666, "secret"},
		{"listed/file", 0o666, "secret"},
		{"writable/file", 0o666, "readable"},
		{"program", 0o711, "#!/bin/sh\n"},
	} {
		name := filepath.Join(top, e.name)
		if e.data == "" {
			try(t, os.Mkdir(name, 0o700))
		} else {
			try(t, os.WriteFile(name, []byte(e.data), 0o600))
		}
		try(t, os.Chmod(name, e.mode))
	}
	try(t, os.Symlink("readable", filepath.Join(top, "link")))
	return top
}

// mountOwn mounts the export once more, in a directory of the other user's, as fstab can
// let users do. It is a client of its own, which shares no cache with the one at /nix.
func mountOwn(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(spec.Scratch, "others")
	try(t, os.Mkdir(dir, 0o700))
	try(t, os.Chown(dir, otherUID, otherUID))
	port := os.Getenv(spec.EnvPort)
	options := "vers=3,proto=tcp,port=" + port + ",mountport=" + port + ",nolock,noacl,noresvport,hard,nosharecache"
	out, err := exec.CommandContext(t.Context(), "mount", "-t", "nfs", "-o", options, "127.0.0.1:/nix", dir).CombinedOutput()
	if err != nil {
		t.Fatalf("mount: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
		os.Remove(dir)
	})
	return filepath.Join(dir, "tree")
}

// step is something that a program does below a directory, and what comes of it.
type step struct {
	name string
	do   func(dir string) error
	want error // nil: it works
}

// check does the steps as the other user.
func check(t *testing.T, dir string, steps []step) {
	t.Helper()
	for _, s := range steps {
		var err error
		asOther(func() { err = s.do(dir) })
		if !errors.Is(err, s.want) {
			t.Errorf("%s in %s: got %v, want %v", s.name, dir, err, s.want)
		}
	}
}

func errOf(_ string, err error) error { return err }

func reading(name string) func(dir string) error {
	return func(dir string) error {
		_, err := os.ReadFile(filepath.Join(dir, name))
		return err
	}
}

func listing(name string) func(dir string) error {
	return func(dir string) error {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = f.Readdirnames(-1) // which looks at nothing in it
		return err
	}
}

// changing are the ways to change something, all of which the modes allow. A hard link is EPERM
// to who may not write to the file (fs.protected_hardlinks).
func changing() []step {
	var steps []step
	add := func(name string, do func(dir string) error) { steps = append(steps, step{name, do, fs.ErrPermission}) }
	add("create", func(dir string) error { return os.WriteFile(dir+"/writable/new", nil, 0o666) })
	add("mkdir", func(dir string) error { return os.Mkdir(dir+"/writable/new", 0o777) })
	add("symlink", func(dir string) error { return os.Symlink("x", dir+"/writable/new") })
	add("mkfifo", func(dir string) error { return syscall.Mkfifo(dir+"/writable/new", 0o666) })
	add("remove", func(dir string) error { return syscall.Unlink(dir + "/writable/file") })
	add("rename", func(dir string) error { return syscall.Rename(dir+"/writable/file", dir+"/writable/new") })
	add("link", func(dir string) error { return syscall.Link(dir+"/writable/file", dir+"/writable/new") })
	add("open to write", func(dir string) error { return os.WriteFile(dir+"/readable", []byte("evil"), 0o666) })
	add("truncate", func(dir string) error { return os.Truncate(dir+"/readable", 0) })
	add("access(2) to write", func(dir string) error { return syscall.Access(dir+"/readable", 2) })
	return steps
}

// TestOthersAreRefused: other users of the machine see nothing through the mount, nor through
// one of their own.
func TestOthersAreRefused(t *testing.T) {
	trees := []string{ownersTree(t), mountOwn(t)}
	var steps []step
	for _, name := range []string{"readable", "secret", "private/file", "writable/file", "link"} {
		steps = append(steps, step{"read " + name, reading(name), syscall.EACCES})
	}
	for _, name := range []string{"", "..", "private", "writable"} {
		steps = append(steps, step{"list " + name, listing(name), syscall.EACCES})
	}
	steps = append(steps,
		step{"stat", func(dir string) error { return syscall.Lstat(dir+"/readable", new(syscall.Stat_t)) }, syscall.EACCES},
		step{"readlink", func(dir string) error { return errOf(os.Readlink(dir + "/link")) }, syscall.EACCES},
		step{"chmod", func(dir string) error { return os.Chmod(dir+"/readable", 0o777) }, syscall.EACCES},
		step{"run", func(dir string) error { return exec.Command(dir + "/program").Run() }, syscall.EACCES})
	for _, dir := range trees {
		readAll(t, dir) // so that all is in the kernel's caches
		check(t, dir, slices.Concat(steps, changing()))
	}
	connectAsOther(t)
	unchanged(t, trees[0])
}

// TestOthersRead: with --share-read they read what the modes let them, and change nothing.
func TestOthersRead(t *testing.T) {
	trees := []string{ownersTree(t), mountOwn(t)}
	steps := []step{
		{"read", reading("readable"), nil},
		{"read through a link", reading("link"), nil},
		{"read what is the owner's only", reading("secret"), syscall.EACCES},
		{"read in a directory that is the owner's only", reading("private/file"), syscall.EACCES},
		{"read in a directory that may only be listed", reading("listed/file"), syscall.EACCES},
		{"list", listing(""), nil},
		{"list what may only be listed", listing("listed"), nil},
		{"list what is the owner's only", listing("private"), syscall.EACCES},
		{"statfs", func(dir string) error { return syscall.Statfs(dir, new(syscall.Statfs_t)) }, nil},
		{"access(2) to execute", func(dir string) error { return syscall.Access(dir+"/program", 1) }, nil},
		{"chmod", func(dir string) error { return os.Chmod(dir+"/readable", 0o777) }, syscall.EACCES},
	}
	for _, dir := range trees {
		check(t, dir, slices.Concat(steps, changing()))
		readAll(t, dir)
		check(t, dir, slices.Concat(steps, changing()))
	}
	connectAsOther(t)
	unchanged(t, trees[0])
}

// readAll has root read everything.
func readAll(t *testing.T, dir string) {
	t.Helper()
	for _, name := range []string{"readable", "secret", "private/file", "listed/file", "writable/file"} {
		try(t, reading(name)(dir))
	}
	for _, name := range []string{"", "private", "listed", "writable"} {
		try(t, listing(name)(dir))
	}
}

// unchanged looks at what others might have changed, and whose it is: what root makes is
// the owner's, and cannot be given to root.
func unchanged(t *testing.T, dir string) {
	t.Helper()
	if got, err := os.ReadFile(dir + "/readable"); err != nil || string(got) != "readable" {
		t.Errorf("got %q, %v", got, err)
	}
	entries, err := os.ReadDir(dir + "/writable")
	if err != nil || len(entries) != 1 || entries[0].Name() != "file" {
		t.Errorf("got %v, %v", entries, err)
	}
	for _, name := range []string{"", "private", "secret", "link"} {
		info, err := os.Lstat(filepath.Join(dir, name))
		try(t, err)
		if uid := info.Sys().(*syscall.Stat_t).Uid; uid != ownerUID {
			t.Errorf("%q, which root made, is uid %d's", name, uid)
		}
	}
	if err := os.Chown(dir+"/secret", 0, 0); !errors.Is(err, syscall.EPERM) {
		t.Errorf("chown to root: got %v, want EPERM", err)
	}
}

// connectAsOther has the server hang up on the other user.
func connectAsOther(t *testing.T) {
	t.Helper()
	var got []byte
	var err error
	asOther(func() {
		var c net.Conn
		if c, err = net.Dial("tcp", "127.0.0.1:"+os.Getenv(spec.EnvPort)); err == nil {
			got, err = io.ReadAll(c)
			c.Close()
		}
	})
	if err != nil && !errors.Is(err, syscall.ECONNRESET) || len(got) > 0 {
		t.Errorf("a connection: got % x, %v", got, err)
	}
}

package posixtest

import (
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// calls are system calls on one path that must exist, by name.
func calls() map[string]func(path string) error {
	var st unix.Stat_t
	times := []unix.Timespec{timespec(1, 0), timespec(1, 0)}
	open := func(path string, flags int) error {
		fd, err := unix.Open(path, flags, 0)
		if err == nil {
			err = unix.Close(fd)
		}
		return err
	}
	return map[string]func(string) error{
		"open":       func(path string) error { return open(path, unix.O_RDONLY) },
		"open-write": func(path string) error { return open(path, unix.O_WRONLY) },
		"stat":       func(path string) error { return unix.Stat(path, &st) },
		"lstat":      func(path string) error { return unix.Lstat(path, &st) },
		"access":     func(path string) error { return unix.Access(path, unix.F_OK) },
		"chmod":      func(path string) error { return unix.Chmod(path, 0o600) },
		"chown":      func(path string) error { return unix.Chown(path, os.Geteuid(), -1) },
		"lchown":     func(path string) error { return unix.Lchown(path, os.Geteuid(), -1) },
		"utimes":     func(path string) error { return unix.UtimesNanoAt(unix.AT_FDCWD, path, times, 0) },
		"truncate":   func(path string) error { return unix.Truncate(path, 0) },
		"unlink":     unix.Unlink,
		"rmdir":      unix.Rmdir,
		"readlink":   func(path string) error { _, err := unix.Readlink(path, make([]byte, 10)); return err },
		"readdir":    func(path string) error { _, err := os.ReadDir(path); return err },
		"chdir":      unix.Chdir,
		"statfs":     func(path string) error { var s unix.Statfs_t; return unix.Statfs(path, &s) },
		"rename":     func(path string) error { return unix.Rename(path, path+".new") },
		"link":       func(path string) error { return unix.Link(path, path+".new") },
	}
}

// makers are system calls that make an object under a path.
func makers() map[string]func(path string) error {
	return map[string]func(string) error{
		"create": func(path string) error {
			fd, err := unix.Open(path, createNew, 0o644)
			if err == nil {
				err = unix.Close(fd)
			}
			return err
		},
		"mkdir":   func(path string) error { return unix.Mkdir(path, 0o755) },
		"symlink": func(path string) error { return unix.Symlink("target", path) },
		"mkfifo":  func(path string) error { return unix.Mkfifo(path, 0o644) },
	}
}

func errnoCases() []testCase {
	var cases []testCase
	for name, call := range calls() {
		cases = append(cases, testCase{name: name, run: func(p *place) {
			refusedPaths(p, call)
			p.refused("missing", call(p.path("none")), unix.ENOENT)
			p.refused("empty path", call(""), unix.ENOENT)
		}})
	}
	for name, call := range makers() {
		cases = append(cases, testCase{name: name, run: func(p *place) {
			refusedPaths(p, call)
			p.mkdir("d")
			p.symlink("none", "s")
			for _, existing := range []string{"f", "d", "s", "d/.", "d/.."} {
				p.refused("over "+existing, call(p.path(existing)), unix.EEXIST, syscall.EISDIR)
			}
		}})
	}
	return append(cases, testCase{name: "after-everything-nothing-changed", run: func(p *place) {
		p.file("f", "kept")
		for _, call := range calls() {
			_ = call(p.path("f/x"))
		}
		p.content("f", "kept")
		p.entries("", "f")
	}})
}

// refusedPaths tries paths that no call can use. It leaves a file f.
func refusedPaths(p *place, call func(string) error) {
	p.Helper()
	p.file("f", "x")
	p.symlink("loop", "loop")
	long := strings.Repeat("n", 256)
	for _, tt := range []struct {
		path string
		want syscall.Errno
	}{
		{"none/x", unix.ENOENT},
		{"none/../f", unix.ENOENT},
		{"f/x", unix.ENOTDIR},
		{"f/x/y", unix.ENOTDIR},
		{"f/..", unix.ENOTDIR},
		{"loop/x", unix.ELOOP},
		{long, unix.ENAMETOOLONG},
		{long + "/x", unix.ENAMETOOLONG},
		{strings.Repeat("x/", 2100), unix.ENAMETOOLONG},
	} {
		p.refused(brief(tt.path), call(p.path(tt.path)), tt.want)
	}
}

package mount

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"slices"
	"strings"
	"syscall"
)

// Run runs a command, whose program is named by its whole path, and says of a failure what the
// command said. When ctx ends first the program is killed, and not waited for: where the kernel
// does not let it go, it stays.
func Run(ctx context.Context, argv []string) error {
	_, err := output(ctx, argv[0], argv[1:]...)
	return err
}

// output runs a program, named by its whole path, and gives what it printed.
// When ctx ends first the program is killed, and output does not wait for it:
// where the kernel does not let it go, it stays until the server comes back.
func output(ctx context.Context, program string, args ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		return "", err
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case err := <-done:
		if text := strings.TrimSpace(stderr.String()); err != nil && text != "" {
			err = errors.New(strings.TrimPrefix(text, "nixnfsd: ")) // what it said says more than its exit status
		}
		return stdout.String(), err
	case <-ctx.Done():
		if err := cmd.Process.Kill(); err != nil {
			return "", fmt.Errorf("kill %s, which did not end in time: %w", program, err)
		}
		return "", ctx.Err()
	}
}

// StatFunc looks at directories, as Look does.
type StatFunc func(ctx context.Context, dirs ...string) error

// StatInChild gives a function that looks at directories by running program
// with args and the directories. Only the child hangs where the mount is dead.
func StatInChild(program string, args ...string) StatFunc {
	return func(ctx context.Context, dirs ...string) error {
		_, err := output(ctx, program, slices.Concat(args, dirs)...)
		return err
	}
}

// Look looks at directories, those of an NFS mount as the server has them now. It hangs
// where a mount is dead.
func Look(dirs ...string) error {
	var errs []error
	for _, dir := range dirs {
		isDir, err := look(dir)
		if err == nil && !isDir {
			err = syscall.ENOTDIR
		}
		if err != nil {
			errs = append(errs, &fs.PathError{Op: "stat", Path: dir, Err: err})
		}
	}
	return errors.Join(errs...)
}

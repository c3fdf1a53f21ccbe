package mount

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
)

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

// StatInChild gives a function that looks at a directory by running program
// with args and the directory. Only the child hangs where the mount is dead.
func StatInChild(program string, args ...string) func(ctx context.Context, dir string) error {
	return func(ctx context.Context, dir string) error {
		_, err := output(ctx, program, append(args[:len(args):len(args)], dir)...)
		return err
	}
}

//go:build !linux

package uml

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
)

func checkHost() error {
	return fmt.Errorf("this is %s, and User Mode Linux needs Linux", runtime.GOOS)
}

func lock(string) (func(), error) { return nil, errors.ErrUnsupported }

func guarded(ctx context.Context, argv ...string) *exec.Cmd {
	return exec.CommandContext(ctx, argv[0], argv[1:]...)
}

func processor(int) string { return "0" }

func memoryDir(int) (string, error) { return "", errors.ErrUnsupported }

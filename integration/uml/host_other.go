//go:build !linux

package uml

import (
	"errors"
	"fmt"
	"os/exec"
	"runtime"
)

func checkHost() error {
	return fmt.Errorf("this is %s, and User Mode Linux needs Linux", runtime.GOOS)
}

func lock(string) (func(), error) { return nil, errors.ErrUnsupported }

func runGroup(*exec.Cmd) error { return errors.ErrUnsupported }

func processor(int) string { return "0" }

func memoryDir(int) (string, error) { return "", errors.ErrUnsupported }

package handover

import (
	"fmt"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// envName is the variable of the environment that a successor finds.
const envName = "NIXNFSD_HANDOVER"

// Exec puts program in the place of this process. It returns only when that failed: then the
// Bundle is as it was.
func (b *Bundle) Exec(program string) error { return b.exec(program, program) }

func (b *Bundle) exec(program, name string) error {
	m, fds, err := b.list()
	if err != nil {
		return fmt.Errorf("hand over: %w", err)
	}
	if err := b.write(&m); err != nil {
		return fmt.Errorf("hand over: %w", err)
	}
	n, err := number(b.manifest)
	if err != nil {
		return fmt.Errorf("hand over: %w", err)
	}
	return fmt.Errorf("start %s: %w", program, execKeeping(program, append([]string{name}, b.Args...), n, append(fds, n)))
}

// Return gives the Bundle back to the program that left it, in the place of this process, with
// the reason why. It returns only when that cannot be done: nil where there is no Bundle, or no
// program.
func (b *Bundle) Return(reason error) error {
	if b == nil || b.Program == nil {
		return nil
	}
	n, err := number(b.Program)
	if err != nil {
		return err
	}
	back := *b
	back.Program, back.Failure = nil, reason.Error()
	return back.exec(programPath(n), "nixnfsd")
}

// execKeeping keeps the descriptors, and of what Go does to the limit of open files before an
// exec, which may not come about, nothing. No child can be started meanwhile, with
// descriptors that are not for it.
func execKeeping(program string, argv []string, manifest int, fds []int) error {
	syscall.ForkLock.Lock()
	defer syscall.ForkLock.Unlock()
	for _, fd := range fds {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0); err != nil {
			return err
		}
		defer unix.CloseOnExec(fd)
	}
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) == nil {
		defer unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
	}
	env := append(os.Environ(), envName+"="+strconv.Itoa(manifest))
	return syscall.Exec(program, argv, env)
}

// Receive gives what a predecessor left to this process, or nil without one.
func Receive() (*Bundle, error) {
	value, ok := os.LookupEnv(envName)
	if !ok {
		return nil, nil
	}
	os.Unsetenv(envName) // nothing that this process starts is to find it
	fd, err := strconv.Atoi(value)
	if err != nil {
		return nil, fmt.Errorf("%s=%q is no descriptor: unset it", envName, value)
	}
	b, err := receive(fd)
	if err != nil {
		return nil, fmt.Errorf("take over from the server before: %w", err)
	}
	return b, nil
}

package sysfault

import (
	"fmt"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Answer is what becomes of a system call. The zero value lets it go on.
type Answer struct {
	// Errno is what it fails with, without being made.
	Errno syscall.Errno
	// Pretend answers it as done (0), without its being made.
	Pretend bool
}

// Run calls f on a thread of its own and asks rule about each of its file-system
// calls; rule is called on the caller's goroutine, not on that thread. f must not start
// processes, which would be left with the filter. An error says that the system has no
// such filter; f was not called then.
func Run(rule func(Call) Answer, f func()) error {
	type listener struct {
		fd  int
		err error
	}
	started, done := make(chan listener, 1), make(chan struct{})
	go onOwnThread(func() {
		defer close(done)
		fd, err := install()
		started <- listener{fd, err}
		if err == nil {
			f()
		}
	})
	l := <-started
	if l.err != nil {
		return l.err
	}
	err := supervise(l.fd, rule)
	unix.Close(l.fd) // calls that were not answered fail now
	<-done
	return err
}

// onOwnThread calls f on a thread that ends with it. The process's first thread does
// not end: it is kept busy meanwhile.
func onOwnThread(f func()) {
	runtime.LockOSThread()
	if unix.Gettid() != unix.Getpid() {
		f()
		return // locked: the thread ends with the goroutine
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		onOwnThread(f)
	}()
	<-done
	runtime.UnlockOSThread()
}

// install puts the filter on the calling thread and gives the descriptor to answer
// its calls by.
func install() (fd int, err error) {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return -1, fmt.Errorf("give up new privileges: %w", err)
	}
	code := program()
	prog := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	// A call that was received is not begun anew by the runtime's signals.
	const flags = unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
	r, _, e := syscall.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&prog)))
	if e != 0 {
		return -1, fmt.Errorf("install a seccomp filter with a listener: %w", e)
	}
	return int(r), nil
}

// program is the filter: it asks about the calls in kinds and allows all others.
func program() []unix.SockFilter {
	const jump, ret = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, unix.BPF_RET | unix.BPF_K
	code := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}} // the call's number
	for nr := range kinds {
		code = append(code,
			unix.SockFilter{Code: jump, Jf: 1, K: nr}, unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_USER_NOTIF})
	}
	return append(code, unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_ALLOW})
}

// notification and reply are struct seccomp_notif and seccomp_notif_resp
// (seccomp_unotify(2)).
type notification struct {
	id         uint64
	pid, flags uint32
	nr         int32
	arch       uint32
	ip         uint64
	args       [6]uint64
}

type reply struct {
	id    uint64
	val   int64
	errno int32
	flags uint32
}

// supervise answers calls until the thread has ended.
func supervise(fd int, rule func(Call) Answer) error {
	for count := 0; ; {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		if _, err := unix.Poll(p, -1); err != nil && err != unix.EINTR {
			return fmt.Errorf("wait for a system call: %w", err)
		}
		switch {
		case p[0].Revents&unix.POLLIN != 0:
			var n notification
			if err := control(fd, unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&n)); err != nil {
				if err == unix.ENOENT || err == unix.EINTR {
					continue // a signal came first: the call is made again
				}
				return fmt.Errorf("receive a system call: %w", err)
			}
			nr := uint32(n.nr)
			a := rule(Call{N: count, Name: kinds[nr].name, Mutates: mutates(nr, &n.args)})
			count++
			r := a.reply(n.id)
			if err := control(fd, unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&r)); err != nil {
				return fmt.Errorf("answer a system call: %w", err)
			}
		case p[0].Revents != 0:
			return nil
		}
	}
}

func (a Answer) reply(id uint64) reply {
	switch {
	case a.Errno != 0:
		return reply{id: id, errno: -int32(a.Errno)}
	case a.Pretend:
		return reply{id: id}
	}
	return reply{id: id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
}

func control(fd int, request uintptr, p unsafe.Pointer) error {
	if _, _, e := syscall.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(p)); e != 0 {
		return e
	}
	return nil
}

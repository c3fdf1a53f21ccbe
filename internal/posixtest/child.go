package posixtest

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// childEnv makes the test binary a child of a case.
const childEnv = "NIXNFSD_POSIXTEST_CHILD"

// Child turns the process into what a case started it for, and then does not
// return. It belongs at the beginning of TestMain.
func Child() {
	switch os.Getenv(childEnv) {
	case "":
	case "hello":
		fmt.Println("hello from", os.Args[1])
		os.Exit(0)
	default:
		os.Exit(lockChild(os.Getenv(childEnv), os.Stdin, os.Stdout))
	}
}

// lockChild reads lock commands, carries them out on the file and answers each
// with a line: ok, or the error. It ends with its input.
func lockChild(name string, in io.Reader, out io.Writer) int {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for lines := bufio.NewScanner(in); lines.Scan(); {
		answer := "ok"
		if err := lockCommand(f, lines.Text()); err != nil {
			answer = err.Error()
		}
		fmt.Fprintln(out, answer)
	}
	return 0
}

// lockCommand is "flock HOW", "fcntl TYPE START LENGTH" or "read".
func lockCommand(f *os.File, line string) error {
	words := strings.Fields(line)
	var n [3]int
	for i, word := range words[1:] {
		n[i], _ = strconv.Atoi(word)
	}
	switch words[0] {
	case "flock":
		return unix.Flock(int(f.Fd()), n[0])
	case "fcntl":
		return setLock(f, int16(n[0]), int64(n[1]), int64(n[2]))
	default:
		_, err := f.ReadAt(make([]byte, 1), 0)
		return err
	}
}

// setLock sets or clears a byte-range lock without waiting for it.
func setLock(f *os.File, typ int16, start, length int64) error {
	return unix.FcntlFlock(f.Fd(), unix.F_SETLK, &unix.Flock_t{Type: typ, Start: start, Len: length})
}

// A locker is another process that locks a file.
type locker struct {
	*place
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines *bufio.Reader
}

// newLocker starts the process and waits until it has the file open.
func newLocker(p *place, name string) *locker {
	p.Helper()
	self, err := os.Executable()
	p.try(err)
	cmd := exec.CommandContext(p.Context(), self)
	cmd.Env = append(os.Environ(), childEnv+"="+p.path(name))
	cmd.Stderr = os.Stderr
	l := &locker{place: p, cmd: cmd}
	l.stdin, err = cmd.StdinPipe()
	p.try(err)
	stdout, err := cmd.StdoutPipe()
	p.try(err)
	l.lines = bufio.NewReader(stdout)
	p.try(cmd.Start())
	p.Cleanup(func() { l.stop() })
	same(p, "read in the other process", l.ask("read"), "ok")
	return l
}

// ask has the process carry out a command and returns its answer.
func (l *locker) ask(format string, args ...any) string {
	l.Helper()
	_, err := fmt.Fprintf(l.stdin, format+"\n", args...)
	l.try(err)
	answer, err := l.lines.ReadString('\n')
	l.try(err)
	return strings.TrimSpace(answer)
}

// stop ends the process; its locks go with it.
func (l *locker) stop() {
	l.stdin.Close()
	_ = l.cmd.Wait()
}

package status

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/internal/testenv"
)

// pty is a pseudo-terminal, and what was written to it.
type pty struct {
	*os.File // what the program has
	keys     *os.File

	mu   sync.Mutex
	said bytes.Buffer
}

func newTerminal(t *testing.T, columns, rows uint16) *pty {
	t.Helper()
	keys, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	testenv.Require(t, err == nil, fmt.Sprintf("there are no pseudo-terminals: %v", err))
	t.Cleanup(func() { keys.Close() })
	n, err := unix.IoctlGetInt(int(keys.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(keys.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(int(keys.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: columns, Row: rows})
	}
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	term := &pty{File: file, keys: keys}
	go term.listen()
	return term
}

// listen keeps what is written until the terminal is closed.
func (t *pty) listen() {
	var b [4096]byte
	for {
		n, err := t.keys.Read(b[:])
		if err != nil {
			return
		}
		t.mu.Lock()
		t.said.Write(b[:n])
		t.mu.Unlock()
	}
}

func (t *pty) has(s string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Contains(t.said.String(), s)
}

func (t *pty) settings(test *testing.T) unix.Termios {
	test.Helper()
	s, err := unix.IoctlGetTermios(int(t.Fd()), unix.TCGETS)
	if err != nil {
		test.Fatal(err)
	}
	return *s
}

// TestScreen: looks are drawn in place, a key ends it, and the terminal is as before then.
func TestScreen(t *testing.T) {
	for _, key := range []string{"q", "Q", "\x03", "\x04", "xyzq"} {
		term := newTerminal(t, 80, 12)
		before := term.settings(t)
		if !IsScreen(term.File, term.File) {
			t.Fatal("it is no terminal")
		}
		s, ctx, err := Open(t.Context(), term.File, term.File)
		if err != nil {
			t.Fatal(err)
		}
		n := uint64(1)
		var h History
		h.Add(look(t, looker(&n)))
		if err := s.Draw(&h); err != nil {
			t.Error(err)
		}
		testenv.Await(t, "it is drawn", func() bool { return term.has(home+"state     /nix is mounted") && term.has(endPage) })
		if term.has("procedure") {
			t.Error("more rows are drawn than there are")
		}
		if ctx.Err() != nil {
			t.Error("it ends by itself")
		}
		if _, err := term.keys.WriteString(key); err != nil {
			t.Fatal(err)
		}
		<-ctx.Done()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		testenv.Await(t, "it is left", func() bool { return term.has(leave) })
		if after := term.settings(t); after != before {
			t.Errorf("%q: the terminal was %+v and is %+v", key, before, after)
		}
	}
}

func TestIsNoScreen(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if IsScreen(r, w) {
		t.Error("a pipe is a terminal")
	}
	if _, _, err := Open(t.Context(), r, w); err == nil {
		t.Error("a pipe was taken")
	}
}

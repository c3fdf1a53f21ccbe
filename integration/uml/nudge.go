package uml

import (
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// nudgeEvery is how often the guest's kernel is sent what its timer sends.
const nudgeEvery = time.Second

// nudger wakes a guest's kernel now and then. On a busy machine User Mode Linux 6.1
// can lose its timer: it is idle then and waits for ever for a signal that nobody
// sends. One more SIGALRM does no harm, and sets the timer again.
type nudger struct {
	out  io.Writer
	dir  string // of the guest, where it writes its pid
	up   sync.Once
	done chan struct{}
}

func newNudger(out io.Writer, dir string) *nudger {
	return &nudger{out: out, dir: dir, done: make(chan struct{})}
}

// Write takes the test's output. Its first says that the kernel is up; before that
// the signal could end it.
func (n *nudger) Write(p []byte) (int, error) {
	n.up.Do(func() { go n.nudge() })
	return n.out.Write(p)
}

// stop is called when the guest has ended.
func (n *nudger) stop() { close(n.done) }

func (n *nudger) nudge() {
	pid := n.pid()
	tick := time.NewTicker(nudgeEvery)
	defer tick.Stop()
	for pid > 0 {
		select {
		case <-n.done:
			return
		case <-tick.C:
			_ = syscall.Kill(pid, syscall.SIGALRM) // it may have just ended
		}
	}
}

// pid is the guest's kernel's, 0 if it cannot be told.
func (n *nudger) pid() int {
	b, err := os.ReadFile(filepath.Join(n.dir, "guest", "pid"))
	if err != nil {
		return 0
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(string(b)))
	return max(pid, 0)
}

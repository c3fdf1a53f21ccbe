// Package progress shows on a terminal how far long work is, and nothing anywhere else.
package progress

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nixnfsd/nixnfsd/internal/terminal"
	"github.com/nixnfsd/nixnfsd/internal/units"
)

// interval is between two drawings.
const interval = 100 * time.Millisecond

// Bar is one line that is drawn again and again. Counting may be done by any goroutine.
type Bar struct {
	out   io.Writer
	width func() int // of the terminal; 0: it is none
	label string
	total int64 // bytes; 0: nobody knows
	bytes atomic.Int64
	files atomic.Int64
	stop  chan struct{}
	done  sync.WaitGroup
}

// New begins to draw on w, where that is a terminal, for as many bytes as there will be; 0 where that
// is not known.
func New(w io.Writer, label string, total int64) *Bar {
	b := &Bar{out: w, width: func() int { return terminal.Columns(w) }, label: label, total: total, stop: make(chan struct{})}
	b.begin()
	return b
}

func (b *Bar) begin() {
	if b.width() > 0 {
		b.done.Go(b.draw)
	}
}

// Reader counts what is read of r.
func (b *Bar) Reader(r io.Reader) io.Reader { return counter{r, b} }

type counter struct {
	r io.Reader
	b *Bar
}

func (c counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.b.bytes.Add(int64(n))
	return n, err
}

// Add counts bytes.
func (b *Bar) Add(bytes int64) { b.bytes.Add(bytes) }

// File counts a file.
func (b *Bar) File() { b.files.Add(1) }

// Done takes the line away.
func (b *Bar) Done() {
	close(b.stop)
	b.done.Wait()
}

func (b *Bar) draw() {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	start := time.Now()
	for {
		select {
		case <-b.stop:
			fmt.Fprint(b.out, "\r\x1b[K")
			return
		case <-tick.C:
			fmt.Fprintf(b.out, "\r%s\x1b[K", b.line(b.width(), time.Since(start)))
		}
	}
}

// line is what is drawn. It leaves the last column free, where some terminals begin a new line.
func (b *Bar) line(width int, took time.Duration) string {
	bytes, files := b.bytes.Load(), b.files.Load()
	text := units.Bytes(uint64(bytes))
	if b.total > 0 {
		text = fmt.Sprintf("%3d %%  %s of %s", min(100, bytes*100/b.total), text, units.Bytes(uint64(b.total)))
	}
	if files > 0 {
		text += fmt.Sprintf("  %d files", files)
	}
	const settled = 3 * time.Second // before that nobody can tell how long it takes
	if left := b.left(bytes, took); took > settled && left > 0 {
		text += fmt.Sprintf("  %s left", left)
	}
	const brackets, narrow, wide = 7, 10, 40
	room := min(width-len(b.label)-len(text)-brackets, wide)
	if b.total > 0 && room >= narrow {
		full := int(min(int64(room), bytes*int64(room)/b.total))
		text = "[" + strings.Repeat("#", full) + strings.Repeat(" ", room-full) + "]  " + text
	}
	text = b.label + "  " + text
	return text[:min(len(text), max(width-1, 0))]
}

// left is how long it takes at the speed so far.
func (b *Bar) left(bytes int64, took time.Duration) time.Duration {
	if bytes == 0 || bytes > b.total {
		return 0
	}
	return time.Duration(float64(took) * float64(b.total-bytes) / float64(bytes)).Round(time.Second)
}

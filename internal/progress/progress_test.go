package progress

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/nixnfsd/nixnfsd/internal/testenv"
)

func TestLine(t *testing.T) {
	tests := []struct {
		name         string
		width        int
		bytes, total int64
		files        int64
		took         time.Duration
		want         string
	}{
		{"begin", 80, 0, 28 << 20, 7, 0, "unpack  [                                ]    0 %  0 bytes of 28.0 MiB  7 files"},
		{"half", 80, 14 << 20, 28 << 20, 7, time.Second, "unpack  [###############                ]   50 %  14.0 MiB of 28.0 MiB  7 files"},
		{"long", 80, 7 << 20, 28 << 20, 7, 10 * time.Second, "unpack  [#####                 ]   25 %  7.0 MiB of 28.0 MiB  7 files  30s left"},
		{"wide", 200, 28 << 20, 28 << 20, 7, time.Second, "unpack  [" + strings.Repeat("#", 40) + "]  100 %  28.0 MiB of 28.0 MiB  7 files"},
		{"narrow", 40, 14 << 20, 28 << 20, 7, time.Second, "unpack   50 %  14.0 MiB of 28.0 MiB  7 "},
		{"download", 80, 1536, 0, 0, time.Second, "unpack  1.5 KiB"},
		{"unknown", 80, 1536, 0, 7, time.Minute, "unpack  1.5 KiB  7 files"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := &Bar{label: "unpack", total: tt.total}
			b.bytes.Store(tt.bytes)
			b.files.Store(tt.files)
			got := b.line(tt.width, tt.took)
			if got != tt.want || len(got) >= tt.width {
				t.Errorf("got\n%s, want\n%s", got, tt.want)
			}
		})
	}
}

// TestPipe draws nothing where nobody looks.
func TestPipe(t *testing.T) {
	var out bytes.Buffer
	b := New(&out, "unpack", 3)
	if _, err := io.Copy(io.Discard, b.Reader(strings.NewReader("abc"))); err != nil {
		t.Fatal(err)
	}
	b.Done()
	if out.Len() > 0 || b.bytes.Load() != 3 {
		t.Errorf("%d bytes were counted, and %q was drawn", b.bytes.Load(), out.String())
	}
}

// TestDraw takes the line away at the end.
func TestDraw(t *testing.T) {
	r, w := io.Pipe()
	b := &Bar{out: w, width: func() int { return 80 }, label: "unpack", stop: make(chan struct{})}
	b.begin()
	drawn := make(chan string)
	go func() {
		text, _ := io.ReadAll(r)
		drawn <- string(text)
	}()
	testenv.Await(t, "a drawing", func() bool { b.Add(1); return b.bytes.Load() > 20 })
	b.Done()
	w.Close()
	if text := <-drawn; !strings.HasSuffix(text, "\r\x1b[K") {
		t.Errorf("%q is left", text)
	}
}

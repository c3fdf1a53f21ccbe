package status

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"
)

// What a terminal is told (ECMA-48 and xterm's ctlseqs): every terminal of today knows it.
const (
	enter   = "\x1b[?1049h\x1b[?25l" // another screen, without a cursor
	leave   = "\x1b[?25h\x1b[?1049l"
	home    = "\x1b[H"
	endLine = "\x1b[K\r\n" // what was behind it is gone
	endPage = "\x1b[J"
)

// Screen is a terminal that is drawn on.
type Screen struct {
	in, out *os.File
	was     *term.State
}

// IsScreen reports whether a terminal can be drawn on and its keys read.
func IsScreen(in, out *os.File) bool {
	return term.IsTerminal(int(in.Fd())) && term.IsTerminal(int(out.Fd()))
}

// Open takes a terminal until Close. The context ends when q or ^C is typed, which is no signal then.
func Open(ctx context.Context, in, out *os.File) (*Screen, context.Context, error) {
	was, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return nil, ctx, fmt.Errorf("take the terminal: %w", err)
	}
	s := &Screen{in, out, was}
	ctx, cancel := context.WithCancel(ctx)
	go s.keys(cancel)
	_, err = out.WriteString(enter)
	return s, ctx, err
}

// keys waits for one that ends it.
func (s *Screen) keys(end func()) {
	defer end()
	var b [1]byte
	for {
		switch _, err := s.in.Read(b[:]); {
		case err != nil, b[0] == 'q', b[0] == 'Q', b[0] == 'C'&0x1f, b[0] == 'D'&0x1f:
			return
		}
	}
}

// Close gives the terminal back as it was.
func (s *Screen) Close() error {
	_, err := s.out.WriteString(leave)
	return errors.Join(err, term.Restore(int(s.in.Fd()), s.was))
}

// Draw shows a look in the place of the one before, as much of it as there is room for.
func (s *Screen) Draw(h *History) error {
	columns, rows, err := term.GetSize(int(s.out.Fd()))
	if err != nil {
		return fmt.Errorf("ask the terminal how large it is: %w", err)
	}
	_, err = s.out.WriteString(page(h.Lines(columns), rows))
	return err
}

// page is lines as a terminal takes them, so many at most. The last one ends without a line's end,
// which would move all of them up.
func page(lines []string, rows int) string {
	lines = append(lines, "", "q: quit")
	if rows > 0 && len(lines) > rows {
		lines = lines[:rows]
	}
	return home + strings.TrimSuffix(strings.Join(lines, endLine)+endLine, "\r\n") + endPage
}

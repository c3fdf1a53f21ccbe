package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
)

func TestAgreed(t *testing.T) {
	for text, want := range map[string]bool{"y\n": true, " YES \n": true, "y": true, "": false, "n\n": false, "\n": false, "yo\n": false} {
		var out bytes.Buffer
		a := &actor{stdin: bufio.NewReader(strings.NewReader(text)), stdout: &out}
		if got := a.agreed(t.Context(), "Go on?"); got != want || out.String() != "Go on? [y/N] " {
			t.Errorf("%q: got %t, asked %q", text, got, out.String())
		}
	}
}

// TestInterruptedQuestion is nobody's answer: it does not wait for one.
func TestInterruptedQuestion(t *testing.T) {
	silent, open := io.Pipe()
	defer open.Close()
	ctx, cancel := context.WithCancel(t.Context())
	out := interrupter{cancel: cancel}
	a := &actor{stdin: bufio.NewReader(silent), stdout: &out}
	for range 2 {
		if a.agreed(ctx, "Go on?") {
			t.Error("it is taken for a yes")
		}
	}
	if got, want := out.String(), "Go on? [y/N] \n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// interrupter interrupts who writes to it.
type interrupter struct {
	bytes.Buffer
	cancel func()
}

func (i *interrupter) Write(b []byte) (int, error) {
	defer i.cancel()
	return i.Buffer.Write(b)
}

package handover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

const (
	// rehearsal is the variable's value in a rehearsal.
	rehearsal = "rehearsal"
	// rehearsalTime bounds one.
	rehearsalTime = 20 * time.Second
	// maxWords bounds what a program may say, in bytes.
	maxWords = 64 << 10
)

// promise is what a program says in a rehearsal.
type promise struct {
	Format int `json:"format"`
}

// Rehearsing reports whether this process is one to find out whether it could take over. If it
// could, it says so with Promise, and ends.
func Rehearsing() bool { return os.Getenv(envName) == rehearsal }

// Promise tells who rehearses that this program can take over.
func Promise(w io.Writer) error { return json.NewEncoder(w).Encode(promise{format}) }

// Rehearse finds out whether program, with arguments behind its name, can take over from this
// process.
func Rehearse(ctx context.Context, program string, args []string) error {
	ctx, cancel := context.WithTimeout(ctx, rehearsalTime)
	defer cancel()
	var stdout, stderr words
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), envName+"="+rehearsal)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = time.Second // it may leave children that hold the pipes
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = errors.New("it does not end")
		}
		return fmt.Errorf("%s cannot take over: %w%s", program, err, stderr.said())
	}
	var p promise
	switch err := json.Unmarshal(stdout.b, &p); {
	case err != nil:
		return fmt.Errorf("%s cannot take over: it is no nixnfsd, or an older one", program)
	case p.Format != format:
		return fmt.Errorf("%s cannot take over while this server runs: stop it and start that", program)
	}
	return nil
}

// words keeps the beginning of what a program says.
type words struct{ b []byte }

var errTooMuch = errors.New("it says too much")

// Write implements io.Writer.
func (w *words) Write(p []byte) (int, error) {
	if len(w.b)+len(p) > maxWords {
		return 0, errTooMuch
	}
	w.b = append(w.b, p...)
	return len(p), nil
}

// said is the last line, behind a colon.
func (w *words) said() string {
	lines := strings.Split(strings.TrimSpace(string(w.b)), "\n")
	if last := lines[len(lines)-1]; last != "" {
		return ": " + last
	}
	return ""
}

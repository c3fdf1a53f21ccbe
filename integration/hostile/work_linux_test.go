package hostile

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
)

// orderWork is the order of the owner's process.
const orderWork = "work"

// patience bounds an attack. A server that is well is done with one in seconds.
const patience = 2 * time.Minute

// worked is what the owner's process says at its end.
type worked struct {
	Rounds  int
	Longest time.Duration // of a round
	Dials   int
	Err     string
}

// work goes on reading what it wrote, on one connection, and connects anew now and then,
// until its standard input ends.
func work(ctx context.Context, o *order) {
	var w worked
	if err := w.run(ctx, o); err != nil {
		w.Err = err.Error()
	}
	_ = json.NewEncoder(os.Stdout).Encode(w)
}

func (w *worked) run(ctx context.Context, o *order) error {
	stop := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(stop)
	}()
	c, err := dialAs(ctx, o, ownerUID)
	if err != nil {
		return err
	}
	defer c.Close()
	file, err := c.Create(ctx, o.Root, fmt.Sprint("work", os.Getpid()), nfsclient.Guarded, nfsclient.SetAttr{Mode: new(uint32(0o600))})
	if err != nil {
		return err
	}
	defer c.Remove(ctx, o.Root, fmt.Sprint("work", os.Getpid()))
	fmt.Println("begun")
	for {
		select {
		case <-stop:
			return nil
		case <-time.After(time.Millisecond):
		}
		if err := w.round(ctx, c, o, *file.FH); err != nil {
			return err
		}
	}
}

// round writes and reads, and every so often looks whether new connections are let in.
func (w *worked) round(ctx context.Context, c *nfsclient.Client, o *order, file nfsclient.FH) error {
	const redial = 20
	start := time.Now()
	data := []byte(start.String())
	if _, err := c.Write(ctx, file, 0, nfsclient.Unstable, data); err != nil {
		return err
	}
	r, err := c.Read(ctx, file, 0, uint32(len(data)))
	if err != nil || !bytes.Equal(r.Data, data) {
		return fmt.Errorf("read %q, %w, want %q", r.Data, err, data)
	}
	w.Longest = max(w.Longest, time.Since(start))
	w.Rounds++
	if w.Rounds%redial != 1 {
		return nil
	}
	again, err := dialAs(ctx, o, ownerUID)
	if err != nil {
		return err
	}
	defer again.Close()
	w.Dials++
	return again.Null(ctx)
}

func dialAs(ctx context.Context, o *order, uid uint32) (*nfsclient.Client, error) {
	return nfsclient.Dial(ctx, o.Addr, nfsclient.Options{Cred: nfsclient.AuthSys(uid, uid)})
}

// ownersWork is the owner's process.
type ownersWork struct {
	t     *testing.T
	cmd   *exec.Cmd
	stdin io.Closer
	out   *json.Decoder
}

func (s *scene) startWork(t *testing.T) *ownersWork {
	t.Helper()
	o := s.order
	o.Do = orderWork
	cmd := s.bin.ordered(t.Context(), ownerUID, o)
	stdin, err := cmd.StdinPipe()
	must(t, err)
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	begun := make([]byte, len("begun\n"))
	if _, err := io.ReadFull(stdout, begun); err != nil || string(begun) != "begun\n" {
		rest, _ := io.ReadAll(stdout)
		t.Fatalf("the owner says %s%s, %v", begun, rest, err)
	}
	return &ownersWork{t, cmd, stdin, json.NewDecoder(stdout)}
}

// finish ends the owner's work, which must have gone well.
func (w *ownersWork) finish() {
	w.stdin.Close()
	var got worked
	if err := w.out.Decode(&got); err != nil || got.Err != "" || got.Rounds == 0 {
		w.t.Errorf("the owner was served badly: %+v, %v", got, err)
	}
	if err := w.cmd.Wait(); err != nil {
		w.t.Errorf("the owner's process: %v", err)
	}
	w.t.Logf("the owner meanwhile: %d rounds, the longest took %s; %d new connections", got.Rounds, got.Longest, got.Dials)
}

package faults

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
)

// answerTime is how long a call may take at most, far more than it does: a kernel that has
// sent in vain for a minute waits for another before it tries again.
func answerTime() time.Duration { return time.Minute + 3**longWait }

// client is one as kernels are: it sends a call until it is answered, over a new
// connection where the old one has ended, and after a while where it is told to wait.
type client struct {
	t    *testing.T
	addr string
	root nfsclient.FH
	conn *nfsclient.Client
}

// newClient mounts the server's export.
func newClient(t *testing.T, s *server) *client {
	t.Helper()
	c := &client{t: t, addr: s.Addr}
	t.Cleanup(c.close)
	must(t, c.call(func(ctx context.Context, n *nfsclient.Client) error {
		m, err := n.Mnt(ctx, "/nix")
		c.root = m.FH
		return err
	}))
	return c
}

func (c *client) close() {
	if c.conn != nil {
		_ = c.conn.Close() // it may have ended
		c.conn = nil
	}
}

// call makes a call until it is answered, and gives the status of the answer, or another
// error where there was none.
func (c *client) call(do func(context.Context, *nfsclient.Client) error) error {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), answerTime())
	defer cancel()
	for {
		err := c.connect(ctx)
		if err == nil {
			err = do(ctx, c.conn)
		}
		var answer nfsclient.Status
		switch {
		case err == nil || errors.As(err, &answer) && answer != nfsclient.ErrJukebox:
			return err
		case ctx.Err() != nil:
			return fmt.Errorf("no answer in %v: %w", answerTime(), err)
		}
		if answer == nfsclient.OK {
			c.close()
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (c *client) connect(ctx context.Context) (err error) {
	if c.conn == nil {
		c.conn, err = nfsclient.Dial(ctx, c.addr, nfsclient.Options{Cred: nfsclient.Self()})
	}
	return err
}

// create makes a file, or takes the one that is there.
func (c *client) create(dir nfsclient.FH, name string) (fh nfsclient.FH, err error) {
	c.t.Helper()
	mode := uint32(0o644)
	err = c.call(func(ctx context.Context, n *nfsclient.Client) error {
		r, err := n.Create(ctx, dir, name, nfsclient.Unchecked, nfsclient.SetAttr{Mode: &mode})
		if err == nil && r.FH != nil {
			fh = *r.FH
		}
		return err
	})
	return fh, err
}

// write writes, and where the data is to be on disk asks for that.
func (c *client) write(fh nfsclient.FH, off int, data []byte, stable nfsclient.Stable) error {
	c.t.Helper()
	return c.call(func(ctx context.Context, n *nfsclient.Client) error {
		r, err := n.Write(ctx, fh, uint64(off), stable, data)
		if err == nil && int(r.Count) != len(data) {
			c.t.Errorf("%d of %d bytes written", r.Count, len(data))
		}
		return err
	})
}

// put makes a file with data that is on disk.
func (c *client) put(name string, data []byte) nfsclient.FH {
	c.t.Helper()
	fh, err := c.create(c.root, name)
	must(c.t, err)
	must(c.t, c.write(fh, 0, data, nfsclient.FileSync))
	return fh
}

func (c *client) read(fh nfsclient.FH, off, size int) (data []byte, err error) {
	c.t.Helper()
	err = c.call(func(ctx context.Context, n *nfsclient.Client) error {
		r, err := n.Read(ctx, fh, uint64(off), uint32(size))
		data = r.Data
		return err
	})
	return data, err
}

func (c *client) lookup(dir nfsclient.FH, name string) (fh nfsclient.FH, err error) {
	c.t.Helper()
	err = c.call(func(ctx context.Context, n *nfsclient.Client) error {
		r, err := n.Lookup(ctx, dir, name)
		fh = r.FH
		return err
	})
	return fh, err
}

func (c *client) remove(dir nfsclient.FH, name string) error {
	c.t.Helper()
	return c.call(func(ctx context.Context, n *nfsclient.Client) error {
		_, err := n.Remove(ctx, dir, name)
		return err
	})
}

func (c *client) rename(dir nfsclient.FH, from, to string) error {
	c.t.Helper()
	return c.call(func(ctx context.Context, n *nfsclient.Client) error {
		_, err := n.Rename(ctx, dir, from, dir, to)
		return err
	})
}

// holds compares a file's data.
func (c *client) holds(what string, fh nfsclient.FH, want []byte) {
	c.t.Helper()
	got, err := c.read(fh, 0, len(want)+1)
	if err != nil || string(got) != string(want) {
		c.t.Errorf("%s reads %d bytes %.20q, %v; want %d bytes %.20q", what, len(got), got, err, len(want), want)
	}
}

// wantStatus compares what a call was answered.
func wantStatus(t *testing.T, what string, err error, want nfsclient.Status) {
	t.Helper()
	got := nfsclient.OK
	if err != nil && !errors.As(err, &got) || got != want {
		t.Errorf("%s: %v, %v, want %v", what, got, err, want)
	}
}

func (c *client) mkdir(dir nfsclient.FH, name string) (fh nfsclient.FH, err error) {
	c.t.Helper()
	mode := uint32(0o755)
	err = c.call(func(ctx context.Context, n *nfsclient.Client) error {
		r, err := n.Mkdir(ctx, dir, name, nfsclient.SetAttr{Mode: &mode})
		if err == nil && r.FH != nil {
			fh = *r.FH
		}
		return err
	})
	return fh, err
}

// list gives the names in a small directory, sorted.
func (c *client) list(dir nfsclient.FH) (names []string, err error) {
	c.t.Helper()
	err = c.call(func(ctx context.Context, n *nfsclient.Client) error {
		r, err := n.Readdir(ctx, dir, 0, nfsclient.Verf{}, 64<<10)
		for _, e := range r.Entries {
			names = append(names, e.Name)
		}
		return err
	})
	slices.Sort(names)
	return names, err
}

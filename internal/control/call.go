package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"syscall"
)

// Errors of Call.
var (
	// ErrNotRunning is a state directory that no server holds.
	ErrNotRunning = errors.New("no server runs")
	// ErrEnded is an order that the server left without an answer, since it ended, or took on
	// another program.
	ErrEnded = errors.New("the server has ended before it answered")
)

// maxAnswer bounds an answer, in bytes.
const maxAnswer = 64 << 20

// Call gives the server that holds the state directory dir an order with an argument, nil
// for none, and decodes its result. Without a server the error is ErrNotRunning, and ErrSilent
// where it answers nothing and ctx has no deadline.
func Call(ctx context.Context, dir, method, path string, arg, result any) error {
	return patience{usualPause, usualAnswer}.call(ctx, dir, method, path, arg, result)
}

func (p patience) call(ctx context.Context, dir, method, path string, arg, result any) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if _, bounded := ctx.Deadline(); !bounded {
		go p.watch(ctx, dir, cancel)
	}
	body, err := encode(arg)
	if err != nil {
		return err
	}
	resp, err := send(ctx, dir, method, path, body)
	if err == nil {
		defer resp.Body.Close()
		err = decode(resp, result)
	}
	if err != nil && errors.Is(context.Cause(ctx), ErrSilent) {
		return fmt.Errorf("ask the server that holds %s: %w", dir, ErrSilent)
	}
	return err
}

// send gives the server an order, and its answer.
func send(ctx context.Context, dir, method, path string, body io.Reader) (*http.Response, error) {
	client := http.Client{
		Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, dir) },
		},
		// There is nowhere else to go: it would be the same server again.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://control"+path, body)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask the server that holds %s: %w", dir, hungUp(unwrapURL(err)))
	}
	return resp, nil
}

// Repeat is Call of an order that may be given twice: a restart can leave it without an answer, and
// then the successor gets it.
func Repeat(ctx context.Context, dir, method, path string, arg, result any) error {
	const most = 3
	var err error
	for range most {
		if err = Call(ctx, dir, method, path, arg, result); !errors.Is(err, ErrEnded) {
			break
		}
	}
	return err
}

// unwrapURL takes off what net/http says of a request to an address that means nothing.
func unwrapURL(err error) error {
	var wrapped interface {
		Unwrap() error
		Timeout() bool
	}
	if errors.As(err, &wrapped) {
		return wrapped.Unwrap()
	}
	return err
}

func encode(arg any) (io.Reader, error) {
	if arg == nil {
		return http.NoBody, nil
	}
	b, err := json.Marshal(arg)
	return bytes.NewReader(b), err
}

// hungUp is ErrEnded for the errors of a connection that the server did not keep.
func hungUp(err error) error {
	for _, e := range [...]error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, e) {
			return ErrEnded
		}
	}
	return err
}

func dial(ctx context.Context, dir string) (net.Conn, error) {
	c, err := Dial(ctx, filepath.Join(dir, socketName))
	if errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ENOTDIR) {
		return nil, ErrNotRunning
	}
	return c, err
}

// Dial connects to a socket, however long its path is.
func Dial(ctx context.Context, path string) (c net.Conn, err error) {
	err = within(path, func(short string) (err error) {
		c, err = new(net.Dialer).DialContext(ctx, "unix", short)
		return err
	})
	return c, err
}

func decode(resp *http.Response, result any) error {
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read the server's answer: %w", hungUp(err))
	}
	var a answer
	if err := json.Unmarshal(body, &a); err != nil || a.SchemaVersion != schemaVersion {
		return fmt.Errorf("the server does not know this order, or is of another version: %s", resp.Status)
	}
	if a.Error != "" {
		return errors.New(a.Error)
	}
	if err := json.Unmarshal(a.Result, result); err != nil {
		return fmt.Errorf("decode the server's answer: %w", err)
	}
	return nil
}

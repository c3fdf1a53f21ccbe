package control

import (
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

// ErrNotRunning is a state directory that no server holds.
var ErrNotRunning = errors.New("no server runs")

// maxAnswer bounds an answer, in bytes.
const maxAnswer = 64 << 20

// Call gives the server that holds the state directory dir an order and decodes its
// result. Without a server the error is ErrNotRunning.
func Call(ctx context.Context, dir, method, path string, result any) error {
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, dir) },
	}}
	req, err := http.NewRequestWithContext(ctx, method, "http://control"+path, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("ask the server that holds %s: %w", dir, unwrapURL(err))
	}
	defer resp.Body.Close()
	return decode(resp, result)
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

func dial(ctx context.Context, dir string) (c net.Conn, err error) {
	err = within(dir, func(short string) (err error) {
		c, err = new(net.Dialer).DialContext(ctx, "unix", filepath.Join(short, socketName))
		return err
	})
	if errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ENOTDIR) {
		return nil, ErrNotRunning
	}
	return c, err
}

func decode(resp *http.Response, result any) error {
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read the server's answer: %w", err)
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

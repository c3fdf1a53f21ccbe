package control

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestSilent gives up on a server that was stopped: connections to it are made, and nobody takes them.
func TestSilent(t *testing.T) {
	dir := t.TempDir()
	l, err := Listen(dir, uint32(os.Getuid()))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		err := patience{time.Millisecond, 10 * time.Millisecond}.call(t.Context(), dir, method, "/v1/order", nil, nil)
		if !errors.Is(err, ErrSilent) {
			t.Errorf("%s: %v", method, err)
		}
	}
}

// TestSlow waits for an order that takes long as long as the server answers others.
func TestSlow(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), socketName))
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan struct{})
	orders := New(Orders{"POST /v1/slow": func(ctx context.Context, _ json.RawMessage) (any, error) {
		for range 3 {
			select {
			case <-asked:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		return "done", nil
	}}, nil)
	mux := http.NewServeMux()
	mux.Handle("/v1/", orders.http.Handler)
	mux.HandleFunc("/", func(http.ResponseWriter, *http.Request) { asked <- struct{}{} })
	server := http.Server{Handler: mux}
	go server.Serve(l)
	defer server.Close()
	var got string
	err = patience{time.Millisecond, time.Minute}.call(t.Context(), filepath.Dir(l.Addr().String()), http.MethodPost, "/v1/slow", nil, &got)
	if err != nil || got != "done" {
		t.Errorf("got %q, %v", got, err)
	}
}

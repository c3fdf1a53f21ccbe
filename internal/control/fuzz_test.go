package control_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nixnfsd/nixnfsd/internal/control"
)

// FuzzControl says anything to a server and, as a server, to a caller. An order is carried out
// only for who gives it, what a server says is HTTP with JSON, and a caller takes nothing else.
func FuzzControl(f *testing.F) {
	f.Add([]byte("POST /v1/do HTTP/1.1\r\nHost: control\r\n\r\nGET /v1/none HTTP/1.0\r\n\r\n"), []byte("HTTP/1.1 200 OK\r\n\r\n{\"schemaVersion\": 1, \"result\": {\"hello\": \"world\"}}"))
	f.Add([]byte("POST /v1/../v1/do HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), []byte("HTTP/1.1 500 No\r\nContent-Length: 41\r\n\r\n{\"schemaVersion\": 1, \"error\": \"it is off\"}"))
	f.Add([]byte("GET /v1/do HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 99999999\r\n\r\n"), []byte("HTTP/1.1 200 OK\r\n\r\n{\"schemaVersion\": 2, \"result\": {}}"))
	f.Add([]byte("POST /v1/do HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{\"a\": 1}\n"), []byte("HTTP/1.1 200 OK\r\n\r\n{}"))
	f.Add([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), []byte("HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\n\r\n"))
	f.Add([]byte("HEAD /v1/do HTTP/1.1\r\n\r\n"), []byte("HTTP/1.1 200 OK\r\n\r\n{\"schemaVersion\": 1, \"resulT\": {\"hello\": \"world\"}}"))
	var done atomic.Int32
	socket := serveFuzz(f, control.Orders{"POST /v1/do": func(context.Context, json.RawMessage) (any, error) { return done.Add(1), nil }})
	f.Fuzz(func(t *testing.T, request, answer []byte) {
		done.Store(0)
		checkAnswers(t, request, ask(t, socket, request))
		if n := int(done.Load()); n > bytes.Count(request, []byte("POST ")) {
			t.Errorf("%q has the order carried out %d times", request, n)
		}
		checkCaller(t, answer)
	})
}

// serveFuzz takes orders until the end, and gives the socket.
func serveFuzz(f *testing.F, orders control.Orders) (socket string) {
	dir := f.TempDir()
	l, err := control.Listen(dir, me())
	if err != nil {
		f.Fatal(err)
	}
	s := control.New(orders, log.New(io.Discard, "", 0))
	go s.Serve(l)
	f.Cleanup(func() {
		if err := s.Shutdown(context.Background()); err != nil {
			f.Error(err)
		}
	})
	return filepath.Join(dir, "control")
}

// ask sends bytes and gives what comes back.
func ask(t *testing.T, socket string, request []byte) []byte {
	t.Helper()
	c, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	_, _ = c.Write(request) // who is hung up on reads why
	_ = c.(*net.UnixConn).CloseWrite()
	b, _ := io.ReadAll(c)
	return b
}

// checkAnswers: what the handlers say is JSON; net/http itself says 4xx and 5xx in words.
func checkAnswers(t *testing.T, request, b []byte) {
	t.Helper()
	for r := bufio.NewReader(bytes.NewReader(b)); ; {
		if _, err := r.Peek(1); err != nil {
			return
		}
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			return // to HEAD there is no body, which nobody tells ReadResponse
		}
		body, err := io.ReadAll(resp.Body)
		if resp.StatusCode != http.StatusOK {
			continue
		}
		var a struct{ SchemaVersion, Result int }
		if err != nil || json.Unmarshal(body, &a) != nil || a.SchemaVersion != 1 || a.Result == 0 {
			t.Errorf("%q gives %q, %v", request, body, err)
		}
	}
}

// checkCaller has a server say something to Call.
func checkCaller(t *testing.T, answer []byte) {
	t.Helper()
	dir := t.TempDir()
	l, err := net.Listen("unix", filepath.Join(dir, "control"))
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		c, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = c.Write(answer)
		_ = c.(*net.UnixConn).CloseWrite()
		_, _ = io.Copy(io.Discard, c)
		c.Close()
	}()
	var got map[string]string
	err = control.Call(t.Context(), dir, "GET", "/v1/greet", nil, &got)
	l.Close()
	<-served
	// To encoding/json names are the same that differ in case only.
	if err == nil && !bytes.Contains(bytes.ToUpper(answer), []byte("RESULT")) && got != nil {
		t.Errorf("%q is taken for %q", answer, got)
	}
}

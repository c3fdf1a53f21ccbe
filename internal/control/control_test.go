package control_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/control"
	"github.com/nixnfsd/nixnfsd/internal/testenv"
)

// serve takes orders in dir until the test ends or stop is called.
func serve(t *testing.T, dir string, owner uint32, orders control.Orders) (stop func()) {
	t.Helper()
	l, err := control.Listen(dir, owner)
	if err != nil {
		t.Fatal(err)
	}
	s := control.New(orders, log.New(t.Output(), "", 0))
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("served until %v", err)
		}
	}
	t.Cleanup(stop)
	return stop
}

func me() uint32 { return uint32(os.Getuid()) }

var greet = control.Orders{
	"GET /v1/greet":  func(context.Context, json.RawMessage) (any, error) { return map[string]string{"hello": "world"}, nil },
	"POST /v1/fail":  func(context.Context, json.RawMessage) (any, error) { return nil, errors.New("it does not want to") },
	"POST /v1/panic": func(context.Context, json.RawMessage) (any, error) { panic("why") },
}

func TestOrders(t *testing.T) {
	dir := t.TempDir()
	call := func(method, path string) (string, error) {
		var got map[string]string
		err := control.Call(t.Context(), dir, method, path, nil, &got)
		return got["hello"], err
	}
	if _, err := call("GET", "/v1/greet"); !errors.Is(err, control.ErrNotRunning) {
		t.Errorf("without a server: %v", err)
	}
	stop := serve(t, dir, me(), greet)
	if got, err := call("GET", "/v1/greet"); got != "world" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := call("POST", "/v1/fail"); err == nil || err.Error() != "it does not want to" {
		t.Errorf("a failure gives %v", err)
	}
	for _, path := range []string{"/v1/panic", "/v1/none", "/v1/greet"} {
		if _, err := call("POST", path); err == nil {
			t.Errorf("%s gives no error", path)
		}
	}
	if got, err := call("GET", "/v1/greet"); got != "world" || err != nil {
		t.Errorf("after a panic: %q, %v", got, err)
	}
	stop()
	if _, err := call("GET", "/v1/greet"); !errors.Is(err, control.ErrNotRunning) {
		t.Errorf("after the end: %v", err)
	}
	if names, _ := os.ReadDir(dir); len(names) > 0 {
		t.Errorf("left behind: %v", names)
	}
}

// What a dead server left is replaced; the socket is its owner's alone.
func TestListenReplaces(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"control", "control.new"} {
		l, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: filepath.Join(dir, name)})
		if err != nil {
			t.Fatal(err)
		}
		l.SetUnlinkOnClose(false)
		l.Close()
	}
	if err := control.Call(t.Context(), dir, "GET", "/v1/greet", nil, nil); !errors.Is(err, control.ErrNotRunning) {
		t.Errorf("of a dead server's socket: %v", err)
	}
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	serve(t, dir, me(), greet)
	info, err := os.Lstat(filepath.Join(dir, "control"))
	if err != nil || info.Mode() != os.ModeSocket|0o600 {
		t.Errorf("the socket is %v, %v", info, err)
	}
	var got map[string]string
	if err := control.Call(t.Context(), dir, "GET", "/v1/greet", nil, &got); err != nil {
		t.Error(err)
	}
}

// A path that is longer than a socket's address works like others.
func TestLongPath(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("d", 200))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", t.TempDir())
	serve(t, dir, me(), greet)
	var got map[string]string
	if err := control.Call(t.Context(), dir, "GET", "/v1/greet", nil, &got); err != nil || got["hello"] != "world" {
		t.Errorf("got %q, %v", got, err)
	}
	if names, _ := os.ReadDir(os.TempDir()); len(names) > 0 {
		t.Errorf("left behind: %v", names)
	}
}

// Who is neither the owner nor root is hung up on.
func TestOthersStayOut(t *testing.T) {
	testenv.Require(t, runtime.GOOS == "linux" && os.Getuid() == 0, "to be another user needs Linux and root")
	dir := t.TempDir()
	serve(t, dir, 4242, greet)
	var got map[string]string
	if err := control.Call(t.Context(), dir, "GET", "/v1/greet", nil, &got); err != nil {
		t.Errorf("root: %v", err)
	}
	socket := filepath.Join(dir, "control")
	for path := dir; path != "/"; path = filepath.Dir(path) {
		if info, err := os.Stat(path); err == nil && info.Mode()&1 == 0 {
			if err := os.Chmod(path, info.Mode()|1); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.Chmod(socket, 0o666); err != nil {
		t.Fatal(err)
	}
	for uid, want := range map[int]string{4242: "", 4243: "EOF"} {
		if got := connectAs(t, uid, socket); got != want {
			t.Errorf("user %d: got %q, want %q", uid, got, want)
		}
	}
}

// A caller can make the server hold only so much.
func TestBounds(t *testing.T) {
	dir := t.TempDir()
	serve(t, dir, me(), control.Orders{"POST /v1/sum": func(context.Context, json.RawMessage) (any, error) { return "done", nil }})
	c, err := net.Dial("unix", filepath.Join(dir, "control"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	go func() {
		fmt.Fprint(c, "GET /v1/greet HTTP/1.1\r\nHost: control\r\n")
		for range 1 << 20 {
			if _, err := fmt.Fprint(c, "X-Long: ", strings.Repeat("x", 1000), "\r\n"); err != nil {
				return
			}
		}
	}()
	b, _ := io.ReadAll(c)
	if !strings.HasPrefix(string(b), "HTTP/1.1 431 ") {
		t.Errorf("a header without end: got %.40q", b)
	}
	err = control.Call(t.Context(), dir, "POST", "/v1/sum", strings.Repeat("1", 64<<10), nil)
	if err == nil || !strings.Contains(err.Error(), "too large") {
		t.Errorf("an argument that is too long: got %v", err)
	}
}

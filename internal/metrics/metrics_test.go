package metrics

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"

	"github.com/nixnfsd/nixnfsd/internal/testenv"
	"github.com/nixnfsd/nixnfsd/nfs"
	"github.com/nixnfsd/nixnfsd/overlay"
)

var update = flag.Bool("update", false, "write the golden files")

// some is a Snapshot with something of everything.
func some() Snapshot {
	get := nfs.ProcedureStats{Name: "GETATTR", Calls: 640, Errors: map[string]uint64{"STALE": 2, "ACCES": 1}}
	for _, phase := range nfs.Phases() {
		h := &get.Latency[phase]
		h.Counts[0], h.Counts[5], h.Counts[h.Buckets()-1], h.Sum = 1, 8, 1, 10*time.Second
	}
	return Snapshot{
		Version: "v1.2.3", PID: 4711, Started: time.UnixMilli(1_700_000_000_500), Memory: 20 << 20,
		NFS: nfs.Stats{
			Procedures: []nfs.ProcedureStats{get, {Name: "READ", Calls: 3, Data: 4096}},
			Received:   100, Sent: 200, Rejected: 1, Repeated: 2, Connections: 3, Busy: 1, Accepted: 5, Refused: 6, Workers: 7,
		},
		Overlay: overlay.Stats{
			Objects: 10, Loaded: 11, OpenFiles: 12, FileHits: 13, FileMisses: 14, ListingBytes: 15, ListingHits: 16,
			ListingMisses: 17, CopyUps: 18, CopiedBytes: 19, Copying: 20,
		},
	}
}

// TestText holds names, labels and values.
func TestText(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(newCollector(some))
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&b, f); err != nil {
			t.Fatal(err)
		}
	}
	testenv.Golden(t, filepath.Join("testdata", "metrics.txt"), b.String(), *update)
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("against Prometheus's conventions: %v, %v", problems, err)
	}
}

// serveOn serves until the test ends, and gives a client that connects to the listener.
func serveOn(t *testing.T, l net.Listener, snapshot func() Snapshot) *http.Client {
	t.Helper()
	s := New(snapshot, log.New(t.Output(), "", 0))
	served := make(chan error, 1)
	network, addr := l.Addr().Network(), strings.TrimSuffix(l.Addr().String(), ".new") // its name until it was ready
	go func() { served <- s.Serve(Guard(l)) }()
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, addr)
	}}}
	t.Cleanup(func() {
		client.CloseIdleConnections()
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("served until %v", err)
		}
	})
	return client
}

func listen(t *testing.T, address string) net.Listener {
	t.Helper()
	a, err := ParseAddress(address)
	if err != nil {
		t.Fatal(err)
	}
	l, err := Listen(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// get asks a host, which is whoever the client connects to.
func get(t *testing.T, c *http.Client, host string) (int, string) {
	t.Helper()
	resp, err := c.Get("http://" + host + Path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestTCP(t *testing.T) {
	client := serveOn(t, listen(t, "127.0.0.1:0"), some)
	for _, tt := range []struct {
		host string
		want int
	}{
		{"127.0.0.1:9949", 200},
		{"127.0.0.1", 200},
		{"localhost:1", 200},
		{"[::1]:2", 200},
		{"evil.example", http.StatusMisdirectedRequest},
		{"localhost.evil.example:80", http.StatusMisdirectedRequest},
	} {
		status, body := get(t, client, tt.host)
		if status != tt.want || tt.want == 200 && !strings.Contains(body, `nixnfsd_nfs_calls_total{procedure="GETATTR"} 640`) {
			t.Errorf("%s: got %d, %.200s", tt.host, status, body)
		}
	}
	_, body := get(t, client, "127.0.0.1")
	for _, name := range []string{"\ngo_goroutines ", "\nnixnfsd_open_files "} {
		if !strings.Contains(body, name) {
			t.Errorf("there is no%s", name)
		}
	}
}

// TestPanic: an answer that panics is an error, and the next is as ever.
func TestPanic(t *testing.T) {
	var once sync.Once
	client := serveOn(t, listen(t, "127.0.0.1:0"), func() Snapshot {
		once.Do(func() { panic("why") })
		return some()
	})
	if status, body := get(t, client, "127.0.0.1"); status != 500 || !strings.Contains(body, "panic: why") {
		t.Errorf("got %d, %s", status, body)
	}
	if status, _ := get(t, client, "127.0.0.1"); status != 200 {
		t.Errorf("afterwards: %d", status)
	}
}

// TestStrangers: who is neither the owner nor root, or of whom there is no telling, gets nothing.
func TestStrangers(t *testing.T) {
	for _, tt := range []struct {
		name string
		uid  uint32
		err  error
		in   bool
	}{{"owner", 1000, nil, true}, {"root", 0, nil, true}, {"another", 1001, nil, false}, {"unknown", 0, errors.New("not found"), false}} {
		inner := listen(t, "127.0.0.1:0")
		g := &guarded{Listener: inner, owner: 1000, peer: func(net.Conn) (uint32, error) { return tt.uid, tt.err }}
		let := make(chan struct{})
		go func() {
			if c, err := g.Accept(); err == nil {
				_, _ = c.Write([]byte("in"))
				c.Close()
			}
			close(let)
		}()
		c, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		got, _ := io.ReadAll(c) // who is refused may be reset
		if (string(got) == "in") != tt.in {
			t.Errorf("%s: got %q", tt.name, got)
		}
		c.Close()
		g.Close()
		<-let
	}
}

func TestSocket(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("long", 40))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	short := filepath.Join(t.TempDir(), "m")
	client := serveOn(t, listen(t, "unix:"+short), some)
	if status, _ := get(t, client, "whatever"); status != 200 {
		t.Errorf("got %d", status)
	}
	if info, err := os.Stat(short); err != nil || info.Mode() != os.ModeSocket|0o600 {
		t.Errorf("got %v, %v", info.Mode(), err)
	}
	if _, err := Listen(t.Context(), Address{Socket: short}); err == nil || !strings.Contains(err.Error(), "is in use by another program") {
		t.Errorf("twice: %v", err)
	}
	long := filepath.Join(dir, "m")
	l := listen(t, "unix:"+long)
	l.Close()
	if _, err := os.Lstat(long); !os.IsNotExist(err) {
		t.Errorf("after the end: %v", err)
	}
}

// TestSocketsLeft: the socket of a server that was killed is replaced, and nothing else is.
func TestSocketsLeft(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "m")
	left, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	left.SetUnlinkOnClose(false)
	left.Close()
	listen(t, "unix:"+path).Close()

	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}
	open := filepath.Join(dir, "open")
	if err := os.Mkdir(open, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		file:                     "is no socket",
		filepath.Join(open, "m"): "is not a directory that only you can write to",
		filepath.Join(file, "m"): "is no directory",
		"/nowhere/at/all":        "look at the socket's directory",
	} {
		if _, err := Listen(t.Context(), Address{Socket: path}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", path, err)
		}
	}
	if data, err := os.ReadFile(file); err != nil || string(data) != "data" {
		t.Errorf("the file is %q, %v", data, err)
	}
}

func TestParseAddress(t *testing.T) {
	for _, tt := range []struct{ in, err string }{
		{"127.0.0.1:9949", ""},
		{"[::1]:9949", ""},
		{"127.0.0.1:0", ""},
		{"unix:/run/m", ""},
		{"unix:m", ""},
		{"unix:", "give the socket's path"},
		{"", "give an IP address"},
		{"localhost:1", "give an IP address"},
		{":9949", "give an IP address"},
		{"0.0.0.0:9949", "is not loopback"},
		{"192.168.1.1:9949", "is not loopback"},
		{"[::]:1", "is not loopback"},
	} {
		a, err := ParseAddress(tt.in)
		if tt.err == "" && (err != nil || a.TCP.IsValid() == (a.Socket != "")) || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
			t.Errorf("%q: got %+v, %v", tt.in, a, err)
		}
	}
}

// TestConnectionsAreBounded: one that is idle keeps others out, but not for ever.
func TestConnectionsAreBounded(t *testing.T) {
	inner := listen(t, "127.0.0.1:0")
	l := Guard(inner)
	defer l.Close()
	var conns []net.Conn
	for range maxConns + 1 {
		c, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	for range maxConns {
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	last := make(chan net.Conn)
	go func() {
		c, _ := l.Accept() // nil at the end
		last <- c
	}()
	select {
	case <-last:
		t.Error("one too many is let in")
	default:
	}
	conns[0].Close()
	if c := <-last; c != nil {
		c.Close()
	}
	for _, c := range conns[1:] {
		c.Close()
	}
}

func TestMemory(t *testing.T) {
	if m := Memory(); m < 1<<20 || m > 1<<40 {
		t.Errorf("got %d", m)
	}
}

package mount

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
	"github.com/nixnfsd/nixnfsd/internal/oncrpc"
	"github.com/nixnfsd/nixnfsd/internal/xdr"
)

// rpcServer answers what Probe asks: mnt is the status of MNT, fsinfo that of FSINFO.
type rpcServer struct{ mnt, fsinfo uint32 }

func (s rpcServer) start(t *testing.T) netip.AddrPort {
	l := listen(t)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go s.serve(conn)
		}
	}()
	return l.Addr().(*net.TCPAddr).AddrPort()
}

func (s rpcServer) serve(conn net.Conn) {
	defer conn.Close()
	for {
		rec, err := oncrpc.ReadRecord(conn, nil, 1<<16)
		if err != nil {
			return
		}
		var c oncrpc.Call
		oncrpc.DecodeCall(&xdr.Decoder{B: rec}, &c)
		var e xdr.Encoder
		at := oncrpc.BeginRecord(&e)
		oncrpc.AppendAccepted(&e, c.XID, oncrpc.Success)
		s.results(&e, nfsclient.Proc{Prog: c.Prog, Vers: c.Vers, Num: c.Proc})
		oncrpc.EndRecord(&e, at)
		if _, err := conn.Write(e.B); err != nil {
			return
		}
	}
}

func (s rpcServer) results(e *xdr.Encoder, p nfsclient.Proc) {
	switch p {
	case nfsclient.MountProc(nfsclient.ProcMnt):
		e.Uint32(s.mnt)
		if s.mnt == 0 {
			e.Opaque([]byte("handle"))
			e.Uint32(0) // flavors
		}
	case nfsclient.NFSProc(nfsclient.ProcFsinfo):
		e.Uint32(s.fsinfo)
		e.Bool(false) // attributes
		if s.fsinfo == 0 {
			const resok = 7*4 + 8 + 8 + 4 // of FSINFO3resok, behind the attributes
			e.Fixed(make([]byte, resok))
		}
	}
}

// nobody is an address where nothing listens.
func nobody(t *testing.T) netip.AddrPort {
	l := listen(t)
	addr := l.Addr().(*net.TCPAddr).AddrPort()
	_ = l.Close()
	return addr
}

func nfsEntry(server netip.AddrPort, options ...string) *Entry {
	return &Entry{
		Dir: "/nix", Type: "nfs", From: server.Addr().String() + ":/nix",
		Options: append([]string{"rw", "vers=3", fmt.Sprintf("port=%d", server.Port())}, options...),
	}
}

func TestCheck(t *testing.T) {
	up, other, gone := rpcServer{}.start(t), rpcServer{}.start(t), nobody(t)
	closed := rpcServer{mnt: 13}.start(t)
	fine := func(context.Context, ...string) error { return nil }
	never := func(context.Context, ...string) error { panic("the mount point is touched") }
	none := func(context.Context, ...string) error { return errors.New("stat: no such file or directory") }
	ext4 := &Entry{Dir: "/nix", Type: "ext4", From: "/dev/vdb", Options: []string{"rw"}}
	tt := []struct {
		name     string
		addr     netip.AddrPort
		entry    *Entry
		stat     func(context.Context, ...string) error
		state    State
		summary  string
		problems []string // the beginning of each
	}{
		{"not running", gone, nil, fine, NotRunning, "no server answers at {addr}, and /nix is not mounted", []string{"no server answers at {addr}"}},
		{"running and not mounted", up, nil, fine, NotMounted, "the server at {addr} answers, but /nix is not mounted", []string{"not mounted"}},
		{"no mount point", up, nil, none, NotMounted, "the server at {addr} answers, but /nix is not mounted", []string{"there is no directory /nix to mount on", "not mounted"}},
		{"mounted", up, nfsEntry(up, "hard"), fine, Mounted, "/nix is mounted from {addr} and works", nil},
		{"mounted and stuck", up, nfsEntry(up), none, Mounted, "/nix is mounted from {addr}, but something is wrong with it", []string{"the mount does not answer, though its server does"}},
		{"mounted soft and without locks", up, nfsEntry(up, "soft", "local_lock=none"), fine, Mounted, "/nix is mounted from {addr}, but something is wrong with it", []string{"mounted with soft", "mounted with local_lock=none"}},
		{"mounted, and not ours to look into", closed, nfsEntry(closed), fine, Mounted, "/nix is mounted from {addr}, but something is wrong with it", []string{"MNT of /nix at {addr}: only its owner and root are let in"}},
		{"mounted from another server", up, nfsEntry(other), never, MountedElsewhere, "/nix is mounted from another server than {addr}: 127.0.0.1:/nix (nfs, {other})", []string{"something else is mounted there"}},
		{"mounted from another, ours is down", gone, nfsEntry(other), never, MountedElsewhere, "/nix is mounted from another server than {addr}: 127.0.0.1:/nix (nfs, {other})", []string{"no server answers at {addr}", "something else is mounted there"}},
		{"no NFS at all", up, ext4, never, MountedElsewhere, "/nix is mounted from another server than {addr}: /dev/vdb (ext4)", []string{"something else is mounted there"}},
		{"dead mount", gone, nfsEntry(gone), never, DeadMount, "/nix is mounted, but its server at {addr} is gone: whoever touches the mount hangs", []string{"no server answers at {addr}", "the mount hangs"}},
		{"dead mount of another", up, nfsEntry(gone), never, DeadMount, "/nix is mounted, but its server at {gone} is gone: whoever touches the mount hangs", []string{"/nix is a mount of 127.0.0.1:/nix at {gone}, which does not answer"}},
	}
	for _, tc := range tt {
		t.Run(tc.name, func(t *testing.T) {
			names := strings.NewReplacer("{addr}", tc.addr.String(), "{other}", other.String(), "{gone}", gone.String())
			got, err := check(t, tc.addr, tc.entry, tc.stat)
			if err != nil {
				t.Fatal(err)
			}
			if want := names.Replace(tc.summary); got.State != tc.state || got.Summary != want {
				t.Errorf("got %s: %q, want %s: %q", got.State, got.Summary, tc.state, want)
			}
			if got.OK() != (tc.name == "mounted") {
				t.Errorf("OK is %v", got.OK())
			}
			for i, p := range got.Problems {
				if i >= len(tc.problems) || !strings.HasPrefix(p.What, names.Replace(tc.problems[i])) || p.Mend == "" {
					t.Errorf("got problem %+v, want %v", p, tc.problems)
				}
			}
			if len(got.Problems) < len(tc.problems) {
				t.Errorf("got problems %+v, want %v", got.Problems, tc.problems)
			}
		})
	}
}

func check(t *testing.T, addr netip.AddrPort, entry *Entry, stat func(context.Context, ...string) error) (Status, error) {
	c := Checker{
		Addr: addr, Export: "/nix", Stat: stat, goos: "linux",
		helper: func() bool { return true },
		table: func() ([]Entry, error) {
			if entry == nil {
				return nil, nil
			}
			return []Entry{*entry}, nil
		},
	}
	return c.Check(t.Context())
}

// TestCheckWithoutHelper has a machine that cannot mount NFS.
func TestCheckWithoutHelper(t *testing.T) {
	c := Checker{
		Addr: rpcServer{}.start(t), Export: "/nix", goos: "linux",
		Stat:   func(context.Context, ...string) error { return nil },
		helper: func() bool { return false },
		table:  func() ([]Entry, error) { return nil, nil },
	}
	got, err := c.Check(t.Context())
	if err != nil || len(got.Problems) != 2 || !strings.HasPrefix(got.Problems[0].What, "there is no mount.nfs") {
		t.Errorf("got %+v, %v", got, err)
	}
}

// TestCheckPortHeldByAnother has a program at the port that does not speak RPC.
func TestCheckPortHeldByAnother(t *testing.T) {
	l := listen(t)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte("220 hello\r\n"))
			_ = conn.Close()
		}
	}()
	got, err := check(t, l.Addr().(*net.TCPAddr).AddrPort(), nil, nil)
	if err == nil {
		err = fmt.Errorf("state %s, problems %v", got.State, got.Problems)
	}
	want := fmt.Sprintf("the port is held by mount.test (process %d)", os.Getpid())
	if got.State != NotRunning || !strings.Contains(got.Problems[0].What, want) {
		t.Errorf("got %v, want a problem with %q", err, want)
	}
}

// TestCheckTakesOptionsFromTheSystem is macOS, whose table has no NFS options.
func TestCheckTakesOptionsFromTheSystem(t *testing.T) {
	up := rpcServer{}.start(t)
	tt := []struct {
		name    string
		options []string
		err     error
		state   State
		ok      bool
	}{
		{"all told", []string{"vers=3", fmt.Sprintf("port=%d", up.Port()), "locallocks"}, nil, Mounted, true},
		{"another port", []string{"vers=3", "port=1"}, nil, DeadMount, false},
		{"remote locks", []string{"vers=3", fmt.Sprintf("port=%d", up.Port()), "locks"}, nil, Mounted, false},
		{"nothing told", nil, errors.New("nfsstat failed"), Mounted, true},
	}
	for _, tc := range tt {
		c := Checker{
			Addr: up, Export: "/nix", goos: "darwin",
			Stat: func(context.Context, ...string) error { return nil },
			table: func() ([]Entry, error) {
				return []Entry{{Dir: "/nix", Type: "nfs", From: "127.0.0.1:/nix", Options: []string{"rw", "nosuid"}}}, nil
			},
			options: func(context.Context, *Entry) ([]string, error) { return tc.options, tc.err },
		}
		got, err := c.Check(t.Context())
		if err != nil || got.State != tc.state || got.OK() != tc.ok {
			t.Errorf("%s: got %v, %+v", tc.name, err, got)
		}
	}
}

func TestProbe(t *testing.T) {
	silent := listen(t).Addr().(*net.TCPAddr).AddrPort() // takes connections, says nothing
	tt := []struct {
		name string
		addr netip.AddrPort
		want string
		up   bool
	}{
		{"well", rpcServer{}.start(t), "", true},
		{"nobody", nobody(t), "no server answers: dial tcp", false},
		{"silent", silent, "no server answers", false},
		{"not exported", rpcServer{mnt: 2}.start(t), "that path is not exported", true},
		{"not let in", rpcServer{mnt: 1}.start(t), "only its owner and root are let in", true},
		{"MNT fails otherwise", rpcServer{mnt: 10006}.start(t), "MNT of /nix at {addr}: nfs: SERVERFAULT", true},
		{"FSINFO fails", rpcServer{fsinfo: 70}.start(t), "FSINFO of /nix at {addr}: nfs: STALE", true},
	}
	for _, tc := range tt {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		err := Probe(ctx, tc.addr, "/nix")
		cancel()
		want := strings.ReplaceAll(tc.want, "{addr}", tc.addr.String())
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want %q", tc.name, err, want)
		}
		if got := !errors.Is(err, ErrNoAnswer); got != tc.up {
			t.Errorf("%s: up is %v, want %v", tc.name, got, tc.up)
		}
	}
}

func TestWait(t *testing.T) {
	up := rpcServer{}.start(t)
	looks := 0
	c := Checker{
		Addr: up, Export: "/nix", goos: "linux",
		Stat: func(context.Context, ...string) error { return nil },
		table: func() ([]Entry, error) {
			if looks++; looks < 3 {
				return nil, nil
			}
			return []Entry{*nfsEntry(up)}, nil
		},
	}
	if err := c.Wait(t.Context()); err != nil || looks != 3 {
		t.Errorf("got %v after %d looks, want success after 3", err, looks)
	}
}

// TestWaitGivesUp: it has looked once before, however little time there was.
func TestWaitGivesUp(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	c := Checker{Addr: nobody(t), Export: "/nix", Limit: time.Minute, table: func() ([]Entry, error) { return nil, nil }}
	c.Stat = func(context.Context, ...string) error { return nil }
	err := c.Wait(ctx)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "no server answers at") {
		t.Errorf("got %v, want the time limit and what was wrong", err)
	}
}

// TestHint: the one line of wait says what its advice is about.
func TestHint(t *testing.T) {
	tt := []struct {
		summary  string
		problems []Problem
		want     string
	}{
		{"all is well", nil, "all is well"},
		{"/nix is not mounted", []Problem{{What: "not mounted", Mend: "run: this"}, {What: "b", Mend: "c"}}, "/nix is not mounted; run: this"},
		{"/nix is not mounted", []Problem{{What: "there is no mount.nfs", Mend: "install it"}}, "/nix is not mounted; there is no mount.nfs: install it"},
	}
	for _, tc := range tt {
		s := Status{Summary: tc.summary, Problems: tc.problems}
		if got := s.hint(); got != tc.want {
			t.Errorf("got %q, want %q", got, tc.want)
		}
	}
}

func TestCommandsThatMend(t *testing.T) {
	tt := []struct {
		goos, export, want string
	}{
		{"linux", "/nix", "run: sudo mkdir -p /nix"},
		{"darwin", "/nix", `add the line "nix" to /etc/synthetic.conf and restart`},
		{"darwin", "/Users/a b/nix", "run: sudo mkdir -p '/Users/a b/nix'"},
	}
	for _, tc := range tt {
		o := observation{goos: tc.goos, target: Target{Export: tc.export}}
		if got := o.makePoint(); got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.goos, got, tc.want)
		}
	}
}

// TestMountOfAnotherUser is looked at by who is not let in: it lives, and nobody is told to
// end its server or to be rid of it without a word on whose it is.
func TestMountOfAnotherUser(t *testing.T) {
	addr := netip.MustParseAddrPort("127.0.0.1:12049")
	for _, tc := range []struct {
		holder, self int
		want         State
	}{
		{1000, 1001, MountedElsewhere},
		{1000, 1000, DeadMount}, // ours, and stopped
		{1000, 0, DeadMount},    // root would be let in
		{-1, 1001, DeadMount},   // nobody listens
	} {
		s := judge(&observation{
			target: Target{Server: addr, Export: "/nix"}, goos: "linux", entry: nfsEntry(addr), ours: true,
			server: ErrNoAnswer, holder: Holder{UID: tc.holder}, self: tc.self,
		})
		if s.State != tc.want || len(s.Problems) == 0 {
			t.Errorf("uid %d at the port, seen by %d: got %+v, want %s", tc.holder, tc.self, s, tc.want)
		}
		if s.State == MountedElsewhere && (strings.Contains(s.Summary, "hangs") || !strings.Contains(s.Problems[0].Mend, "uid 1000")) {
			t.Errorf("got %+v", s)
		}
	}
}

func TestServeCommand(t *testing.T) {
	tt := []struct{ addr, export, want string }{
		{DefaultListen, DefaultExport, "nixnfsd serve"},
		{"[::1]:1", DefaultExport, "nixnfsd serve --listen '[::1]:1'"},
		{DefaultListen, "/a b", "nixnfsd serve --export '/a b'"},
	}
	for _, tc := range tt {
		if got := (Target{Server: netip.MustParseAddrPort(tc.addr), Export: tc.export}).serve(); got != tc.want {
			t.Errorf("got %q, want %q", got, tc.want)
		}
	}
}

func TestStatusAsJSON(t *testing.T) {
	s, err := check(t, nobody(t), nil, func(context.Context, ...string) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"schemaVersion": 1.0, "state": "not-running", "mountPoint": "/nix", "mount": nil}
	for name, value := range want {
		if diff := cmp.Diff(value, got[name]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

package status

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rivo/uniseg"

	"github.com/nixnfsd/nixnfsd/internal/control"
	"github.com/nixnfsd/nixnfsd/internal/metrics"
	"github.com/nixnfsd/nixnfsd/internal/testenv"
	"github.com/nixnfsd/nixnfsd/mount"
	"github.com/nixnfsd/nixnfsd/mount/keep"
	"github.com/nixnfsd/nixnfsd/nfs"
	"github.com/nixnfsd/nixnfsd/overlay"
)

var update = flag.Bool("update", false, "write the golden files")

var (
	start = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	entry = mount.Entry{Dir: "/nix", Type: "nfs", From: "127.0.0.1:/nix", Options: []string{"rw", "vers=3", "addr=127.0.0.1", "port=12049"}}
)

// snapshot is of a server that has answered n times as much as one second of its work.
func snapshot(n uint64) metrics.Snapshot {
	times := func(p nfs.ProcedureStats, bucket int) nfs.ProcedureStats {
		for _, phase := range nfs.Phases() {
			h := &p.Latency[phase]
			h.Counts[bucket+int(phase)], h.Sum = n*p.Calls/64+1, time.Duration(n)*time.Microsecond
		}
		p.Calls *= n
		p.Data *= n
		return p
	}
	get := times(nfs.ProcedureStats{Name: "GETATTR", Calls: 6400, Errors: map[string]uint64{"STALE": 20 * n}}, 2)
	read := times(nfs.ProcedureStats{Name: "READ", Calls: 12800, Data: 12800 * 4096}, 5)
	return metrics.Snapshot{
		Version: "v1.2.3", PID: 4711, Started: start, Taken: start.Add(time.Duration(n) * time.Second),
		Address: "127.0.0.1:12049", Export: "/nix", Memory: 20 << 20,
		NFS: nfs.Stats{
			Procedures: []nfs.ProcedureStats{get, read}, Received: 1000 * n, Sent: 2000 * n, Rejected: 1, Repeated: 2,
			Connections: 3, Busy: 1, Accepted: 5, Refused: 6, Workers: 7,
		},
		Overlay: overlay.Stats{
			Objects: 1000, Loaded: n, OpenFiles: 12, FileHits: 990 * n, FileMisses: 10 * n, ListingBytes: 4096,
			CopyUps: 18, CopiedBytes: 3 << 30, Copying: 1,
		},
	}
}

func layers() []overlay.Layer {
	return []overlay.Layer{
		{Path: "/home/you/.local/share/nixnfsd/upper", Kind: "upper", FileSystem: "ext4", TotalBytes: 100 << 30, AvailBytes: 12 << 30, Problems: []overlay.LayerProblem{}},
		{
			Path: "/srv/層/\x1b[2Jnix", Kind: "lower", FileSystem: "xfs", TotalBytes: 1 << 40, AvailBytes: 1 << 39,
			Problems: []overlay.LayerProblem{{What: "was removed: nothing is in it any more", Mend: "put it back"}},
		},
	}
}

func keeper() keep.Status {
	return keep.Status{Owner: 1000, Address: "127.0.0.1:12049", Export: "/nix", MountPoint: "/nix", Server: "own", Mount: "mounted"}
}

// looker sees all being well, n seconds after the server's start.
func looker(n *uint64) *Looker {
	return &Looker{
		Address: netip.MustParseAddrPort("127.0.0.1:12049"), Export: "/nix",
		Server: func(context.Context) (metrics.Snapshot, error) { return snapshot(*n), nil },
		Layers: func(context.Context) ([]overlay.Layer, error) { return layers()[:1], nil },
		Keeper: func(context.Context) (keep.Status, error) { return keeper(), nil },
		Table:  func() ([]mount.Entry, error) { return []mount.Entry{entry}, nil },
		Check: func(context.Context, netip.AddrPort, string) (mount.Status, error) {
			return mount.Status{State: mount.NotRunning, Summary: "no server answers", MountPoint: "/nix"}, nil
		},
	}
}

func look(t *testing.T, l *Looker) Report {
	t.Helper()
	r, err := l.Look(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestLook: what is seen in each of the states that server, keeper and mount can be in.
func TestLook(t *testing.T) {
	hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	noServer := func(err error) func(*Looker) {
		return func(l *Looker) {
			l.Server = func(context.Context) (metrics.Snapshot, error) { return metrics.Snapshot{}, err }
		}
	}
	check := func(s mount.State, up bool) func(*Looker) {
		return func(l *Looker) {
			noServer(control.ErrNotRunning)(l)
			l.Check = func(context.Context, netip.AddrPort, string) (mount.Status, error) {
				return mount.Status{State: s, MountPoint: "/nix", Server: mount.Server{Up: up}}, nil
			}
		}
	}
	type seen struct {
		State          mount.State
		Server, Keeper Presence
		OK, Gone       bool
	}
	for _, tt := range []struct {
		name   string
		change func(*Looker)
		want   seen
	}{
		{"all is well", func(*Looker) {}, seen{mount.Mounted, Running, Running, true, false}},
		{"not mounted", func(l *Looker) { l.Table = func() ([]mount.Entry, error) { return nil, nil } }, seen{mount.NotMounted, Running, Running, false, false}},
		{"another mount", func(l *Looker) {
			l.Table = func() ([]mount.Entry, error) {
				return []mount.Entry{{Dir: "/nix", Type: "ext4", From: "/dev/sda"}}, nil
			}
		}, seen{mount.MountedElsewhere, Running, Running, false, false}},
		{"a layer with a problem", func(l *Looker) {
			l.Layers = func(context.Context) ([]overlay.Layer, error) { return layers(), nil }
		}, seen{mount.Mounted, Running, Running, false, false}},
		{"layers that do not answer", func(l *Looker) {
			l.Layers = func(ctx context.Context) ([]overlay.Layer, error) { return nil, hang(ctx) }
		}, seen{mount.Mounted, Running, Running, true, false}},
		{"no keeper", func(l *Looker) {
			l.Keeper = func(context.Context) (keep.Status, error) { return keep.Status{}, control.ErrNotRunning }
		}, seen{mount.Mounted, Running, NotRunning, true, false}},
		{"a keeper that is busy", func(l *Looker) {
			l.Keeper = func(ctx context.Context) (keep.Status, error) { return keep.Status{}, hang(ctx) }
		}, seen{mount.Mounted, Running, Silent, true, false}},
		{"another's keeper", func(l *Looker) {
			l.Keeper = func(context.Context) (keep.Status, error) { return keep.Status{}, fs.ErrPermission }
		}, seen{mount.Mounted, Running, NotYours, true, false}},
		{"no server", noServer(control.ErrNotRunning), seen{mount.NotRunning, NotRunning, Running, false, true}},
		{"a server that hangs", func(l *Looker) {
			l.Server = func(ctx context.Context) (metrics.Snapshot, error) { return metrics.Snapshot{}, hang(ctx) }
		}, seen{mount.NotRunning, Silent, Running, false, true}},
		{"another's server", noServer(fs.ErrPermission), seen{mount.NotRunning, NotYours, Running, false, true}},
		{"an older server", noServer(errors.New("of another version")), seen{mount.NotRunning, Silent, Running, false, true}},
		{"a dead mount", check(mount.DeadMount, false), seen{mount.DeadMount, NotRunning, Running, false, true}},
		{"a server with another state", check(mount.Mounted, true), seen{mount.Mounted, NotRunning, Running, false, false}},
		{"another's mount", check(mount.MountedElsewhere, false), seen{mount.MountedElsewhere, NotRunning, Running, false, false}},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := uint64(1)
			l := looker(&n)
			tt.change(l)
			r := look(t, l)
			got := seen{r.State, r.Server.State, r.Keeper.State, r.OK(), r.Gone()}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%s: %s", tt.name, diff)
			}
			var h History
			h.Add(r)
			if text := strings.Join(h.Lines(80), "\n"); strings.Contains(text, "%!") {
				t.Errorf("%s: %s", tt.name, text)
			}
		})
	}
}

// TestLookAsksSeldom: what costs others something is asked every ten seconds only, or at once
// where there was no server before.
func TestLookAsksSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := uint64(1)
		l := looker(&n)
		asked := 0
		l.Keeper = func(context.Context) (keep.Status, error) { asked++; return keeper(), nil }
		for range 11 {
			look(t, l)
			time.Sleep(every)
		}
		if asked != 2 {
			t.Errorf("asked %d times in 11 s", asked)
		}
		there := l.Server
		l.Server = func(context.Context) (metrics.Snapshot, error) { return metrics.Snapshot{}, control.ErrNotRunning }
		look(t, l)
		l.Server = there
		look(t, l)
		if asked != 3 {
			t.Errorf("asked %d times at the end", asked)
		}
	})
}

// TestLookAtTheMountPoint: it is the keeper's, where that knows another one than the export.
func TestLookAtTheMountPoint(t *testing.T) {
	n := uint64(1)
	l := looker(&n)
	l.Keeper = func(context.Context) (keep.Status, error) { k := keeper(); k.MountPoint = "/other"; return k, nil }
	if r := look(t, l); r.MountPoint != "/other" || r.State != mount.NotMounted {
		t.Errorf("got %s, %s", r.MountPoint, r.State)
	}
}

// TestLookWhereItWas: a server that is gone is looked for where it was, whatever was said at first.
func TestLookWhereItWas(t *testing.T) {
	n := uint64(1)
	l := looker(&n)
	l.Address, l.Export = netip.MustParseAddrPort("127.0.0.1:1"), "/other"
	look(t, l)
	l.Server = func(context.Context) (metrics.Snapshot, error) { return metrics.Snapshot{}, control.ErrNotRunning }
	l.Check = func(_ context.Context, at netip.AddrPort, export string) (mount.Status, error) {
		return mount.Status{Summary: at.String() + export}, nil
	}
	if r := look(t, l); r.Summary != "127.0.0.1:12049/nix" || r.Server.Address != "127.0.0.1:12049" {
		t.Errorf("got %s, %s", r.Summary, r.Server.Address)
	}
}

// TestLookFails where the mount table cannot be read, or nobody can look from outside.
func TestLookFails(t *testing.T) {
	n := uint64(1)
	why := errors.New("why")
	l := looker(&n)
	l.Table = func() ([]mount.Entry, error) { return nil, why }
	if _, err := l.Look(t.Context()); !errors.Is(err, why) {
		t.Errorf("got %v", err)
	}
	l.Server = func(context.Context) (metrics.Snapshot, error) { return metrics.Snapshot{}, control.ErrNotRunning }
	l.Check = func(context.Context, netip.AddrPort, string) (mount.Status, error) { return mount.Status{}, why }
	if _, err := l.Look(t.Context()); !errors.Is(err, why) {
		t.Errorf("got %v", err)
	}
}

// TestGolden holds what is shown, once and again, at several widths, and as JSON.
func TestGolden(t *testing.T) {
	n := uint64(3600)
	l := looker(&n)
	l.Layers = func(context.Context) ([]overlay.Layer, error) { return layers(), nil }
	var h History
	h.Add(look(t, l))
	golden := func(name, got string) {
		t.Helper()
		testenv.Golden(t, filepath.Join("testdata", name), got, *update)
	}
	text := func(columns int) string { return strings.Join(h.Lines(columns), "\n") + "\n" }
	golden("once.txt", text(0))
	var b bytes.Buffer
	lines := ToLines(&b)
	if err := lines(&h); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		n++
		h.Add(look(t, l))
		if err := lines(&h); err != nil {
			t.Fatal(err)
		}
	}
	golden("lines.txt", b.String())
	for _, columns := range []int{40, 80, 200} {
		golden(fmt.Sprintf("watch-%d.txt", columns), text(columns))
		for line := range strings.Lines(text(columns)) {
			if width := uniseg.StringWidth(strings.TrimSuffix(line, "\n")); width > columns {
				t.Errorf("%d columns of %d: %q", width, columns, line)
			}
		}
	}
	b.Reset()
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	if err := enc.Encode(look(t, l)); err != nil {
		t.Fatal(err)
	}
	golden("report.json", b.String())
}

// TestHistory: a program that took over begins anew, and no more looks are kept than are needed.
func TestHistory(t *testing.T) {
	n := uint64(1)
	l := looker(&n)
	var h History
	for n = 1; n <= 50; n++ {
		h.Add(look(t, l))
	}
	if len(h.looks) != depth+1 {
		t.Errorf("%d looks are kept", len(h.looks))
	}
	if v := h.view(); v.over != time.Second || v.total().calls != 19200 {
		t.Errorf("got %v, %v calls", v.over, v.total().calls)
	}
	there := l.Server
	l.Server = func(ctx context.Context) (metrics.Snapshot, error) {
		s, err := there(ctx)
		s.Started = start.Add(time.Hour)
		return s, err
	}
	n = 2
	h.Add(look(t, l))
	if v := h.view(); v.over != 0 || v.total().calls != 2*19200 {
		t.Errorf("after a restart: %v, %v calls", v.over, v.total().calls)
	}
	l.Server = func(context.Context) (metrics.Snapshot, error) { return metrics.Snapshot{}, control.ErrNotRunning }
	h.Add(look(t, l))
	if h.view() != nil {
		t.Error("there is a view without a server")
	}
}

// TestWatch: once a second until the end, which is no error; other errors are.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3500*time.Millisecond)
		defer cancel()
		n := uint64(1)
		shown := 0
		err := Watch(ctx, looker(&n).Look, func(*History) error { shown++; return nil })
		if shown != 4 || err != nil {
			t.Errorf("shown %d times, %v", shown, err)
		}
		why := errors.New("why")
		if err := Watch(t.Context(), looker(&n).Look, func(*History) error { return why }); err != why {
			t.Errorf("got %v", err)
		}
		if err := Watch(t.Context(), func(context.Context) (Report, error) { return Report{}, why }, nil); err != why {
			t.Errorf("got %v", err)
		}
	})
}

func TestToJSON(t *testing.T) {
	n := uint64(1)
	var h History
	h.Add(look(t, looker(&n)))
	var b bytes.Buffer
	show := ToJSON(&b)
	for range 2 {
		if err := show(&h); err != nil {
			t.Fatal(err)
		}
	}
	dec := json.NewDecoder(&b)
	for range 2 {
		var r Report
		if err := dec.Decode(&r); err != nil || r.SchemaVersion != SchemaVersion || r.Stats.NFS.Procedures[0].Name != "GETATTR" {
			t.Errorf("got %+v, %v", r, err)
		}
	}
	if b.Len() != 0 || dec.More() {
		t.Error("there is more than a line each")
	}
}

func TestPage(t *testing.T) {
	const want = home + "a" + endLine + "b" + "\x1b[K" + endPage
	if got := page([]string{"a", "b", "c"}, 2); got != want {
		t.Errorf("got %q", got)
	}
}

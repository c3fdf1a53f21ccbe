package integration

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/nixnfsd/nixnfsd/integration/testserver"
	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
	"github.com/nixnfsd/nixnfsd/internal/testenv"
	"github.com/nixnfsd/nixnfsd/nfs"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// envTraced has the test binary serve a directory, for a test that runs it under strace.
const envTraced = "NIXNFSD_TEST_TRACED"

// TestMain serves where a test wants this binary to.
func TestMain(m *testing.M) {
	if dir, moment, ok := strings.Cut(os.Getenv(envMortal), string(filepath.ListSeparator)); ok {
		fmt.Fprintln(os.Stderr, serveMortal(dir, moment))
		os.Exit(1)
	}
	if dirs := os.Getenv(envTraced); dirs != "" {
		if err := serveTraced(filepath.SplitList(dirs)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// serveTraced serves until its standard input ends: a state directory and layers by the
// overlay, a directory alone by plainFS. It prints its address.
func serveTraced(dirs []string) error {
	var fsys nfs.FS
	var err error
	if len(dirs) == 1 {
		fsys, err = newPlainFS(dirs[0])
	} else {
		fsys, err = overlay.Open(overlay.Options{State: dirs[0], Upper: dirs[1], Lowers: dirs[2:]})
	}
	if err != nil {
		return err
	}
	server, err := testserver.Serve(nfs.Options{FS: fsys})
	if err != nil {
		return err
	}
	fmt.Println(server.Addr)
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// traced is a server that runs under strace, and a client of it.
type traced struct {
	*nfsclient.Client
	t    *testing.T
	root nfsclient.FH
	// found are the handles in a step's directory.
	found map[string]nfsclient.FH
	end   func() (trace string)
}

// startTraced starts a server under strace; end stops it and gives the trace.
func startTraced(t *testing.T, dirs ...string) *traced {
	t.Helper()
	strace, err := exec.LookPath("strace")
	testenv.Require(t, err == nil, "strace is not installed")
	file := filepath.Join(t.TempDir(), "trace")
	cmd := exec.CommandContext(t.Context(), strace, "-f", "-qq", "-s", "32", "-e", "trace=%file,%desc", "-o", file, os.Args[0])
	// Else Go's runtime reads the cgroup's limit of processors every second, with pread64.
	cmd.Env = append(os.Environ(), "GODEBUG=updatemaxprocs=0", envTraced+"="+strings.Join(dirs, string(filepath.ListSeparator)))
	cmd.Stderr = t.Output()
	stdin, err := cmd.StdinPipe()
	must(t, err)
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	addr, err := bufio.NewReader(stdout).ReadString('\n')
	must(t, err)
	client, err := nfsclient.Dial(t.Context(), strings.TrimSpace(addr), nfsclient.Options{Cred: nfsclient.Self()})
	must(t, err)
	mnt, err := client.Mnt(t.Context(), "/nix")
	must(t, err)
	return &traced{Client: client, t: t, root: mnt.FH, end: func() string {
		must(t, client.Close())
		must(t, stdin.Close())
		must(t, cmd.Wait())
		trace, err := os.ReadFile(file)
		must(t, err)
		return string(trace)
	}}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// marker starts the names that are looked up, and are not there, to cut the trace.
const marker = "marker-"

func (s *traced) mark(what string) { _, _ = s.Lookup(s.t.Context(), s.root, marker+what) }

func (s *traced) walk(names ...string) nfsclient.FH {
	s.t.Helper()
	at := s.root
	for _, name := range names {
		r, err := s.Lookup(s.t.Context(), at, name)
		must(s.t, err)
		at = r.FH
	}
	return at
}

// notCounted are calls that no procedure makes, of the network and of Go's runtime; and
// closes, which belong to the calls that opened and can come after the reply.
var notCounted = []string{"close", "read", "write", "epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_wait", "fcntl", "mmap", "munmap", "writev", "eventfd2", "pipe2"}

var (
	callStart  = regexp.MustCompile(`^\d+ +(\w+)\(`)
	markerCall = regexp.MustCompile(`"` + marker + `([^"]*)"`)
)

// calls counts the system calls behind each marker, by name.
func calls(trace string) map[string]map[string]int {
	counts := map[string]map[string]int{}
	at := map[string]int{}
	for line := range strings.Lines(trace) {
		if m := markerCall.FindStringSubmatch(line); m != nil {
			at = map[string]int{}
			counts[m[1]] = at
			continue
		}
		if m := callStart.FindStringSubmatch(line); m != nil && !slices.Contains(notCounted, m[1]) {
			at[m[1]]++
		}
	}
	for _, c := range counts { // the next marker's look at its directory
		c["statx"]--
	}
	return counts
}

func total(counts map[string]int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}

// describe names the calls, the most frequent first.
func describe(counts map[string]int) string {
	names := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(counts[b]-counts[a], strings.Compare(a, b))
	})
	var parts []string
	for _, name := range names {
		if counts[name] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", counts[name], name))
		}
	}
	return strings.Join(parts, ", ")
}

// countedStep is one call of a client's. It has a directory of its own, with a file f,
// a symbolic link l, an empty directory e, and a directory d with three files. The handles
// are known and the directory was used before; the file was not.
type countedStep struct {
	name string
	do   func(ctx context.Context, s *traced, dir, file nfsclient.FH) error
	want int // system calls of the overlay
}

func countedSteps() []countedStep {
	type fh = nfsclient.FH
	mode := nfsclient.SetAttr{Mode: new(uint32(0o640))}
	return []countedStep{
		{"GETATTR", func(ctx context.Context, s *traced, _, file fh) error { return second(s.Getattr(ctx, file)) }, 1},
		{"GETATTR of a directory", func(ctx context.Context, s *traced, dir, _ fh) error { return second(s.Getattr(ctx, dir)) }, 1},
		{"LOOKUP", func(ctx context.Context, s *traced, dir, _ fh) error { return second(s.Lookup(ctx, dir, "l")) }, 2},
		{"ACCESS", func(ctx context.Context, s *traced, _, file fh) error { return second(s.Access(ctx, file, 0x3f)) }, 1},
		{"READLINK", func(ctx context.Context, s *traced, dir, _ fh) error { return second(s.Readlink(ctx, s.found["l"])) }, 2},
		{"READ", func(ctx context.Context, s *traced, _, file fh) error { return second(s.Read(ctx, file, 0, 100)) }, 3},
		{"WRITE", func(ctx context.Context, s *traced, _, file fh) error {
			return second(s.Write(ctx, file, 0, nfsclient.Unstable, []byte("x")))
		}, 4},
		{"WRITE, FILE_SYNC", func(ctx context.Context, s *traced, _, file fh) error {
			return second(s.Write(ctx, file, 0, nfsclient.FileSync, []byte("x")))
		}, 5},
		{"COMMIT", func(ctx context.Context, s *traced, _, file fh) error { return second(s.Commit(ctx, file, 0, 0)) }, 4},
		{"SETATTR of the mode", func(ctx context.Context, s *traced, _, file fh) error { return second(s.Setattr(ctx, file, mode, nil)) }, 4},
		{"SETATTR of the times", func(ctx context.Context, s *traced, _, file fh) error {
			return second(s.Setattr(ctx, file, nfsclient.SetAttr{Mtime: nfsclient.SetTime{How: nfsclient.ServerTime}}, nil))
		}, 4},
		{"SETATTR of the size", func(ctx context.Context, s *traced, _, file fh) error {
			return second(s.Setattr(ctx, file, nfsclient.SetAttr{Size: new(uint64(1))}, nil))
		}, 4},
		{"CREATE", func(ctx context.Context, s *traced, dir, _ fh) error {
			return second(s.Create(ctx, dir, "new", nfsclient.Unchecked, mode))
		}, 4},
		{"MKDIR", func(ctx context.Context, s *traced, dir, _ fh) error { return second(s.Mkdir(ctx, dir, "new", mode)) }, 4},
		{"SYMLINK", func(ctx context.Context, s *traced, dir, _ fh) error {
			return second(s.Symlink(ctx, dir, "new", "target", nfsclient.SetAttr{}))
		}, 4},
		{"MKNOD", func(ctx context.Context, s *traced, dir, _ fh) error {
			return second(s.Mknod(ctx, nfsclient.MknodArgs{Dir: dir, Name: "new", Type: nfsclient.FIFO, Attr: mode}))
		}, 4},
		{"REMOVE", func(ctx context.Context, s *traced, dir, _ fh) error { return second(s.Remove(ctx, dir, "f")) }, 4},
		{"RMDIR", func(ctx context.Context, s *traced, dir, _ fh) error { return second(s.Rmdir(ctx, dir, "e")) }, 4},
		{"RENAME", func(ctx context.Context, s *traced, dir, _ fh) error {
			return second(s.Rename(ctx, dir, "f", dir, "g"))
		}, 5},
		{"RENAME over a file", func(ctx context.Context, s *traced, dir, _ fh) error {
			return second(s.Rename(ctx, dir, "f", s.found["d"], "1"))
		}, 7},
		{"LINK", func(ctx context.Context, s *traced, dir, file fh) error { return second(s.Link(ctx, file, dir, "new")) }, 4},
		{"READDIR", func(ctx context.Context, s *traced, _, _ fh) error {
			return second(s.Readdir(ctx, s.found["d"], 0, nfsclient.Verf{}, 8192))
		}, 4},
		{"READDIRPLUS", func(ctx context.Context, s *traced, _, _ fh) error {
			return second(s.Readdirplus(ctx, nfsclient.ReaddirplusArgs{Dir: s.found["d"], Dircount: 8192, Maxcount: 8192}))
		}, 8},
	}
}

// second is the error of a call that gives something else too.
func second[T any](_ T, err error) error { return err }

// TestSystemCalls counts the system calls of each procedure, without a lower layer:
// the overlay makes no more than a server that is nothing but a directory's.
func TestSystemCalls(t *testing.T) {
	steps := countedSteps()
	plain := count(t, steps, func(dir string) []string { return []string{dir} })
	ours := count(t, steps, func(dir string) []string { return []string{t.TempDir(), dir} })
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "procedure\tplain\tagain\toverlay\tagain\tthe overlay's calls")
	for _, step := range steps {
		p, o := plain[step.name], ours[step.name]
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%s\n", step.name, total(p.first), total(p.again), total(o.first), total(o.again), describe(o.first))
		if total(o.first) > total(p.first) || total(o.again) > total(p.again) {
			t.Errorf("%s: the overlay makes %d system calls, then %d; the plain server %d (%s), then %d", step.name,
				total(o.first), total(o.again), total(p.first), describe(p.first), total(p.again))
		}
		if total(o.first) != step.want {
			t.Errorf("%s: the overlay makes %d system calls (%s), want %d", step.name, total(o.first), describe(o.first), step.want)
		}
	}
	must(t, w.Flush())
	t.Logf("system calls of each procedure on one directory:\n%s", table.String())
}

// counted are the system calls of a step, and of the same call once more, where it
// can be made twice.
type counted struct{ first, again map[string]int }

func count(t *testing.T, steps []countedStep, dirs func(dir string) []string) map[string]counted {
	t.Helper()
	dir := t.TempDir()
	for _, step := range steps {
		fillCounted(t, filepath.Join(dir, step.name))
	}
	s := startTraced(t, dirs(dir)...)
	for _, step := range steps {
		s.found = map[string]nfsclient.FH{}
		at := s.walk(step.name)
		for _, name := range []string{"f", "l", "d", "e"} {
			s.found[name] = s.walk(step.name, name)
		}
		s.walk(step.name, "d", "1")
		s.mark(step.name)
		if err := step.do(t.Context(), s, at, s.found["f"]); err != nil {
			t.Errorf("%s: %v", step.name, err)
		}
		s.mark(step.name + againMark)
		_ = step.do(t.Context(), s, at, s.found["f"]) // what was made or removed already fails
		s.mark("between")
	}
	trace := s.end()
	found, result := calls(trace), map[string]counted{}
	for _, step := range steps {
		result[step.name] = counted{found[step.name], found[step.name+againMark]}
		if total(found[step.name]) < 1 {
			t.Fatalf("%s has no system calls in the trace:\n%s", step.name, trace)
		}
	}
	return result
}

const againMark = " again"

// fillCounted makes what a step needs.
func fillCounted(t *testing.T, dir string) {
	t.Helper()
	for _, sub := range []string{"d", "e"} {
		must(t, os.MkdirAll(filepath.Join(dir, sub), 0o755))
	}
	for _, name := range []string{"f", "d/1", "d/2", "d/3"} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte("some data"), 0o644))
	}
	must(t, os.Symlink("target", filepath.Join(dir, "l")))
}

// TestSystemCallsManyLowers counts the system calls of a LOOKUP in the last of five lower
// layers: at most two and a half times those of one in the upper, also of a name that is
// met for the first time, and no more of one that no layer has than of one that the upper has.
func TestSystemCallsManyLowers(t *testing.T) {
	const names = 300
	dirs := []string{t.TempDir()}
	for range 6 {
		dirs = append(dirs, t.TempDir())
	}
	for i := range names {
		must(t, os.WriteFile(filepath.Join(dirs[1], fmt.Sprint("upper-", i)), nil, 0o644))
		must(t, os.WriteFile(filepath.Join(dirs[6], fmt.Sprint("last-", i)), nil, 0o644))
	}
	s := startTraced(t, dirs...)
	lookUp := func(what string) {
		t.Helper()
		s.mark(what)
		for i := range names {
			_, err := s.Lookup(t.Context(), s.root, fmt.Sprint(strings.Fields(what)[0], "-", i))
			if absent := strings.HasPrefix(what, "absent"); (err != nil) != absent {
				t.Fatalf("%s: %v", what, err)
			}
		}
	}
	s.mark("warm")
	for range 20 { // until the server reads the lower layers' names once and for all
		for i := range names {
			_, _ = s.Lookup(t.Context(), s.root, fmt.Sprint("warm-", i))
		}
	}
	rounds := []string{"upper met", "last met", "upper", "last", "absent"}
	for _, what := range rounds {
		lookUp(what)
	}
	s.mark("end")
	found := calls(s.end())
	each := map[string]float64{}
	for _, what := range rounds {
		each[what] = float64(total(found[what])) / names
		t.Logf("LOOKUP %-9s %.2f system calls (%s for %d)", what, each[what], describe(found[what]), names)
	}
	for _, when := range []string{"", " met"} {
		if ratio := each["last"+when] / each["upper"+when]; ratio > 2.5 {
			t.Errorf("a LOOKUP in the last layer%s makes %.2f times the system calls of one in the upper, want 2.5 at most", when, ratio)
		}
	}
	if each["absent"] > each["upper"]+0.1 {
		t.Errorf("a LOOKUP of what is nowhere makes %.2f system calls", each["absent"])
	}
}

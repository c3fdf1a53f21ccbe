//go:build linux

package guest

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nixnfsd/nixnfsd/integration/uml/spec"
)

// serverState is the state directory of the server (package integration).
const serverState = spec.Scratch + "/state"

// mostRestarts is how often the server gives way during one piece of work.
const mostRestarts = 6

// restart has the server give way to the same program, and gives what is said of it.
func restart(t *testing.T) string {
	t.Helper()
	out, code := nixnfsd(t, "restart", "--state", serverState)
	if code != 0 {
		t.Fatalf("restart: exit code %d: %s", code, out)
	}
	return strings.TrimSpace(out)
}

// prober asks the server again and again, and remembers the longest wait for an answer.
type prober struct {
	stop    context.CancelFunc
	longest chan time.Duration
	err     error
}

func startProber(t *testing.T) *prober {
	ctx, cancel := context.WithCancel(t.Context())
	p := &prober{stop: cancel, longest: make(chan time.Duration)}
	go func() {
		var longest time.Duration
		for p.err == nil && ctx.Err() == nil {
			start := time.Now()
			p.err = reachServer()
			longest = max(longest, time.Since(start))
			time.Sleep(time.Millisecond) // the machine has one processor
		}
		p.longest <- longest
	}()
	return p
}

// end gives the longest wait.
func (p *prober) end(t *testing.T) time.Duration {
	t.Helper()
	p.stop()
	longest := <-p.longest
	if p.err != nil {
		t.Errorf("statfs %s: %v", nixRoot, p.err)
	}
	return longest
}

// connects is how often the client has connected to the server of /nix: the third number of
// the line "xprt: tcp" in mountstats.
func connects(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("/proc/self/mountstats")
	try(t, err)
	_, text, _ := strings.Cut(string(b), " mounted on "+nixRoot+" ")
	_, text, _ = strings.Cut(text, "xprt:\ttcp ")
	f := strings.Fields(text)
	if len(f) < 3 {
		t.Fatalf("no transport of %s in:\n%s", nixRoot, b)
	}
	return f[2]
}

// TestNixRestart has the server give way again and again while git and nix-build work.
// Both end well, with every byte, and the client never has to connect anew.
func TestNixRestart(t *testing.T) {
	nixMount(t)
	u := newNixUser(t, -1)
	u.env = append(u.env, "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b")
	u.run(t, "nix-store", "--init")
	expression := u.write(t, "many.nix", killExpression)
	source := filepath.Join(u.home, "source")
	writeTree(t, source, "restart", killFiles)
	u.run(t, "git", "init", "-q", source)
	u.run(t, "git", "-C", source, "add", "-A")
	u.run(t, "git", "-C", source, "commit", "-q", "-m", "all")
	link, clone := filepath.Join(u.home, "result"), filepath.Join(nixRoot, "restart")

	before, prober := connects(t), startProber(t)
	restarts := restartWhile(t, func(ctx context.Context) error {
		_, err := u.try(ctx, "git", "clone", "-q", "file://"+source, clone)
		return err
	})
	restarts += restartWhile(t, func(ctx context.Context) error {
		_, err := u.try(ctx, "nix-build", expression, "-o", link, "--argstr", "seed", "restart")
		return err
	})
	t.Logf("%d restarts: an answer took %v at most", restarts, prober.end(t).Round(time.Millisecond))
	if after := connects(t); after != before {
		t.Errorf("the client had connected %s times before, and %s after", before, after)
	}
	u.run(t, "nix-store", "--verify", "--check-contents")
	checkMany(t, link, "restart")
	checkClone(t, u, source, clone)
	checkLeftovers(t)
}

// restartWhile has the server give way, at moments that differ, while the work runs.
func restartWhile(t *testing.T, work func(context.Context) error) (restarts int) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- work(t.Context()) }()
	for restarts < mostRestarts {
		select {
		case err := <-done:
			if err != nil {
				t.Fatalf("after %d restarts: %v\n%s", restarts, err, storeState())
			}
			return restarts
		case <-time.After(rand.N(time.Second)):
			restart(t)
			restarts++
		}
	}
	if err := <-done; err != nil {
		t.Fatalf("after %d restarts: %v\n%s", restarts, err, storeState())
	}
	return restarts
}

// TestPauses prints how long the client waits for a server that gives way, and for one that is
// stopped or killed and started again at once.
func TestPauses(t *testing.T) {
	Mount(t)
	const times = 2
	for _, tt := range []struct {
		name string
		do   func()
	}{
		{"nothing", func() { try(t, reachServer()) }},
		{"nixnfsd restart", func() { t.Log(restart(t)) }},
		{"stop, then start", func() { Control(t, "stop"); Control(t, "start") }},
		{"kill -9, then start", func() { Control(t, "restart") }},
	} {
		waits := make([]time.Duration, times)
		for i := range waits {
			p := startProber(t)
			tt.do()
			try(t, reachServer())
			waits[i] = p.end(t).Round(time.Millisecond)
		}
		t.Logf("%s: the longest waits for an answer: %v", tt.name, waits)
	}
}

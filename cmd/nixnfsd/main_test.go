package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	"github.com/nixnfsd/nixnfsd/internal/testenv"
)

func TestMain(m *testing.M) { testscript.Main(m, map[string]func(){"nixnfsd": main, "sudo": sudo}) }

// sudo is sudo(8) that asks nothing, for a script that makes it set-uid.
func sudo() {
	if err := syscall.Setuid(0); err != nil {
		log.Fatal(err)
	}
	args := os.Args[2:] // behind "--"
	log.Fatal(syscall.Exec(args[0], args, os.Environ()))
}

func TestScript(t *testing.T) { runScripts(t, "testdata/script") }

// TestScriptAsRoot runs scripts that mount file systems, each in a mount
// namespace of its own.
func TestScriptAsRoot(t *testing.T) {
	testenv.Require(t, runtime.GOOS == "linux" && os.Getuid() == 0, "it mounts file systems, which needs Linux and root")
	runScripts(t, "testdata/root")
}

func runScripts(t *testing.T, dir string) {
	testscript.Run(t, testscript.Params{
		Dir:                 dir,
		RequireExplicitExec: true,
		Deadline:            time.Now().Add(time.Minute),
		Setup:               settle,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":     exits,
			"listen":    listenHere,
			"ready":     ready,
			"scrape":    scrape,
			"terminate": terminate,
		},
	})
}

// settle gives the user of a script a home and an address of his own. Directories that a script
// makes are its own, whatever the user's umask is.
func settle(env *testscript.Env) error {
	syscall.Umask(0o022)
	env.Setenv("HOME", env.WorkDir+"/home")
	env.Setenv("XDG_DATA_HOME", "")
	env.Setenv("XDG_STATE_HOME", "")
	env.Setenv("ANY", "127.0.0.1:0")
	return nil
}

// exits is the command "exits CODE PROGRAM ARGS…": the program ends with that
// exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARGS...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

var readyLine = regexp.MustCompile(`(?m)^ready: .* on (\S+) as .*\n(.*\n)`)

// ready is the command "ready FILE": it waits until the server that prints to
// the file is ready, and sets ADDR to its address and PORT to its port.
func ready(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: ready FILE")
	}
	const pause, patience = 10 * time.Millisecond, 10 * time.Second
	for start := time.Now(); time.Since(start) < patience; time.Sleep(pause) {
		text, err := os.ReadFile(ts.MkAbs(args[0]))
		if m := readyLine.FindSubmatch(text); err == nil && m != nil {
			addr := string(m[1])
			ts.Setenv("ADDR", addr)
			ts.Setenv("PORT", addr[strings.LastIndex(addr, ":")+1:])
			return
		}
	}
	ts.Fatalf("no server was ready after %s", patience)
}

var metricsLine = regexp.MustCompile(`(?m)^metrics: (.*)$`)

// scrape is the command "scrape FILE TO": it writes the metrics of the server that prints to the
// file, and is ready, to another file.
func scrape(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: scrape FILE TO")
	}
	m := metricsLine.FindStringSubmatch(ts.ReadFile(args[0]))
	if m == nil {
		ts.Fatalf("the server says nothing of metrics")
	}
	client, url := http.DefaultClient, m[1]
	if path, ok := strings.CutPrefix(url, "unix:"); ok {
		url = "http://localhost/metrics"
		client = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		}}}
	}
	defer client.CloseIdleConnections()
	resp, err := client.Get(url)
	ts.Check(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	ts.Check(err)
	if resp.StatusCode != http.StatusOK {
		ts.Fatalf("%s: %s", resp.Status, body)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), body, 0o600))
}

// listenHere is the command "listen": this process listens, says nothing to
// anybody, and sets ADDR to its address.
func listenHere(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: listen")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { ts.Check(l.Close()) })
	ts.Setenv("ADDR", l.Addr().String())
}

// terminate is the command "terminate": programs in the background get SIGTERM.
func terminate(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: terminate")
	}
	for _, cmd := range ts.BackgroundCmds() {
		if err := cmd.Process.Signal(syscall.SIGTERM); !errors.Is(err, os.ErrProcessDone) {
			ts.Check(err)
		}
	}
}

// TestHelpFits has every line of help fit a terminal, and every flag explained.
func TestHelpFits(t *testing.T) {
	root := newCommand()
	for _, cmd := range append(root.Commands(), root) {
		for _, line := range strings.Split(help(t, cmd), "\n") {
			if len(line) > 80 {
				t.Errorf("%s: %d columns: %s", cmd.Name(), len(line), line)
			}
		}
	}
}

func help(t *testing.T, cmd *cobra.Command) string {
	var b bytes.Buffer
	cmd.SetOut(&b)
	if err := cmd.Help(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

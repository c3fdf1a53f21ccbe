package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/nixnfsd/nixnfsd/integration/nixtarball"
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

// TestCompletion has the shells themselves complete command lines.
func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		_, err := exec.LookPath(shell)
		testenv.Require(t, err == nil, "it needs "+shell)
	}
	_, err := os.Stat("/usr/share/bash-completion/bash_completion")
	testenv.Require(t, err == nil, "it needs bash-completion")
	runScripts(t, "testdata/shells")
}

func runScripts(t *testing.T, dir string) {
	const patience = 20 * time.Minute // for all of them at once, on a machine that has much else to do
	testscript.Run(t, testscript.Params{
		Dir:                 dir,
		RequireExplicitExec: true,
		Deadline:            time.Now().Add(patience),
		Setup:               settle,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"appears":   appears,
			"exits":     exits,
			"listen":    listenHere,
			"publish":   publish,
			"ready":     ready,
			"scrape":    scrape,
			"shape":     shape,
			"tarball":   tarball,
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

// publish is the command "publish DIR": this process serves the files of a directory by HTTP, at URL.
func publish(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: publish DIR")
	}
	server := httptest.NewServer(http.FileServer(http.Dir(ts.MkAbs(args[0]))))
	ts.Defer(server.Close)
	ts.Setenv("URL", server.URL)
}

// tarball is the command "tarball SYSTEM": it writes a small binary tarball of Nix, which
// cannot run, for a system or for this one.
func tarball(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 1 {
		ts.Fatalf("usage: tarball [SYSTEM]")
	}
	_, err := smallTarball(append(args, nixSystem())[0]).File(context.Background(), ts.MkAbs("."))
	ts.Check(err)
}

func smallTarball(system string) *nixtarball.Tarball {
	nix := nixtarball.Path{Base: nixtarball.Base("nix-2.0"), Entries: []nixtarball.Entry{
		{Name: "bin/nix-store", Mode: 0o111, Content: "#!/bin/sh\n"}, {Name: "share/large", Content: strings.Repeat("large", 1<<20)},
	}}
	cacert := nixtarball.Path{Base: nixtarball.Base("nss-cacert"), Entries: []nixtarball.Entry{{Name: "ca-bundle.crt", Content: "none"}}}
	return &nixtarball.Tarball{Version: "2.0", System: system, Paths: []nixtarball.Path{nix, cacert}, Nix: nix.Base, CACert: cacert.Base}
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

// verbs are the program itself and all its verbs, hidden ones left out.
func verbs(cmd *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{cmd}
	for _, verb := range cmd.Commands() {
		if !verb.Hidden {
			all = append(all, verbs(verb)...)
		}
	}
	return all
}

// TestHelpFits has every line of help fit a terminal.
func TestHelpFits(t *testing.T) {
	for _, cmd := range verbs(newCommand()) {
		for _, line := range strings.Split(help(t, cmd), "\n") {
			if utf8.RuneCountInString(line) > 80 {
				t.Errorf("%s: more than 80 columns: %s", cmd.CommandPath(), line)
			}
		}
	}
}

// TestHelpExplains has every verb in a group, and every verb and flag explained in the same way.
func TestHelpExplains(t *testing.T) {
	for _, cmd := range verbs(newCommand()) {
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s: its short help is %q", cmd.CommandPath(), cmd.Short)
		}
		if cmd.HasParent() && cmd.Parent().ContainsGroup("Look:") && cmd.GroupID == "" {
			t.Errorf("%s is in no group", cmd.CommandPath())
		}
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if value, text := pflag.UnquoteUsage(f); text == "" || value != strings.ToUpper(value) {
				t.Errorf("%s --%s: its help is %q, of a %q", cmd.CommandPath(), f.Name, text, value)
			}
		})
	}
}

// TestScriptsMentionAll has every verb and every flag used by some script, as a command that the script
// runs. (Of the flags help and version, which cobra makes, nothing is asked.)
func TestScriptsMentionAll(t *testing.T) {
	lines := scriptLines(t)
	for _, cmd := range verbs(newCommand()) {
		path := strings.Fields(cmd.CommandPath())
		if !slices.ContainsFunc(lines, func(words []string) bool { return runs(words, path, "") }) {
			t.Errorf("no script runs %s", cmd.CommandPath())
		}
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			short := "-" + f.Shorthand
			if !slices.ContainsFunc(lines, func(words []string) bool {
				return runs(words, path, "--"+f.Name) || f.Shorthand != "" && runs(words, path, short)
			}) {
				t.Errorf("no script runs %s --%s", cmd.CommandPath(), f.Name)
			}
		})
	}
}

// TestScriptsReachExitCodes has every verb end with 0, 1 and 2, and with what else its help says, in
// some script's line "exits CODE ... nixnfsd VERB"; for 0 "exec ... nixnfsd VERB" does.
func TestScriptsReachExitCodes(t *testing.T) {
	reached := map[string]bool{}
	for _, words := range scriptLines(t) {
		code, ok := lineCode(words)
		if at := slices.IndexFunc(words, isProgram); ok && at >= 0 {
			cmd, _, err := newCommand().Find(words[at+1:])
			if err == nil {
				reached[cmd.CommandPath()+" "+code] = true
			}
		}
	}
	for _, cmd := range verbs(newCommand()) {
		if !cmd.Runnable() || !cmd.HasParent() {
			continue
		}
		for _, code := range documentedCodes(cmd) {
			if !reached[cmd.CommandPath()+" "+code] {
				t.Errorf("no script has %s exit with code %s", cmd.CommandPath(), code)
			}
		}
	}
}

// lineCode is the exit code that a script's line holds a program to.
func lineCode(words []string) (code string, ok bool) {
	switch {
	case len(words) > 1 && words[0] == "exits":
		return words[1], true
	case len(words) > 0 && words[0] == "exec":
		return "0", true
	}
	return "", false
}

// documentedCodes are the exit codes that every verb has, and what else its help says. Where nothing can
// fail but the printing, it fails too.
func documentedCodes(cmd *cobra.Command) []string {
	_, said, _ := strings.Cut(cmd.Long, "Exit code")
	return append([]string{"0", "1", "2"}, regexp.MustCompile(`\b[3-9]\b`).FindAllString(said, -1)...)
}

// scriptLines are the lines of all scripts that run the program, as words.
func scriptLines(t *testing.T) [][]string {
	t.Helper()
	var files []string
	for _, pattern := range []string{"testdata/*/*.txtar", "../../integration/guest/testdata/*.txtar"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("there are no scripts %s: %v", pattern, err)
		}
		files = append(files, found...)
	}
	var lines [][]string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if words := strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(" \t\n\"'()|;<>&", r) }); !strings.HasPrefix(line, "#") {
				lines = append(lines, words)
			}
		}
	}
	return lines
}

// isProgram reports whether a word is the program, which scripts that run in a shell call "nx".
func isProgram(word string) bool { return word == "nx" || filepath.Base(word) == "nixnfsd" }

// runs reports whether words run a verb with a flag, or whatever way where that is empty.
func runs(words, path []string, flag string) bool {
	for i, word := range words {
		if !isProgram(word) || len(words) < i+len(path) || !slices.Equal(words[i+1:i+len(path)], path[1:]) {
			continue
		}
		given := func(w string) bool { return w == flag || strings.HasPrefix(w, flag+"=") }
		if flag == "" || slices.ContainsFunc(words[i+len(path):], given) {
			return true
		}
	}
	return false
}

func help(t *testing.T, cmd *cobra.Command) string {
	var b bytes.Buffer
	cmd.SetOut(&b)
	if err := cmd.Help(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

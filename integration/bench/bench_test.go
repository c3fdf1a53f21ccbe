package main

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestMain is a server where the benchmark starts this binary as one.
func TestMain(m *testing.M) {
	if as := os.Getenv(envServe); as != "" {
		fmt.Fprintln(os.Stderr, serveOwn(as))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// TestTiny runs all workloads with little of everything, and without servers of others.
func TestTiny(t *testing.T) {
	program := filepath.Join(t.TempDir(), "nixnfsd")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "github.com/nixnfsd/nixnfsd/cmd/nixnfsd")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	b := &bench{
		program: program, scale: tinyScale(), length: time.Millisecond, rounds: 1,
		wanted: func(string) bool { return true },
		peers:  slices.DeleteFunc(contenders(), func(name string) bool { return name == ganesha || name == goNFS }),
		dir:    t.TempDir(), log: t.Output(),
	}
	if err := b.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	for f, err := range b.failed {
		t.Errorf("%s: %s: %v", f.contender, f.workload, err)
	}
	r := newReport(b.results)
	var table strings.Builder
	if err := r.print(&table, b.failed); err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + table.String())
	for _, row := range rows() {
		if _, ok := r.cell(&row, columnValue); !ok {
			t.Errorf("%s has not been measured", row.title)
		}
	}
	wellFormed(t, string(r.draw("a test")))
}

// wellFormed holds that an SVG can be read.
func wellFormed(t *testing.T, svg string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("the SVG: %v\n%s", err, svg)
		}
	}
}

// A target belongs to a row and a column of the table: else it would never be looked at.
func TestTargetsAreOfCells(t *testing.T) {
	for _, target := range targets() {
		if !slices.ContainsFunc(rows(), func(w row) bool { return w.key == target.row }) {
			t.Errorf("%+v: there is no such row", target)
		}
		if !slices.ContainsFunc(columns(), func(c [2]string) bool { return c[0] == target.column }) {
			t.Errorf("%+v: there is no such column", target)
		}
	}
}

func TestReport(t *testing.T) {
	at := func(server string, round int, rate float64, err error) result {
		return result{row: "lookup-1", server: server, round: round, units: rate, wall: time.Second, err: err}
	}
	r := newReport([]result{
		at(nixnfsd, 0, 100, nil), at(limit, 0, 50, nil), // 2
		at(nixnfsd, 1, 300, nil), at(limit, 1, 100, nil), // 3
		at(nixnfsd, 2, 100, nil), at(limit, 2, 200, nil), // 0.5
		at(nixnfsd, 3, 900, nil), at(limit, 3, 1, errWrong), // does not count
		at(goNFS, 0, 10, nil),
	})
	lookup := rows()[slices.IndexFunc(rows(), func(w row) bool { return w.key == "lookup-1" })]
	for _, tt := range []struct {
		column, want string
	}{
		{limit, "2.00 ✓"},
		{goNFS, "10.0 ✓"},
		{ganesha, ""},
		{columnValue, "200 calls/s"},
		{columnBefore, ""},
		{columnEcho, ""},
	} {
		if got, _, _ := r.text(&lookup, tt.column); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.column, got, tt.want)
		}
	}
	slower := newReport([]result{at(nixnfsd, 0, 100, nil), at(overOne, 0, 50, nil)})
	if got, met, missed := slower.text(&lookup, overOne); got != "2.00 ✗ (1.30)" || met != 0 || missed != 1 {
		t.Errorf("a lower directory that costs twice as much: got %q, %d met, %d missed", got, met, missed)
	}
}

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		args []string
		ok   bool
	}{
		{nil, true},
		{[]string{"-rounds", "1", "-time", "1s", "-only", "getattr,eval", "-peers", "limit,nixnfsd+5"}, true},
		{[]string{"-peers", ""}, true},
		{[]string{"-peers", "knfsd"}, false},
		{[]string{"-only", "getattr,getatr"}, false},
		{[]string{"-rounds", "0"}, false},
		{[]string{"-time", "0s"}, false},
		{[]string{"more"}, false},
	} {
		if _, err := parse(tt.args, io.Discard); (err == nil) != tt.ok {
			t.Errorf("%q: got %v, want ok %v", tt.args, err, tt.ok)
		}
	}
}

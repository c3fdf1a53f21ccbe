package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nixnfsd/nixnfsd/integration/uml"
	"github.com/nixnfsd/nixnfsd/internal/testenv"
)

// TestTiny has a guest do some of the operations on a small tree, with all contenders.
func TestTiny(t *testing.T) {
	_, err := uml.Setup(t.Context(), t.Output())
	testenv.Require(t, err == nil, "there can be no guest here")
	const module = "github.com/nixnfsd/nixnfsd/"
	dir := t.TempDir()
	self, program := filepath.Join(dir, "benchmount"), filepath.Join(dir, nixnfsd)
	for file, pkg := range map[string]string{self: "integration/benchmount", program: "cmd/nixnfsd"} {
		if err := uml.GoBuild(t.Context(), file, module+pkg); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"-rounds", "1", "-files", "20", "-only", "add,status", "-nixnfsd", program}
	o, err := parse(args, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	var tables strings.Builder
	if err := o.runAll(t.Context(), self, args, &tables, t.Output()); err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + tables.String())
	for _, want := range []string{"| `nix-store --add` | knfsd-async | ", "| `nix-store --add` | nixnfsd | ", "| `git status` | ganesha | ", "CREATE 2"} {
		if !strings.Contains(tables.String(), want) {
			t.Errorf("no %q in the tables", want)
		}
	}
}

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		args []string
		ok   bool
	}{
		{nil, true},
		{[]string{"-rounds", "5", "-files", "100", "-only", "tar", "-peers", "knfsd,ganesha", "-mount", "nconnect=2"}, true},
		{[]string{"-peers", ""}, true},
		{[]string{"-peers", "unfs3"}, false},
		{[]string{"-only", "tar,untar"}, false},
		{[]string{"-rounds", "0"}, false},
		{[]string{"-files", "0"}, false},
		{[]string{"more"}, false},
	} {
		if _, err := parse(tt.args, t.Output()); (err == nil) != tt.ok {
			t.Errorf("%q: %v, want it taken: %v", tt.args, err, tt.ok)
		}
	}
}

func TestChosen(t *testing.T) {
	for _, tt := range []struct {
		list string
		want []string
	}{
		{"find", []string{"add", "find"}},
		{"status,gc", []string{"add", "optimise", "gc", "tar", "status"}},
		{strings.Join(operationNames(), ","), operationNames()},
	} {
		var got []string
		for _, op := range chosen(tt.list) {
			got = append(got, op.name)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.list, got, tt.want)
		}
	}
}

// All contenders are mounted with the same options, but for where they answer.
func TestMountOptions(t *testing.T) {
	all := allContenders()
	of := func(name string) string {
		c := all[slices.IndexFunc(all, func(c contender) bool { return c.name == name })]
		return c.mountOptions("nconnect=2")
	}
	want := strings.NewReplacer("mountport=12049", "mountport=20049", "port=12049", "port=22049").Replace(of(nixnfsd))
	if got := of(ganesha); got != want || !strings.HasSuffix(got, ",nconnect=2") {
		t.Errorf("ganesha: got %s, want %s", got, want)
	}
}

func TestParseCalls(t *testing.T) {
	const text = `device proc mounted on /proc with fstype proc
device 127.0.0.1:/other mounted on /other with fstype nfs statvers=1.1
	per-op statistics
	     GETATTR: 9 9 0 900 900 0 90 90 0
device 127.0.0.1:/nix mounted on /nix with fstype nfs statvers=1.1
	opts:	rw,vers=3
	per-op statistics
	        NULL: 0 0 0 0 0 0 0 0 0
	     GETATTR: 4 4 0 400 448 1 20 22 0
	       WRITE: 2 2 0 9000 320 0 3000 3001 0

`
	want := map[string]calls{"GETATTR": {Count: 4, RTT: 0.02}, "WRITE": {Count: 2, RTT: 3}}
	if diff := cmp.Diff(want, parseCalls(text, "/nix")); diff != "" {
		t.Error(diff)
	}
	if got := parseCalls(text, "/proc"); len(got) > 0 {
		t.Errorf("a mount without counts: %v", got)
	}
}

func TestReport(t *testing.T) {
	round := func(of, ours float64) results {
		return results{
			{Operation: "tar", Contender: knfsd, Seconds: of},
			{Operation: "tar", Contender: nixnfsd, Seconds: ours, CPU: 1, Calls: map[string]calls{
				"CREATE": {Count: 100, RTT: 0.2}, "WRITE": {Count: 300, RTT: 1.5}, "LOOKUP": {Count: 1, RTT: 1},
			}},
		}
	}
	r := report{rounds: []results{round(10, 20), round(300, 100), round(20, 10)}} // 0.5, 3, 2
	var got strings.Builder
	if err := r.print(&got, "command"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| operation | knfsd | nixnfsd | of knfsd |\n|---|--:|--:|--:|\n| `tar x` | 20.0 | 20.0 | 2.00 |\n",
		"| `tar x` | 0.00 | 1.00 |\n",
		"| `tar x` | nixnfsd | 401 | 2.70 | WRITE 300: 5000, CREATE 100: 2000 |\n",
	} {
		if !strings.Contains(got.String(), want) {
			t.Errorf("no %q in:\n%s", want, got.String())
		}
	}
}

package manpage

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/nixnfsd/nixnfsd/internal/testenv"
)

var update = flag.Bool("update", false, "write the golden files")

// example has what a page can have.
func example() *cobra.Command {
	root := &cobra.Command{
		Use: "ex", Short: "Show what there is",
		Long: `First paragraph. It's of several sentences, and of a line that ends
in the middle of one.

Second, with a list:
  1  \one` + "`'" + `
     goes on
  2  two
'after it' comes one that roff would take for a macro
.and another.`,
		RunE: func(*cobra.Command, []string) error { return nil },
	}
	root.AddGroup(&cobra.Group{ID: "g", Title: "A group:"})
	run := func(*cobra.Command, []string) {}
	verb := &cobra.Command{Use: "look FILE...", Short: "In the beginning", Run: run, GroupID: "g"}
	verb.Flags().StringP("output", "o", "", "the `FILE` to write")
	verb.Flags().Int("lines", 10, "how many `LINES`, ~ or ^")
	verb.PersistentFlags().Bool("json", false, "print JSON")
	verb.AddCommand(&cobra.Command{Use: "again", Short: "Once more", Run: run})
	root.AddCommand(verb, &cobra.Command{Use: "version", Short: "Say which", Run: run}, &cobra.Command{Use: "inside", Hidden: true, Run: run})
	return root
}

func TestPages(t *testing.T) {
	pages := Pages(example(), time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC))
	want := []string{"ex.1", "ex-look.1", "ex-look-again.1", "ex-version.1"}
	if len(pages) != len(want) {
		t.Errorf("%d pages, want %d", len(pages), len(want))
	}
	for _, name := range want {
		testenv.Golden(t, filepath.Join("testdata", name), pages[name], *update)
	}
}

// TestLint has mandoc complain about nothing, but that the pages are not installed, and that we
// say where they come from: groff would say that it is BSD.
func TestLint(t *testing.T) {
	mandoc, err := exec.LookPath("mandoc")
	testenv.Require(t, err == nil, "it needs mandoc")
	for name, text := range Pages(example(), time.Now()) {
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		out, _ := exec.Command(mandoc, "-T", "lint", file).Output() // its status is that of the worst complaint
		for line := range strings.Lines(string(out)) {
			if !strings.Contains(line, "referenced manual not found") && !strings.Contains(line, "operating system explicitly specified") {
				t.Errorf("%s", line)
			}
		}
	}
}

// Package arch has no code but tests that hold the module's structure: which way the arrows
// between packages run, that every package has a doc, and that documents name what there is.
package arch

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/nixnfsd/nixnfsd/"

// arrows says what a folder's code may import of ours, by the beginning of the path: a
// top-level folder's, or what is particular to one within it. Tests may import more. A
// folder that is not here may not import anything.
var arrows = map[string][]string{
	"cmd":              {"nfs", "overlay", "mount", "launchd", "internal/"},
	"nfs":              {"overlay", "internal/"},
	"overlay":          {"internal/"},
	"mount":            {"mount", "internal/"},
	"launchd":          {"internal/"},
	"internal":         {"internal/"},
	"internal/doctor":  {"mount", "launchd", "overlay", "internal/"}, // it judges what all of them tell
	"internal/hook":    {"mount", "internal/"},                       // a start-up file may lie in the mount, which is not touched
	"internal/nixenv":  {"mount", "internal/"},                       // so may certificates and profiles
	"internal/setup":   {"mount", "launchd", "internal/"},
	"internal/metrics": {"nfs", "overlay", "internal/"},          // tells what those count
	"internal/layers":  {"overlay", "internal/"},                 // shows what it says of them
	"internal/status":  {"nfs", "overlay", "mount", "internal/"}, // shows it, and the mount
	"integration":      {"integration/", "nfs", "overlay", "mount", "launchd", "internal/"},
}

// pkg is a package: what its code imports of ours, and whether it has a doc.
type pkg struct {
	imports    []string
	documented bool
}

func TestArrows(t *testing.T) {
	for dir, p := range packages(t) {
		may, particular := arrows[dir]
		if !particular {
			top, _, _ := strings.Cut(dir, "/")
			may = arrows[top]
		}
		for _, imported := range p.imports {
			allowed := func(prefix string) bool {
				return imported == prefix || strings.HasPrefix(imported+"/", strings.TrimSuffix(prefix, "/")+"/")
			}
			if !slices.ContainsFunc(may, allowed) {
				t.Errorf("%s imports %s", dir, imported)
			}
		}
	}
}

func TestPackagesAreDocumented(t *testing.T) {
	for dir, p := range packages(t) {
		if !p.documented {
			t.Errorf("package %s has no doc", dir)
		}
	}
}

// packages parses the module, for all systems at once.
func packages(t *testing.T) map[string]*pkg {
	t.Helper()
	found := map[string]*pkg{}
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(file) != ".go" {
			return skip(d, err)
		}
		rel, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		dir := path.Dir(filepath.ToSlash(rel))
		if found[dir] == nil {
			found[dir] = new(pkg)
		}
		return found[dir].add(file)
	})
	if err != nil {
		t.Fatal(err)
	}
	const atLeast = 8
	if len(found) < atLeast {
		t.Fatalf("only %d packages were found", len(found))
	}
	return found
}

// skip passes by what is not Go of ours.
func skip(d fs.DirEntry, err error) error {
	if err != nil {
		return err
	}
	hidden := strings.HasPrefix(d.Name(), ".") && strings.Trim(d.Name(), ".") != ""
	if d.IsDir() && (hidden || slices.Contains([]string{"testdata", "dist"}, d.Name())) {
		return filepath.SkipDir
	}
	return nil
}

func (p *pkg) add(file string) error {
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly|parser.ParseComments)
	if err != nil {
		return err
	}
	p.documented = p.documented || parsed.Doc != nil
	if strings.HasSuffix(file, "_test.go") {
		return nil
	}
	for _, spec := range parsed.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return err
		}
		if ours, ok := strings.CutPrefix(name, module); ok {
			p.imports = append(p.imports, ours)
		}
	}
	return nil
}

package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"flag"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nixnfsd/nixnfsd/internal/testenv"
)

var (
	update = flag.Bool("update", false, "write the golden file anew")
	all    = flag.Bool("all", false, "TestSameBytes: build for all platforms, and not only for this one, and compile everything twice")
)

// The second time it is another clone, in other surroundings. What the Go tool has compiled is taken from its
// cache only where, to it, directory and environment are not among what decides on the bytes; with -all nothing is.
func TestSameBytes(t *testing.T) {
	repository := commit(t)
	r := release{version: "v1.2.3", repository: repository, platforms: platforms()}
	if !*all {
		r.platforms = []platform{{runtime.GOOS, runtime.GOARCH}}
	}
	first := archives(t, r)
	t.Setenv("GOFLAGS", "-tags=fewnodes")
	t.Setenv("GOAMD64", "v3")
	t.Setenv("TZ", "Pacific/Kiritimati")
	t.Setenv("LC_ALL", "tr_TR.UTF-8")
	t.Setenv("COLUMNS", "40")
	if *all {
		r.env = []string{"GOCACHE=" + t.TempDir()}
	}
	second := archives(t, r)
	for name, content := range first {
		if !bytes.Equal(content, second[name]) {
			t.Errorf("%s came out otherwise the second time", name)
		}
	}
	if len(first) != len(r.platforms) || len(second) != len(first) {
		t.Errorf("%d and %d archives", len(first), len(second))
	}
	holdArchive(t, r, first)
}

// holdArchive unpacks this machine's archive, and runs what is in it.
func holdArchive(t *testing.T, r release, made map[string][]byte) {
	t.Helper()
	name := platform{runtime.GOOS, runtime.GOARCH}.name(r.version)
	content := unpack(t, made[name+".tar.gz"])
	for _, want := range append(installed(t), "LICENSE", "README.md", "CHANGELOG.md", "docs/check.md", "docs/corridor.svg", "man/nixnfsd.1", "man/nixnfsd-serve.1") {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(content)), func(file string) bool {
			ok, err := path.Match(path.Join(name, want), file)
			return ok && err == nil && len(content[file]) > 0
		}) {
			t.Errorf("the archive has no %s", want)
		}
	}
	for _, of := range []string{"==== go1.", "==== github.com/spf13/cobra v"} {
		if !strings.Contains(string(content[name+"/THIRD-PARTY"]), of) {
			t.Errorf("THIRD-PARTY has no line that begins with %q", of)
		}
	}
	holdVersion(t, content[name+"/nixnfsd"])
}

// installed is what the formula takes out of an archive.
func installed(t *testing.T) (patterns []string) {
	t.Helper()
	for _, m := range regexp.MustCompile(`\.install (?:Dir\[)?"([^"]+)"`).FindAllStringSubmatch(formulaText, -1) {
		patterns = append(patterns, m[1])
	}
	if len(patterns) < 6 || patterns[0] != "nixnfsd" {
		t.Errorf("the formula installs %q", patterns)
	}
	return patterns
}

// holdVersion runs a program, which is to say what the formula's test looks for.
func holdVersion(t *testing.T, content []byte) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "nixnfsd")
	if err := os.WriteFile(program, content, 0o755); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), program, "version").Output()
	says := regexp.MustCompile(`^nixnfsd v1\.2\.3 \([0-9a-f]{12}\) go`)
	if err != nil || !says.Match(out) {
		t.Errorf("version: %q, %v", out, err)
	}
}

// commit commits the module as it is here to a repository of its own.
func commit(t *testing.T) string {
	t.Helper()
	_, err := exec.LookPath("git")
	testenv.Require(t, err == nil, "there is no git")
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	repository := filepath.Join(t.TempDir(), "repository")
	for _, args := range [][]string{
		{"init", "--quiet", repository},
		{"-C", repository, "--work-tree", root, "add", "--all"},
		{"-C", repository, "-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "--quiet", "--no-gpg-sign", "--message", "all"},
	} {
		if _, err := git(t.Context(), root, args...); err != nil {
			t.Fatal(err)
		}
	}
	return repository
}

func archives(t *testing.T, r release) map[string][]byte {
	t.Helper()
	made, err := r.archives(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func unpack(t *testing.T, packed []byte) map[string][]byte {
	t.Helper()
	decompressor, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	content := map[string][]byte{}
	for r := tar.NewReader(decompressor); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return content
		}
		if err == nil {
			content[h.Name], err = io.ReadAll(r)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestArchive(t *testing.T) {
	at := time.Unix(1_700_000_000, 0)
	fs := files{{"b", 0o644, []byte("two")}, {"a", 0o755, []byte("one")}}
	packed, err := fs.archive("dir", at)
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(fs)
	again, err := fs.archive("dir", at.In(time.FixedZone("elsewhere", 3600)))
	if err != nil || !bytes.Equal(packed, again) {
		t.Errorf("another order and another time zone make other bytes, or %v", err)
	}
	want := map[string][]byte{"dir/a": []byte("one"), "dir/b": []byte("two")}
	if diff := cmp.Diff(want, unpack(t, packed)); diff != "" {
		t.Error(diff)
	}
}

func TestVersions(t *testing.T) {
	for _, tt := range []struct {
		version string
		ok      bool
	}{
		{"v0.1.0", true},
		{"v1.20.3-rc.1", true},
		{"", false},
		{"0.1.0", false},
		{"v1", false},
		{"v01.0.0", false},
		{"v1.0.0/../..", false},
		{"v1.0.0\n", false},
	} {
		if err := checkVersion(tt.version); (err == nil) != tt.ok {
			t.Errorf("%q: %v", tt.version, err)
		}
	}
}

func TestEpoch(t *testing.T) {
	for _, tt := range []struct {
		epoch string
		want  int64
		ok    bool
	}{
		{"1700000000", 1_700_000_000, true},
		{"0", 0, true},
		{"yesterday", 0, false},
		{"1e9", 0, false},
	} {
		t.Setenv("SOURCE_DATE_EPOCH", tt.epoch)
		at, err := epoch(t.Context(), t.TempDir())
		if (err == nil) != tt.ok || err == nil && at.Unix() != tt.want {
			t.Errorf("%s: %v, %v", tt.epoch, at, err)
		}
	}
}

// What is refused is refused before anything is built.
func TestRefusals(t *testing.T) {
	out := t.TempDir()
	if err := os.Mkdir(filepath.Join(out, "v1.2.3"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, version, repository, want string }{
		{"no version", "", ".", "no semantic version"},
		{"made already", "v1.2.3", ".", "remove it first"},
		{"no repository", "v1.2.4", filepath.Join(out, "none"), "git"},
	} {
		var stdout bytes.Buffer
		err := run(t.Context(), []string{"-version", tt.version, "-out", out, "-repository", tt.repository}, &stdout)
		if err == nil || !strings.Contains(err.Error(), tt.want) || stdout.Len() > 0 {
			t.Errorf("%s: %v, %q", tt.name, err, stdout.String())
		}
	}
}

func TestTagIsReleased(t *testing.T) {
	dir := t.TempDir()
	inGit := func(args ...string) string {
		t.Helper()
		out, err := git(t.Context(), dir, append([]string{"-c", "user.name=a", "-c", "user.email=a@example.com"}, args...)...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	inGit("init", "--quiet")
	inGit("commit", "--quiet", "--allow-empty", "--message", "one")
	inGit("tag", "v0.1.0")
	inGit("tag", "v0.9.0")
	one := inGit("rev-parse", "HEAD")
	inGit("commit", "--quiet", "--allow-empty", "--message", "two")
	two := inGit("rev-parse", "HEAD")
	for _, tt := range []struct{ version, want string }{{"v0.1.0", one}, {"v0.2.0", two}} {
		src, err := clone(t.Context(), dir, filepath.Join(t.TempDir(), "src"), tt.version)
		if err != nil {
			t.Fatal(err)
		}
		head, err := git(t.Context(), src.dir, "rev-parse", "HEAD")
		if err != nil || head != tt.want {
			t.Errorf("%s: at %s, want %s, %v", tt.version, head, tt.want, err)
		}
		if tags, err := git(t.Context(), src.dir, "tag", "--list"); err != nil || tags != tt.version {
			t.Errorf("%s: tags %q, %v", tt.version, tags, err)
		}
	}
}

func TestFormula(t *testing.T) {
	archives := map[string][]byte{}
	for _, p := range platforms() {
		archives[p.name("v1.2.3")+".tar.gz"] = []byte(p.name(""))
	}
	formula, err := formulaOf("v1.2.3", sumsOf(archives))
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "nixnfsd.rb")
	testenv.Golden(t, golden, string(formula), *update)
	_, err = exec.LookPath("ruby")
	testenv.Require(t, err == nil, "there is no ruby")
	if out, err := exec.CommandContext(t.Context(), "ruby", "-wc", golden).CombinedOutput(); err != nil || string(out) != "Syntax OK\n" {
		t.Errorf("ruby: %s%v", out, err)
	}
}

func TestFormulaNeedsEverySum(t *testing.T) {
	one := strings.Repeat("0", 64) + "  nixnfsd-v1.2.3-darwin-arm64.tar.gz\n"
	for _, sums := range []string{"", one, one + "x  y\n", strings.ToUpper("a" + one[1:])} {
		if text, err := formulaOf("v1.2.3", sums); err == nil {
			t.Errorf("%q: %s", sums, text)
		}
	}
}

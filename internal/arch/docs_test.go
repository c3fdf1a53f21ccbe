package arch

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = "../.."

// TestLinks follows each link of the documents to another one, or to a heading.
func TestLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	found := 0
	for _, file := range documents(t) {
		for _, m := range link.FindAllStringSubmatch(read(t, file), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			found++
			path, heading, _ := strings.Cut(m[1], "#")
			target := file
			if path != "" {
				target = filepath.Join(filepath.Dir(file), path)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: %s: %v", file, m[1], err)
			} else if heading != "" && !hasHeading(read(t, target), heading) {
				t.Errorf("%s: %s: there is no such heading", file, m[1])
			}
		}
	}
	if found < 10 {
		t.Errorf("only %d links were found", found)
	}
}

// hasHeading reports whether a text has a heading that GitHub gives an anchor.
func hasHeading(text, anchor string) bool {
	dropped := regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	for line := range strings.Lines(text) {
		title := strings.TrimLeft(line, "#")
		if title == line {
			continue
		}
		name := dropped.ReplaceAllString(strings.ToLower(strings.TrimSpace(title)), "")
		if strings.ReplaceAll(name, " ", "-") == anchor {
			return true
		}
	}
	return false
}

// TestPathsOfTheMap finds each file and folder that DEVELOPERS.md names.
func TestPathsOfTheMap(t *testing.T) {
	named := regexp.MustCompile("`((?:cmd|nfs|overlay|mount|launchd|integration|internal|docs|\\.ci)/[\\w./*-]*)`")
	found := 0
	for _, m := range named.FindAllStringSubmatch(read(t, filepath.Join(root, "DEVELOPERS.md")), -1) {
		found++
		matches, err := filepath.Glob(filepath.Join(root, m[1]))
		if err != nil || len(matches) == 0 {
			t.Errorf("DEVELOPERS.md names %s, and there is none: %v", m[1], err)
		}
	}
	if found < 50 {
		t.Errorf("only %d paths were found", found)
	}
}

// documents are the module's, but for what tests hold.
func documents(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, pattern := range []string{"*.md", "docs/*.md"} {
		matches, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, matches...)
	}
	return all
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

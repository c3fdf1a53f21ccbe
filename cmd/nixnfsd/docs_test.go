package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDocumentsNameWhatThereIs holds each command line of the documents against the verbs and their flags.
func TestDocumentsNameWhatThereIs(t *testing.T) {
	var files []string
	for _, pattern := range []string{"../../*.md", "../../docs/*.md"} {
		matches, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, matches...)
	}
	found := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range commandLines(string(text)) {
			found++
			if wrong := unknown(line); wrong != "" {
				t.Errorf("%s: nixnfsd %s: there is no %s", file, strings.Join(line, " "), wrong)
			}
		}
	}
	if found < 80 {
		t.Errorf("only %d command lines were found", found)
	}
}

// commandLines gives the words behind the program's name in each of a text's code blocks and spans.
func commandLines(text string) (lines [][]string) {
	code := regexp.MustCompile("(?m)^ {4}.*$|`[^`]+`")
	call := regexp.MustCompile(`(?:^|[ /$("` + "`" + `])nixnfsd( [a-z-][^\s#&|;)"` + "`" + `]*(?: [^\s#&|;)"` + "`" + `]+)*)`)
	for _, c := range code.FindAllString(text, -1) {
		for _, m := range call.FindAllStringSubmatch(c, -1) {
			lines = append(lines, strings.Fields(m[1]))
		}
	}
	return lines
}

// unknown is the first word of a command line that is no verb, or no flag of it.
func unknown(words []string) string {
	cmd, _, err := newCommand().Find(words)
	if err != nil || !cmd.HasParent() && !strings.HasPrefix(words[0], "-") {
		return "verb " + words[0]
	}
	for _, w := range words {
		name, _, _ := strings.Cut(strings.TrimPrefix(w, "--"), "=")
		switch {
		case cmd.Name() == "exec" && w != "exec" && !strings.HasPrefix(w, "-"):
			return "" // what follows is another program's
		case strings.HasPrefix(w, "--") && name != "help" && cmd.Flag(name) == nil:
			return "flag " + w
		}
	}
	return ""
}

package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"regexp"
	"strings"
	"text/template"
)

// formulaText is the Homebrew formula but for the version and the sums (docs.brew.sh/Formula-Cookbook).
//
//go:embed nixnfsd.rb.tmpl
var formulaText string

// formulaOf is the formula of a version, by the text of its SHA256SUMS.
func formulaOf(version, sums string) ([]byte, error) {
	known, err := parseSums(sums)
	if err != nil {
		return nil, err
	}
	sum := func(os, arch string) (string, error) {
		name := platform{os, arch}.name(version) + ".tar.gz"
		if known[name] == "" {
			return "", fmt.Errorf("SHA256SUMS has no %s", name)
		}
		return known[name], nil
	}
	t, err := template.New("formula").Funcs(template.FuncMap{"sum": sum}).Parse(formulaText)
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	err = t.Execute(&text, map[string]string{"Tag": version, "Version": strings.TrimPrefix(version, "v")})
	return text.Bytes(), err
}

// parseSums gives the sums of a SHA256SUMS by the files' names.
func parseSums(text string) (map[string]string, error) {
	line := regexp.MustCompile(`^([0-9a-f]{64})  ([^/\s]+)$`)
	known := map[string]string{}
	for l := range strings.Lines(text) {
		m := line.FindStringSubmatch(strings.TrimSuffix(l, "\n"))
		if m == nil {
			return nil, fmt.Errorf("%q is no line of SHA256SUMS", l)
		}
		known[m[2]] = m[1]
	}
	return known, nil
}

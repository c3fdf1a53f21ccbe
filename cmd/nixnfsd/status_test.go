package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// shape is the command "shape FILE TO": it writes which fields the JSON of a file has, and of which
// types, a line each.
func shape(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: shape FILE TO")
	}
	var v any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &v))
	found := map[string]bool{}
	shapeOf("", v, found)
	text := strings.Join(slices.Sorted(maps.Keys(found)), "\n") + "\n"
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text), 0o600))
}

func shapeOf(path string, v any, found map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		for name, field := range v {
			shapeOf(path+"."+name, field, found)
		}
	case []any:
		for _, element := range v {
			shapeOf(path+"[]", element, found)
		}
	case nil:
		found[path+" null"] = true
	default:
		found[fmt.Sprintf("%s %T", path, v)] = true
	}
}

// appears is the command "appears REGEXP FILE": it waits until a file has what is looked for.
func appears(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: appears REGEXP FILE")
	}
	want, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	const pause, patience = 10 * time.Millisecond, 30 * time.Second
	for start := time.Now(); time.Since(start) < patience; time.Sleep(pause) {
		if text, err := os.ReadFile(ts.MkAbs(args[1])); err == nil && want.Match(text) {
			return
		}
	}
	ts.Fatalf("%s has no %s after %s", args[1], args[0], patience)
}

package main

import (
	"encoding/json"
	"io"
)

// printJSON prints a verb's result for programs. A path stays as it is, whatever is in it.
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

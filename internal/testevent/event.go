// Package testevent reads what go test -json and go tool test2json print.
package testevent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Event is one line; see "go doc test2json".
type Event struct {
	Action  string  // run, output, pass, fail, skip, build-output, …
	Package string  // empty without go test
	Test    string  // empty for the package itself
	Elapsed float64 // seconds
	Output  string
}

// Ended says whether the event is the end of a test or package.
func (e Event) Ended() bool {
	return e.Action == "pass" || e.Action == "fail" || e.Action == "skip"
}

// Read calls visit for each event up to the end of r.
func Read(r io.Reader, visit func(Event)) error {
	events := json.NewDecoder(r)
	for {
		var e Event
		err := events.Decode(&e)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read test events: %w", err)
		}
		visit(e)
	}
}

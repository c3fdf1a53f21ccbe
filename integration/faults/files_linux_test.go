package faults

import (
	"bytes"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
)

// A server that may open few files serves far more of them, to more clients than it can
// have connections: it closes what is only cached, and whoever was silent the longest.
func TestFewFiles(t *testing.T) {
	const limit, clients, files = 120, 60, 10
	s := startServer(&server{t: t, dir: t.TempDir(), limit: fmt.Sprint("50:", limit)})
	all := make([]*client, clients)
	var working sync.WaitGroup
	for i := range all {
		all[i] = newClient(t, s)
		working.Go(func() {
			for j := range files {
				if err := all[i].useFile(fmt.Sprint(i, "-", j)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	working.Wait()
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.PID()))
	must(t, err)
	t.Logf("%d clients, %d files, %d of %d descriptors in use", clients, clients*files, len(open), limit)
	for i := range all {
		for j := range files {
			name := fmt.Sprint(i, "-", j)
			fh, err := all[0].lookup(all[0].root, name)
			must(t, err)
			all[0].holds(name, fh, bytes.Repeat([]byte(name), 100))
		}
	}
	s.checkStore()
}

// useFile makes a file, writes to it, and reads it.
func (c *client) useFile(name string) error {
	fh, err := c.create(c.root, name)
	if err != nil {
		return fmt.Errorf("create %s: %w", name, err)
	}
	data := bytes.Repeat([]byte(name), 100)
	if err := c.write(fh, 0, data, nfsclient.Unstable); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	c.holds(name, fh, data)
	return nil
}

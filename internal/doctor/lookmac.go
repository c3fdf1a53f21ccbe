package doctor

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/nixnfsd/nixnfsd/internal/setup"
)

// mac looks whether what backs up and what indexes leave the store alone.
func (o *onlooker) mac(ctx context.Context) (func(*Sight), error) {
	dir := o.Layout.Upper
	if strings.HasPrefix(dir, o.Setup.Data+"/") {
		dir = o.Setup.Data
	}
	if in, err := o.inMount(dir); in || err != nil {
		return nil, err
	}
	if _, err := os.Stat(dir); err != nil {
		return nil, nil // there is nothing yet
	}
	var copied []string
	text, err := o.Run(ctx, []string{"/usr/bin/tmutil", "isexcluded", dir})
	if err == nil && includes(text) {
		copied = []string{dir}
	}
	indexed := ""
	if _, statErr := os.Lstat(filepath.Join(dir, setup.NeverIndex)); dir == o.Setup.Data && statErr != nil {
		indexed = dir
	}
	return func(s *Sight) { s.Copied, s.Indexed = copied, indexed }, err
}

// includes reads what "tmutil isexcluded" prints: [Excluded] or [Included], and the path.
func includes(text string) bool { return strings.HasPrefix(strings.TrimSpace(text), "[Included]") }

// maxFiles reads the hard limit from what "launchctl limit maxfiles" prints: the name,
// the soft and the hard limit.
func maxFiles(text string) (uint64, error) {
	fields := strings.Fields(text)
	switch {
	case len(fields) != 3 || fields[0] != "maxfiles":
		return 0, errors.New("the answer of launchctl limit is not understood")
	case fields[2] == "unlimited":
		return math.MaxUint64, nil
	}
	return strconv.ParseUint(fields[2], 10, 64)
}

// openFiles reads the limit from /proc/PID/limits (proc_pid_limits(5)), 0: it says nothing of it.
func openFiles(text string) uint64 {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, "Max open files"); ok {
			if fields := strings.Fields(rest); len(fields) > 0 {
				n, _ := strconv.ParseUint(fields[0], 10, 64) // "unlimited" is no lack
				return n
			}
		}
	}
	return 0
}

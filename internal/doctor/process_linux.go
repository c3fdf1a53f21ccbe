package doctor

import (
	"context"
	"fmt"
	"os"
	"strings"
)

// processOf looks at a process, as far as the caller may: of another user's nothing is told.
func (o *onlooker) processOf(_ context.Context, pid int) (*Process, error) {
	p := &Process{PID: pid}
	dir := fmt.Sprintf("/proc/%d/", pid)
	program, _ := os.Readlink(dir + "exe") // may be gone, or not ours
	p.Replaced = strings.HasSuffix(program, " (deleted)")
	limits, _ := os.ReadFile(dir + "limits")
	p.OpenFiles = openFiles(string(limits))
	return p, nil
}

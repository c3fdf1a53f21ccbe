package doctor

import "context"

// processOf asks for the limit that launchd gives to all: of a process macOS does not tell it.
func (o *onlooker) processOf(ctx context.Context, pid int) (*Process, error) {
	p := &Process{PID: pid}
	text, err := o.Run(ctx, []string{"/bin/launchctl", "limit", "maxfiles"})
	if err == nil {
		p.OpenFiles, err = maxFiles(text)
	}
	return p, err
}

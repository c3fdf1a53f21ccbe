package mount

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
)

// atOnce is how many directories one child looks at.
const atOnce = 256

// Revalidate has the client of our mount ask for directories anew, which are named by their
// paths from the mount point, parents first: it learns that they changed behind it before
// what it has cached runs out. Where nothing of ours is mounted there is nothing to do.
// Directories that are gone are no error. Only Linux lets a program ask for this.
func (c *Checker) Revalidate(ctx context.Context, dirs []string) error {
	e, _, err := c.find(ctx)
	target := Target{Server: c.Addr, Export: c.Export}
	if err != nil || e == nil || !target.Is(e) {
		return err
	}
	for some := range slices.Chunk(dirs, atOnce) {
		paths := make([]string, len(some))
		for i, dir := range some {
			paths[i] = path.Join(c.Export, dir)
		}
		err := c.limited(ctx, func(ctx context.Context) error { return c.Stat(ctx, paths...) })
		if errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("the mount at %s does not answer: %w", c.Export, err)
		}
	}
	return ctx.Err()
}

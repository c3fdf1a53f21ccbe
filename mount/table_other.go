//go:build !linux && !darwin

package mount

import (
	"context"
	"errors"
	"fmt"
)

// Table is not known on this system.
func Table() ([]Entry, error) {
	return nil, fmt.Errorf("read the mount table: %w", errors.ErrUnsupported)
}

func nfsOptions(context.Context, *Entry) ([]string, error) { return nil, errors.ErrUnsupported }

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/nixnfsd/nixnfsd/internal/control"
	"github.com/nixnfsd/nixnfsd/mount"
)

// order gives the server an order that may be given twice: a restart can leave it without an
// answer, and then its successor gets it.
func (o *dirOptions) order(ctx context.Context, method, path string, result any) error {
	const most = 3
	var err error
	for range most {
		if err = o.orderOnce(ctx, method, path, nil, result); !errors.Is(err, control.ErrEnded) {
			break
		}
	}
	return err
}

// orderOnce gives the server an order. It is found by its state directory.
func (o *dirOptions) orderOnce(ctx context.Context, method, path string, arg, result any) error {
	state, err := o.stateDir()
	if err != nil {
		return err
	}
	err = control.Call(ctx, state, method, path, arg, result)
	switch {
	case errors.Is(err, control.ErrNotRunning):
		return &exitError{exitNotRunning, fmt.Errorf("no server runs with the state %s: start it, or give the --upper or --state that it was given", state)}
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: it takes orders of its owner and root alone: run this as %s", err, mount.OwnerOf(state))
	}
	return err
}

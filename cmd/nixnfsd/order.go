package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/nixnfsd/nixnfsd/internal/control"
	"github.com/nixnfsd/nixnfsd/mount"
)

// order gives the server an order that may be given twice.
func (o *dirOptions) order(ctx context.Context, method, path string, result any) error {
	return o.tell(func(state string) error { return control.Repeat(ctx, state, method, path, nil, result) })
}

// orderOnce gives the server an order that may not.
func (o *dirOptions) orderOnce(ctx context.Context, method, path string, arg any) error {
	return o.tell(func(state string) error { return control.Call(ctx, state, method, path, arg, nil) })
}

// tell has a server told something, which is found by its state directory.
func (o *dirOptions) tell(call func(state string) error) error {
	state, err := o.stateDir()
	if err != nil {
		return err
	}
	err = call(state)
	switch {
	case errors.Is(err, control.ErrNotRunning):
		return &exitError{exitNotRunning, fmt.Errorf("no server runs with the state %s: start it, or give the --upper or --state that it was given", state)}
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: it takes orders of its owner and root alone: run this as %s", err, mount.OwnerOf(state))
	}
	return err
}

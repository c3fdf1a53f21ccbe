package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

// waitOptions say what is waited for, and how long.
type waitOptions struct {
	address
	timeout time.Duration
}

func (o *waitOptions) add(cmd *cobra.Command) {
	o.address.add(cmd.Flags())
	o.timeout = time.Minute
	cmd.Flags().Var((*patience)(&o.timeout), "timeout", "how `LONG` to wait, such as 30s; 0 is for ever")
}

func newWaitCommand() *cobra.Command {
	var opts waitOptions
	cmd := &cobra.Command{
		Use:   "wait",
		Short: "Block until the mount is usable",
		Long: `Block until the server answers, its export is mounted and the mount can be used.
When that takes longer than the timeout, say what is still wrong and how to mend
it, and exit with code 1. It looks once at least, which can take some seconds.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return opts.wait(cmd.Context()) },
	}
	opts.add(cmd)
	return cmd
}

func (o *waitOptions) wait(ctx context.Context) error {
	checker, err := o.checker()
	if err != nil {
		return err
	}
	if o.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, o.timeout, fmt.Errorf("not usable after %s", o.timeout))
		defer cancel()
	}
	return checker.Wait(ctx)
}

// patience is a time that a flag takes.
type patience time.Duration

// Set takes the flag's value.
func (p *patience) Set(s string) error {
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return errors.New("give a time with its unit, such as 30s or 5m, or 0 to wait for ever")
	}
	*p = patience(d)
	return nil
}

// String is the flag's value.
func (p *patience) String() string { return time.Duration(*p).String() }

// Type is what help calls a value where the flag's own text does not say.
func (p *patience) Type() string { return "LONG" }

package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/pflag"

	"github.com/nixnfsd/nixnfsd/internal/metrics"
	"github.com/nixnfsd/nixnfsd/mount"
)

// offerOptions are what a server gives to others than its clients' owner.
type offerOptions struct {
	shareRead bool
	metrics   string
}

func (o *offerOptions) add(flags *pflag.FlagSet) {
	flags.BoolVar(&o.shareRead, "share-read", false, "let the machine's other users read what the modes let them")
	flags.StringVar(&o.metrics, "metrics", "", "give Prometheus's metrics to you and root at a loopback `ADDRESS:PORT`, or at unix:PATH")
}

// metricsAddress is where metrics are to be given, or nil. A socket in the mount would have the
// server wait for itself.
func (o *offerOptions) metricsAddress(l mount.Layout) (*metrics.Address, error) {
	if o.metrics == "" {
		return nil, nil
	}
	a, err := metrics.ParseAddress(o.metrics)
	if err == nil && a.Socket != "" {
		var in bool
		if in, err = l.Mounted(filepath.Dir(a.Socket)); in {
			err = fmt.Errorf("it leads into the mount point %s: give a path outside it", l.MountPoint)
		}
	}
	if err != nil {
		return nil, usage(fmt.Errorf("--metrics %q: %w", o.metrics, err))
	}
	return &a, nil
}

// flags are the flags as they were given, with absolute paths.
func (o *offerOptions) flags(l mount.Layout) ([]string, error) {
	var args []string
	if o.shareRead {
		args = append(args, "--share-read")
	}
	a, err := o.metricsAddress(l)
	if a != nil {
		args = append(args, "--metrics", a.String())
	}
	return args, err
}

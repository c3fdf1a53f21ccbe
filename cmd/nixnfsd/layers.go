package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/nixnfsd/nixnfsd/internal/terminal"
	"github.com/nixnfsd/nixnfsd/internal/units"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// countTime is how long the names and bytes of the layers are counted.
const countTime = 2 * time.Second

type layersOptions struct {
	dirOptions
	json bool
}

// layersReport is what the verb prints as JSON.
type layersReport struct {
	SchemaVersion int                `json:"schemaVersion"`
	Layers        []layerReport      `json:"layers"`
	Refreshed     *overlay.Refreshed `json:"refreshed,omitempty"`
}

type layerReport struct {
	overlay.Layer
	Usage *overlay.Usage `json:"usage,omitempty"`
}

func newLayersCommand() *cobra.Command {
	var opts layersOptions
	cmd := &cobra.Command{
		Use:   "layers",
		Short: "List the directories that a server merges, and how they are",
		Long: fmt.Sprintf(`List the upper and the lower directories of the running server: where they are,
what they hold and how they are. What a directory holds is counted here, not by
the server, and for %s at most: on disk, the names of files that others hide
and of marks among them.

Exit codes: 0 all is well; 3 something is wrong with a layer; 4 no server runs.`, countTime),
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return opts.list(cmd.Context(), cmd.OutOrStdout())
		},
	}
	opts.addState(cmd.PersistentFlags())
	cmd.PersistentFlags().BoolVar(&opts.json, "json", false, "print JSON, with a schemaVersion")
	cmd.AddCommand(newRefreshCommand(&opts))
	return cmd
}

func newRefreshCommand(opts *layersOptions) *cobra.Command {
	return &cobra.Command{
		Use:   "refresh",
		Short: "Show what was changed in the layers behind the server's back",
		Long: `Have the server look at its layers anew, so that it shows what was changed in
the lower directories, or removed from the upper, behind its back. Where the
server is mounted on this machine, its NFS client is told too (on Linux; on
macOS it finds out within a minute). Serves as the remount-hook of Nix's
local-overlay store.

Exit codes: 0 all is well; 3 refreshed, and something is wrong with a layer;
4 no server runs.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return opts.refresh(cmd.Context(), cmd.OutOrStdout())
		},
	}
}

func (o *layersOptions) list(ctx context.Context, w io.Writer) error {
	var a layersAnswer
	if err := o.order(ctx, http.MethodGet, layersPath, &a); err != nil {
		return err
	}
	r := newReport(a)
	r.count(ctx)
	return o.print(w, r)
}

func (o *layersOptions) refresh(ctx context.Context, w io.Writer) error {
	var a layersAnswer
	if err := o.order(ctx, http.MethodPost, refreshPath, &a); err != nil {
		return err
	}
	if err := revalidate(ctx, a); err != nil {
		return fmt.Errorf("refreshed, but the NFS client may not know: %w", err)
	}
	return o.print(w, newReport(a))
}

// revalidate tells the NFS client of this machine which directories to ask for anew.
func revalidate(ctx context.Context, a layersAnswer) error {
	addr, err := netip.ParseAddrPort(a.Address)
	if err != nil {
		return err
	}
	where := address{listen: addr.String(), export: a.Export}
	checker, err := where.checker()
	if err != nil {
		return err
	}
	return checker.Revalidate(ctx, a.Refreshed.Changed)
}

func newReport(a layersAnswer) *layersReport {
	r := &layersReport{SchemaVersion: 1, Refreshed: a.Refreshed}
	for _, l := range a.Layers {
		r.Layers = append(r.Layers, layerReport{Layer: l})
	}
	return r
}

// count counts all layers at once.
func (r *layersReport) count(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, countTime)
	defer cancel()
	var wg sync.WaitGroup
	for i := range r.Layers {
		wg.Go(func() {
			// A directory that cannot be counted is one of the problems that the server tells.
			if u, err := overlay.CountUsage(ctx, r.Layers[i].Path); err == nil {
				r.Layers[i].Usage = &u
			}
		})
	}
	wg.Wait()
}

func (o *layersOptions) print(w io.Writer, r *layersReport) error {
	var err error
	if o.json {
		err = printJSON(w, r)
	} else {
		_, err = io.WriteString(w, terminal.PlainText(r.text()))
	}
	if err == nil && r.problems() {
		err = &exitError{code: exitProblems}
	}
	return err
}

func (r *layersReport) problems() bool {
	for _, l := range r.Layers {
		if len(l.Problems) > 0 {
			return true
		}
	}
	return false
}

// text is a refresh's result, or all layers; the problems in any case.
func (r *layersReport) text() string {
	var b strings.Builder
	if f := r.Refreshed; f != nil {
		fmt.Fprintf(&b, "refreshed: %d of %d known directories changed\n", len(f.Changed)+f.More, f.Directories)
	}
	for _, l := range r.Layers {
		if r.Refreshed == nil || len(l.Problems) > 0 {
			fmt.Fprintf(&b, "%s %s\n", l.Kind, l.Path)
		}
		if r.Refreshed == nil {
			fmt.Fprintf(&b, "  file system: %s, %s of %s free\n", l.FileSystem, units.Bytes(l.AvailBytes), units.Bytes(l.TotalBytes))
			b.WriteString(usageText(l.Usage))
		}
		for _, p := range l.Problems {
			fmt.Fprintf(&b, "  problem: %s\n     mend: %s\n", p.What, p.Mend)
		}
	}
	return b.String()
}

func usageText(u *overlay.Usage) string {
	switch {
	case u == nil:
		return ""
	case u.Complete:
		return fmt.Sprintf("  holds: %d names, %s\n", u.Names, units.Bytes(u.Bytes))
	}
	return fmt.Sprintf("  holds: at least %d names, %s: not all could be counted in %s\n", u.Names, units.Bytes(u.Bytes), countTime)
}

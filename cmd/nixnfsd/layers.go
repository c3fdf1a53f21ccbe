package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"

	"github.com/spf13/cobra"

	"github.com/nixnfsd/nixnfsd/internal/layers"
	"github.com/nixnfsd/nixnfsd/internal/terminal"
)

type layersOptions struct {
	dirOptions
	json bool
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

Exit codes: 0 all is well; 3 something is wrong with a layer; 4 no server runs.`, layers.CountTime),
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
	r := layers.New(a.Layers, nil)
	r.Count(ctx)
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
	return o.print(w, layers.New(a.Layers, a.Refreshed))
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

func (o *layersOptions) print(w io.Writer, r *layers.Report) error {
	var err error
	if o.json {
		err = printJSON(w, r)
	} else {
		_, err = io.WriteString(w, terminal.PlainText(r.Text()))
	}
	if err == nil && r.Problems() {
		err = &exitError{code: exitProblems}
	}
	return err
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nixnfsd/nixnfsd/internal/du"
	"github.com/nixnfsd/nixnfsd/internal/progress"
	"github.com/nixnfsd/nixnfsd/internal/terminal"
	"github.com/nixnfsd/nixnfsd/overlay"
)

type duOptions struct {
	dirOptions
	top  int
	json bool
}

func newDuCommand() *cobra.Command {
	opts := duOptions{top: 20}
	cmd := &cobra.Command{
		Use:   "du [PATH]",
		Short: "Say what takes the space, by path and layer",
		Long: `Say what takes the space on disk beneath a path, such as /nix/store or store,
and in which layer. Without one the paths of the store are shown, and what else
there is. A file counts once however many names it has, and for nobody where
several of those shown have it; names in Nix's store/.links do not count beside
others.

The directories of the layers are read, and never the mount: those of the
running server, or else those that are given as to "nixnfsd serve".`,
		Args: atMostOnePath,
		RunE: func(cmd *cobra.Command, args []string) error {
			return opts.run(cmd, args)
		},
	}
	opts.addState(cmd.Flags())
	cmd.Flags().StringArrayVar(&opts.lowers, "lower", nil, "a `DIR` beneath it, where no server runs; may be repeated")
	cmd.Flags().IntVar(&opts.top, "top", opts.top, "show the `N` largest paths; 0 is all of them")
	cmd.Flags().BoolVar(&opts.json, "json", false, "print JSON, with a schemaVersion")
	return cmd
}

func atMostOnePath(_ *cobra.Command, args []string) error {
	if len(args) > 1 {
		return usage(fmt.Errorf("du takes one path at most, and %q is given too", args[1]))
	}
	return nil
}

func (o *duOptions) run(cmd *cobra.Command, args []string) error {
	if o.top < 0 {
		return usage(fmt.Errorf("--top %d: give a number of paths, or 0 for all", o.top))
	}
	where, err := o.where(cmd.Context())
	if err != nil {
		return err
	}
	within := "."
	if len(args) > 0 {
		if within, err = inExport(args[0], where.Export); err != nil {
			return usage(err)
		}
	}
	t := &du.Table{Path: path.Join(where.Export, within), Top: o.top, Width: terminal.Columns(cmd.OutOrStdout())}
	for _, l := range where.Layers {
		t.Kinds = append(t.Kinds, l.Kind)
		t.Layers = append(t.Layers, l.Path)
	}
	u, err := count(cmd.Context(), cmd.ErrOrStderr(), du.Options{Layers: t.Layers, Path: within})
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is in none of the layers: %s", t.Path, strings.Join(t.Layers, ", "))
	}
	if err != nil {
		return err
	}
	return o.print(cmd.OutOrStdout(), t, u)
}

func (o *duOptions) print(w io.Writer, t *du.Table, u *du.Usage) error {
	if o.json {
		return printJSON(w, t.Report(u))
	}
	_, err := io.WriteString(w, t.Text(u))
	return err
}

// count counts, and shows on a terminal that it does.
func count(ctx context.Context, stderr io.Writer, o du.Options) (*du.Usage, error) {
	bar := progress.New(stderr, "count", 0)
	defer bar.Done()
	o.Seen = func(names int, bytes uint64) {
		bar.Add(int64(bytes))
		for range names {
			bar.File()
		}
	}
	return du.Count(ctx, o)
}

// where are the layers of the running server, or those that flags say.
func (o *duOptions) where(ctx context.Context) (layersAnswer, error) {
	var a layersAnswer
	err := o.order(ctx, http.MethodGet, layersPath, &a)
	if exitCode(err) != exitNotRunning {
		return a, err
	}
	l, err := o.resolve(defaultExport)
	if err != nil {
		return a, err
	}
	a = layersAnswer{Export: defaultExport, Layers: []overlay.Layer{{Kind: "upper", Path: l.Upper}}}
	for _, lower := range l.Lowers {
		a.Layers = append(a.Layers, overlay.Layer{Kind: "lower", Path: lower})
	}
	return a, nil
}

// inExport is a path as it is in the layers. One that does not begin with "/" is relative to the export.
func inExport(p, export string) (string, error) {
	within := path.Clean("/" + p)
	if path.IsAbs(p) {
		rest, ok := strings.CutPrefix(within+"/", export+"/")
		if !ok {
			return "", fmt.Errorf("%q is not in %s: give a path in it", p, export)
		}
		within = "/" + strings.TrimSuffix(rest, "/")
	}
	if within == "/" {
		return ".", nil
	}
	return within[1:], nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/nixnfsd/nixnfsd/internal/bootstrap"
	"github.com/nixnfsd/nixnfsd/internal/progress"
	"github.com/nixnfsd/nixnfsd/internal/setup"
	"github.com/nixnfsd/nixnfsd/internal/storeimport"
	"github.com/nixnfsd/nixnfsd/internal/units"
	"github.com/nixnfsd/nixnfsd/mount"
)

type importOptions struct {
	dirOptions
	from   string
	varDir string
}

func newImportCommand() *cobra.Command {
	var opts importOptions
	cmd := &cobra.Command{
		Use:   "import",
		Short: "Take over a store of Nix that lies elsewhere",
		Long: `Copy a store of Nix with its hard links, database, profiles and garbage
collector roots into this store, which has to be empty, mounted or not. What is
copied belongs to you then. The old store is only read: it stays as it is, and
must not be in use meanwhile.

Nothing appears before everything is copied. When it was interrupted, run it
again: it goes on where it ended. "nix-store --verify --check-contents" compares
all of it with the hashes in the database afterwards.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return opts.run(cmd.Context(), newActor(cmd))
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&opts.from, "from", "", "the `DIR` that holds the old store and var, such as /nix")
	addVarFlag(flags, &opts.varDir)
	opts.dirOptions.add(flags)
	return cmd
}

func (o *importOptions) run(ctx context.Context, a *actor) error {
	if o.from == "" {
		return usage(errors.New("--from: give the directory that holds the old store, such as /nix"))
	}
	from, err := filepath.Abs(o.from)
	if err != nil {
		return err
	}
	varDir, err := o.apart(o.varDir)
	if err != nil {
		return err
	}
	receipt, err := o.receipt()
	if err != nil {
		return err
	}
	if varDir != "" {
		if err := bootstrap.CheckVar(varDir); err != nil {
			return fmt.Errorf("have /nix/var be %s: %w", varDir, err)
		}
	}
	access, err := o.reach(ctx, a.stderr)
	if err != nil {
		return err
	}
	defer access.close()
	if err := access.refuseItself(from); err != nil {
		return err
	}
	bar := progress.New(a.stderr, "import", 0)
	var imported *storeimport.Imported
	options := storeimport.Options{From: from, Var: varDir, Read: bar.Reader, File: bar.File}
	err = setup.NoteStore(receipt, options.Makes(), func() (err error) {
		imported, err = storeimport.Import(ctx, access.tree, options)
		return err
	})
	bar.Done()
	if err != nil {
		return goesOn(err, "ended before everything was copied")
	}
	fmt.Fprintf(a.stdout, "imported: %s, of which %d were there, and the database, with %s\n", units.Things(uint64(imported.Paths), "store path"), imported.There, units.Things(uint64(imported.Links), "hard link"))
	return access.close()
}

// refuseItself refuses to copy the store out of its own mount.
func (a *storeAccess) refuseItself(from string) error {
	table, err := mount.Table()
	if err != nil {
		return err
	}
	if e := mount.Find(table, from); e != nil && e.NFS() {
		return fmt.Errorf("--from %s: an NFS server's store is mounted there, and not one that can be taken over", from)
	}
	return nil
}

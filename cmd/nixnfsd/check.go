package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nixnfsd/nixnfsd/mount"
)

type checkOptions struct {
	address
	json bool
}

func newCheckCommand() *cobra.Command {
	var opts checkOptions
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Look at the server and its mount, and say what is wrong",
		Long: `Look from outside at the server and its mount, without touching a mount that may
be dead, and say what is wrong and how to mend it.

Exit codes: 0 mounted and usable; 3 not mounted, mounted from elsewhere, or
something is wrong with the mount; 4 no server answers, and nothing is mounted
or the mount is dead.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			checker, err := opts.checker()
			if err != nil {
				return err
			}
			status, err := checker.Check(cmd.Context())
			if err != nil {
				return err
			}
			if err := opts.print(cmd.OutOrStdout(), &status); err != nil {
				return err
			}
			return checkResult(&status)
		},
	}
	opts.add(cmd.Flags())
	cmd.Flags().BoolVar(&opts.json, "json", false, "print JSON, with a schemaVersion")
	return cmd
}

// checker gives a Checker that looks at the mount by running this program anew.
func (a *address) checker() (*mount.Checker, error) {
	addr, err := a.parse()
	if err != nil {
		return nil, err
	}
	if addr.Port() == 0 {
		return nil, usage(errors.New("--listen: give the port that the server said when it started"))
	}
	stat, err := statInChild()
	if err != nil {
		return nil, err
	}
	return &mount.Checker{Addr: addr, Export: a.export, Stat: stat}, nil
}

func checkResult(s *mount.Status) error {
	gone := s.State == mount.NotRunning || s.State == mount.DeadMount
	switch {
	case s.OK():
		return nil
	case gone && !s.Server.Up:
		return &exitError{code: exitNotRunning}
	}
	return &exitError{code: exitProblems}
}

func (o *checkOptions) print(w io.Writer, s *mount.Status) error {
	if o.json {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		return enc.Encode(s)
	}
	_, err := io.WriteString(w, statusText(s))
	return err
}

func statusText(s *mount.Status) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", s.State, s.Summary)
	if m := s.Mount; m != nil {
		fmt.Fprintf(&b, "  mount: %s on %s, type %s\n", m.From, s.MountPoint, m.Type)
		fmt.Fprintf(&b, "  options: %s\n", strings.Join(m.Options, ","))
	}
	for _, p := range s.Problems {
		fmt.Fprintf(&b, "  problem: %s\n     mend: %s\n", p.What, p.Mend)
	}
	return b.String()
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/nixnfsd/nixnfsd/internal/control"
	"github.com/nixnfsd/nixnfsd/internal/doctor"
	"github.com/nixnfsd/nixnfsd/internal/poll"
	"github.com/nixnfsd/nixnfsd/internal/setup"
	"github.com/nixnfsd/nixnfsd/internal/terminal"
	"github.com/nixnfsd/nixnfsd/mount"
	"github.com/nixnfsd/nixnfsd/mount/keep"
)

type checkOptions struct {
	address
	dirOptions
	json, fix, yes bool
}

func newCheckCommand() *cobra.Command {
	var opts checkOptions
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Look at the server and its mount, and say what is wrong",
		Long: `Look from outside at the server, its mount, its directories and what setup has
done, without touching a mount that may be dead, and say what is wrong and how
to mend it. Each kind of problem has a name: docs/check.md lists them. --fix
mends what can be mended without losing anything: it shows what will be done,
asks once, and looks again.

Exit codes: 0 mounted and usable, with warnings at most; 3 not mounted, mounted
from elsewhere, or something is wrong; 4 no server answers, and nothing is
mounted or the mount is dead. With --fix they say how it is at the end.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runCheck(cmd.Context(), &opts, newActor(cmd))
		},
	}
	flags := cmd.Flags()
	opts.address.add(flags)
	opts.addState(flags)
	flags.BoolVar(&opts.fix, "fix", false, "mend what can be mended")
	flags.BoolVar(&opts.yes, "yes", false, "do not ask before that")
	flags.BoolVar(&opts.json, "json", false, "print JSON, with a schemaVersion")
	return cmd
}

func runCheck(ctx context.Context, opts *checkOptions, a *actor) error {
	if opts.yes && !opts.fix {
		return usage(errors.New("--yes goes with --fix"))
	}
	if opts.fix {
		if err := refuseSudo(); err != nil {
			return err
		}
	}
	checker, err := opts.checker()
	if err != nil {
		return err
	}
	config, err := opts.doctorConfig()
	if err != nil {
		return err
	}
	eyes := opts.eyes(checker, a)
	sight, err := doctor.Look(ctx, config, eyes)
	if err != nil {
		return err
	}
	report := doctor.NewReport(sight)
	plan := doctor.Plan(report.Problems)
	if opts.fix && len(plan.Steps) == 0 && len(report.Problems) > 0 {
		fmt.Fprintln(a.stderr, "nixnfsd: --fix mends none of this: each problem says what does")
	}
	if !opts.fix || len(plan.Steps) == 0 {
		return opts.result(a.stdout, &report, nil)
	}
	err = opts.mend(ctx, a, sight, plan, &report)
	if errors.Is(err, errRefused) {
		return withCode(checkResult(&report), err)
	}
	again, lookErr := lookAgain(ctx, config, eyes, report.Problems)
	if lookErr != nil {
		return errors.Join(err, lookErr)
	}
	return opts.result(a.stdout, &again, err)
}

// result prints how things are, and gives the exit code, to err if there is one.
func (o *checkOptions) result(w io.Writer, r *doctor.Report, err error) error {
	return withCode(checkResult(r), errors.Join(err, o.print(w, r)))
}

// mend shows what is wrong, and carries out what mends it. As JSON the only result is how it is then.
func (o *checkOptions) mend(ctx context.Context, a *actor, s *doctor.Sight, plan *setup.Plan, r *doctor.Report) error {
	worker := *a
	worker.yes = o.yes
	if o.json {
		worker.stdout = a.stderr
	} else if err := o.print(a.stdout, r); err != nil {
		return err
	}
	return worker.carryOut(ctx, s.Setup, plan, s.Setup.Export, s.Ours(), false)
}

// withCode gives an error the exit code of a result, where there is one.
func withCode(result, err error) error {
	switch {
	case err == nil:
		return result
	case result == nil:
		return err
	}
	return &exitError{code: exitCode(result), err: err}
}

// lookAgain waits until what was to be mended is, but not for long: a job that was started needs
// its time, and so does the keeper's mount.
func lookAgain(ctx context.Context, c doctor.Config, eyes doctor.Eyes, before []doctor.Problem) (doctor.Report, error) {
	const pause, limit = 300 * time.Millisecond, 20 * time.Second
	end := time.Now().Add(limit)
	var r doctor.Report
	err := poll.Until(ctx, pause, func() (bool, error) {
		sight, err := doctor.Look(ctx, c, eyes)
		if err != nil {
			return false, err
		}
		r = doctor.NewReport(sight)
		r.Compare(before)
		return len(r.Left) == 0 || time.Now().After(end), nil
	})
	return r, err
}

// doctorConfig is what is looked at.
func (o *checkOptions) doctorConfig() (doctor.Config, error) {
	config, err := (&setupOptions{address: o.address, dirOptions: o.dirOptions}).config()
	if err != nil {
		return doctor.Config{}, err
	}
	p, err := o.places()
	restart := []string{config.Program, "restart"}
	if o.upper != "" {
		restart = append(restart, "--upper", o.upper)
	}
	if o.state != "" {
		restart = append(restart, "--state", o.state)
	}
	return doctor.Config{
		Setup: config, Layout: o.layout(o.export, p), Version: version(), Restart: restart,
	}, err
}

// eyes ask the machine, the server and the keeper.
func (o *checkOptions) eyes(checker *mount.Checker, a *actor) doctor.Eyes {
	return doctor.Eyes{
		Run:    a.run,
		Status: checker.Check,
		Server: o.askServer,
		Keeper: func(ctx context.Context) (*keep.Status, error) {
			var s keep.Status
			err := control.Repeat(ctx, keep.Dir(runtime.GOOS, uint32(os.Getuid())), http.MethodGet, keeperPath, nil, &s)
			return present(&s, err)
		},
	}
}

func (o *checkOptions) askServer(ctx context.Context) (*doctor.Server, error) {
	state, err := o.stateDir()
	var self serverAnswer
	var layers layersAnswer
	if err == nil {
		err = control.Repeat(ctx, state, http.MethodGet, serverPath, nil, &self)
	}
	if err == nil {
		err = control.Repeat(ctx, state, http.MethodGet, layersPath, nil, &layers)
	}
	return present(&doctor.Server{Version: self.Version, Layers: layers.Layers}, err)
}

// present is nil where nobody is there to answer, or not to us.
func present[T any](answer *T, err error) (*T, error) {
	for _, absent := range []error{control.ErrNotRunning, control.ErrEnded, os.ErrPermission} {
		if errors.Is(err, absent) {
			return nil, nil
		}
	}
	if err != nil {
		return nil, err
	}
	return answer, nil
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

func checkResult(r *doctor.Report) error {
	gone := r.State == mount.NotRunning || r.State == mount.DeadMount
	switch {
	case r.Well():
		return nil
	case gone && !r.Server.Up:
		return &exitError{code: exitNotRunning}
	}
	return &exitError{code: exitProblems}
}

func (o *checkOptions) print(w io.Writer, r *doctor.Report) error {
	if o.json {
		return printJSON(w, r)
	}
	_, err := io.WriteString(w, terminal.PlainText(r.Text()))
	return err
}

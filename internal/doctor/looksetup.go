package doctor

import (
	"context"
	"errors"
	"strings"

	"github.com/nixnfsd/nixnfsd/internal/setup"
	"github.com/nixnfsd/nixnfsd/launchd"
	"github.com/nixnfsd/nixnfsd/launchd/systemd"
)

// machine looks at what setup has done. Root has set nothing up of its own: what is looked
// at then is only what is the same for everybody.
func (o *onlooker) machine(ctx context.Context) (func(*Sight), error) {
	c := *o.Setup
	if l, err := o.Layout.Resolve(); err == nil { // else something is wrong with it, which is told elsewhere
		c.Layout = l
	}
	root, rootErr := setup.ReadReceipt(c.RootReceipt())
	user, userErr := setup.ReadReceipt(c.UserReceipt())
	if bad := errors.Join(rootErr, userErr); bad != nil {
		return func(s *Sight) { s.BadReceipt = bad }, nil // what else is there can only be told by them
	}
	machine, err := setup.Look(ctx, &c, o.Run)
	if err != nil {
		return nil, err
	}
	digests := setup.Digests{}
	err = errors.Join(digests.Digest(root), digests.Digest(user))
	jobs, jobsErr := o.jobs(ctx, machine)
	return func(s *Sight) {
		s.Setup, s.Machine, s.Root, s.User, s.Digests, s.Jobs = &c, machine, root, user, digests, jobs
	}, errors.Join(err, jobsErr)
}

// jobs asks after those whose files are there.
func (o *onlooker) jobs(ctx context.Context, machine *setup.Seen) ([]Job, error) {
	keeper, server := o.Setup.JobFiles()
	var jobs []Job
	var errs []error
	for _, file := range []string{keeper, server} {
		nobody := file == server && (o.Setup.UID == 0 || machine.NoManager != "") // to ask
		if _, there := machine.Files[file]; !there || nobody {
			continue
		}
		job, err := o.job(ctx, file == keeper)
		if errs = append(errs, err); err == nil {
			jobs = append(jobs, job)
		}
	}
	return jobs, errors.Join(errs...)
}

func (o *onlooker) job(ctx context.Context, keeper bool) (Job, error) {
	if o.Setup.System == "darwin" {
		return o.agent(ctx, keeper)
	}
	text, err := o.Run(ctx, manager(keeper).Show(unit(keeper)))
	if err != nil {
		return Job{}, err
	}
	state, err := systemd.ParseShow(strings.TrimSpace(text) + "\n")
	return Job{
		Keeper: keeper, Loaded: state.Loaded, Off: !state.Enabled, Stale: state.Stale, Running: state.Running,
		Failed: state.Reason == "failed" || state.Reason == "auto-restart", Reason: state.Reason,
	}, err
}

// agent asks launchd, which says by its status that it does not know a job.
func (o *onlooker) agent(ctx context.Context, keeper bool) (Job, error) {
	job := Job{Keeper: keeper}
	domain, label := o.domain(keeper), label(keeper)
	off, err := o.Run(ctx, domain.PrintDisabled())
	if err != nil {
		return job, err
	}
	job.Off = launchd.ParseDisabled(off, label)
	text, err := o.Run(ctx, domain.Print(label))
	if err != nil {
		return job, nil
	}
	state, err := launchd.ParsePrint(text)
	job.Loaded, job.Running, job.Reason = true, state.Running, state.Reason
	job.Failed = state.Runs > 1 && state.LastExit > 0 && !state.Running
	return job, err
}

func manager(keeper bool) systemd.Manager {
	if keeper {
		return systemd.System()
	}
	return systemd.User()
}

func unit(keeper bool) string {
	if keeper {
		return systemd.KeeperUnit
	}
	return systemd.ServerUnit
}

func (c *Config) domain(keeper bool) launchd.Domain {
	if keeper {
		return launchd.System
	}
	return launchd.GUI(c.Setup.UID)
}

func label(keeper bool) string {
	if keeper {
		return launchd.KeeperLabel
	}
	return launchd.ServerLabel
}

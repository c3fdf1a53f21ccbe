package doctor

import (
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nixnfsd/nixnfsd/internal/setup"
	"github.com/nixnfsd/nixnfsd/mount"
)

// mounting takes over what package mount says of server and mount, and knows more about how to
// mend it.
func (p *patient) mounting() {
	for _, f := range p.Status.Problems {
		fix, mend := p.mountFix(f.Name), f.Mend
		if p.keeps() {
			mend = p.keeperMends(f.Name, mend)
		}
		if start := p.startServer(); len(start) > 0 && (f.Name == mount.ServerDown || f.Name == mount.MountDead) {
			fix, mend = start, "start its job again: nixnfsd check --fix does"
		}
		p.add(f.Name, f.What, mend, fix...)
	}
}

// keeps reports whether a keeper answers whose mount it is.
func (s *Sight) keeps() bool {
	return s.Keeper != nil && s.Keeper.MountPoint == s.Setup.Export && s.Keeper.Address == s.Setup.Addr.String()
}

// keeperMends says what to do where there is a keeper to ask.
func (p *patient) keeperMends(name, mend string) string {
	switch {
	case name == mount.NotMountedYet && p.Keeper.Away:
		return "you had the keeper unmount it; have it mount it again: nixnfsd mount"
	case name == mount.NotMountedYet:
		return "the keeper should be about to; to see why it does not: nixnfsd mount"
	case name == mount.MountStale:
		return "the keeper does in a moment; or at once: nixnfsd umount --force && nixnfsd mount"
	case touchesMount(name):
		return "run: nixnfsd umount && nixnfsd mount"
	}
	return mend
}

// touchesMount reports whether what mends a problem mounts or unmounts.
func touchesMount(name string) bool {
	return slices.Contains([]string{
		mount.NotMountedYet, mount.MountStale, mount.MountsStacked,
		mount.MountSoft, mount.MountNoExec, mount.MountLocks, mount.MountQuarantine,
	}, name)
}

// mountFix is what is done about a problem of the mount's.
func (p *patient) mountFix(name string) []setup.Step {
	switch {
	case name == mount.NoMountPoint && p.canMakePoint():
		return []setup.Step{{Root: true, Run: []string{"/bin/mkdir", "-p", p.Setup.Export}, Why: "the mount point"}}
	case !touchesMount(name) || p.brokenKeeper():
		return nil
	case name == mount.NotMountedYet && !p.canMount():
		return nil
	case name == mount.NotMountedYet:
		return []setup.Step{p.mount()}
	case name == mount.MountsStacked && !p.keeps():
		return []setup.Step{p.unmount(false)} // one of two; where there are more, the next look says so
	}
	return []setup.Step{p.unmount(name == mount.MountStale), p.mount()}
}

// canMakePoint: in the root of macOS only a synthetic entry can, which is setup's.
func (p *patient) canMakePoint() bool {
	free := p.Machine != nil && p.Machine.Point.Kind == setup.Absent
	return free && (p.Setup.System == "linux" || filepath.Dir(p.Setup.Export) != "/")
}

// canMount reports whether there is what to mount with, and where, or will be.
func (p *patient) canMount() bool {
	lacks := func(name string) bool {
		return slices.ContainsFunc(p.Status.Problems, func(f mount.Problem) bool { return f.Name == name })
	}
	if m := p.Machine; m != nil && (m.Point.Kind == setup.Symlink || m.Point.Kind == setup.Other) {
		return false
	}
	return !lacks(mount.NoMountHelper) && (!lacks(mount.NoMountPoint) || p.canMakePoint())
}

// brokenKeeper reports whether there is to be a keeper, and none answers: it would do its own
// mounting once it is mended.
func (p *patient) brokenKeeper() bool {
	return !p.keeps() && slices.ContainsFunc(p.Jobs, func(j Job) bool { return j.Keeper })
}

func (p *patient) mount() setup.Step {
	if p.keeps() {
		return setup.Step{Run: []string{p.Setup.Program, "mount"}, Why: "has the keeper mount it"}
	}
	target := mount.Target{Server: p.Setup.Addr, Export: p.Setup.Export}
	if m := p.Status.Mount; m != nil {
		target.ReadOnly = slices.Contains(m.Options, "ro")
	}
	return setup.Step{Root: true, Run: absolute(mount.Args(p.Setup.System, target)), Why: "mounts it"}
}

func (p *patient) unmount(force bool) setup.Step {
	why := "it fails where somebody works in it"
	if force {
		why = "by force: nothing in it can be used any more"
	}
	if !p.keeps() {
		return setup.Step{Root: true, Run: absolute(mount.UnmountArgs(p.Setup.System, p.Setup.Export, force)), Why: why}
	}
	run := []string{p.Setup.Program, "umount"}
	if force {
		run = append(run, "--force")
	}
	return setup.Step{Run: run, Why: why}
}

// absolute names a program by its whole path: mount(8) is in /bin, or a link from there is.
func absolute(args []string) []string {
	if len(args) > 0 && !strings.HasPrefix(args[0], "/") {
		args[0] = "/bin/" + args[0]
	}
	return args
}

// process looks at who serves.
func (p *patient) process() {
	if !p.Status.Server.Up {
		return
	}
	const few = 1024 // the cache of files takes half of it, connections a quarter
	if s := p.Process; s != nil && s.OpenFiles > 0 && s.OpenFiles < few {
		p.add(OpenFilesLow, "the server may have no more than "+number(s.OpenFiles)+" files open: it is slow with more than half as many in use",
			"start it from where the hard limit is higher (ulimit -Hn), "+number(few)+" at least")
	}
	other := p.Server != nil && p.Server.Version != p.Version
	if p.Server != nil && (other || p.Process != nil && p.Process.Replaced) {
		what := "the running server's program was replaced since it was started"
		if other {
			what = "the running server is " + p.Server.Version + ", and this is " + p.Version
		}
		p.add(ServerOld, what, "run: nixnfsd restart", setup.Step{Run: p.Restart, Why: "clients wait for a moment"})
	}
}

// layers takes over what the running server says of its layers.
func (p *patient) layers() {
	if p.Server == nil {
		return
	}
	for _, l := range p.Server.Layers {
		for _, f := range l.Problems {
			p.add(f.Name, l.Kind+" "+l.Path+": "+f.What, f.Mend)
		}
	}
}

// run is a step of root's or the user's that runs a program.
func run(root bool, why string, args ...string) setup.Step {
	return setup.Step{Root: root, Run: args, Why: why}
}

// narrow takes rights away from others.
func narrow(bits fs.FileMode, path string) setup.Step {
	return setup.Step{Path: path, Narrow: bits, Why: "takes that right away"}
}

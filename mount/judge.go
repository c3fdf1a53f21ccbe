package mount

import (
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/nixnfsd/nixnfsd/internal/shell"
)

// judge says what an observation means.
func judge(o *observation) Status {
	s := Status{
		SchemaVersion: SchemaVersion,
		Server:        Server{Address: o.target.Server.String(), Up: !errors.Is(o.server, ErrNoAnswer)},
		MountPoint:    o.target.Export,
		Mount:         o.mount(),
		Problems:      []Problem{},
	}
	if o.server != nil {
		s.Server.Error = o.server.Error()
	}
	switch {
	case o.entry == nil && s.Server.Up:
		s.notMounted(o)
	case o.entry == nil:
		s.notRunning(o)
	case o.ours && s.Server.Up:
		s.mounted(o)
	case o.ours && o.stranger():
		s.strangers(o)
	case o.ours || errors.Is(o.other, ErrNoAnswer):
		s.dead(o)
	default:
		s.elsewhere(o)
	}
	return s
}

func (o *observation) mount() *Mount {
	if o.entry == nil {
		return nil
	}
	m := &Mount{From: o.entry.From, Type: o.entry.Type, Options: o.entry.Options}
	if addr := o.entry.Server(); o.entry.NFS() && addr.IsValid() {
		m.Server = addr.String()
	}
	return m
}

func (s *Status) add(name, what, mend string) {
	s.Problems = append(s.Problems, Problem{Name: name, What: what, Mend: mend})
}

func (s *Status) notMounted(o *observation) {
	s.State = NotMounted
	s.Summary = fmt.Sprintf("the server at %s answers, but %s is not mounted", s.Server.Address, s.MountPoint)
	s.refused(o)
	if o.stat != nil {
		s.add(NoMountPoint, fmt.Sprintf("there is no directory %s to mount on: %v", s.MountPoint, o.stat), o.makePoint())
	}
	if o.noHelper {
		s.add(NoMountHelper, "there is no mount.nfs, which mounts NFS", "install it: Debian and Ubuntu have it in nfs-common, others in nfs-utils")
	}
	if o.server == nil {
		s.add(NotMountedYet, "not mounted", "run: "+o.command())
	}
}

func (s *Status) notRunning(o *observation) {
	s.State = NotRunning
	s.Summary = fmt.Sprintf("no server answers at %s, and %s is not mounted", s.Server.Address, s.MountPoint)
	s.noServer(o)
}

func (s *Status) mounted(o *observation) {
	s.State = Mounted
	s.refused(o)
	s.silent(o)
	if o.stacked > 0 {
		s.add(MountsStacked, fmt.Sprintf("it is mounted %d times, one mount over the other", o.stacked+1),
			fmt.Sprintf("run, as often as it is too much: sudo umount %s", shell.Quote(o.target.Export)))
	}
	s.options(o)
	s.Summary = fmt.Sprintf("%s is mounted from %s and works", s.MountPoint, s.Server.Address)
	if len(s.Problems) > 0 {
		s.Summary = fmt.Sprintf("%s is mounted from %s, but something is wrong with it", s.MountPoint, s.Server.Address)
	}
}

// silent adds what a mount answered that could not be looked at. A child only says it in words.
func (s *Status) silent(o *observation) {
	if o.stat == nil {
		return
	}
	what := fmt.Sprintf("the mount does not answer, though its server does: %v", o.stat)
	switch {
	case o.said(syscall.ESTALE):
		s.add(MountStale, "the server does not know the mount: its state or its upper is another one than when it was mounted", "run: "+o.unmount()+" && "+o.command())
	case o.said(syscall.EPERM) && o.goos == "darwin": // a mode would have been EACCES
		s.add(PrivacyRefused, what, "let this program, or the terminal that runs it, use network volumes: System Settings, Privacy & Security, Files and Folders")
	default:
		s.add(MountSilent, what, fmt.Sprintf("wait a minute for the client to connect anew, else %s", o.remount()))
	}
}

// said reports whether a look at the mount point ended with an error of the system's.
func (o *observation) said(errno syscall.Errno) bool {
	return strings.HasSuffix(o.stat.Error(), errno.Error())
}

func (s *Status) dead(o *observation) {
	s.State = DeadMount
	s.Summary = fmt.Sprintf("%s is mounted, but its server at %s is gone: whoever touches the mount hangs", s.MountPoint, s.Mount.Server)
	if o.ours {
		s.noServer(o)
		s.add(MountDead, "the mount hangs", fmt.Sprintf("it comes back with the server; to be rid of it: %s", o.unmount()))
		return
	}
	s.add(OtherMountDead, fmt.Sprintf("%s is a mount of %s at %s, which does not answer", s.MountPoint, s.Mount.From, s.Mount.Server),
		fmt.Sprintf("start that server again, or be rid of the mount: %s", o.unmount()))
}

// strangers is a mount of another user's, or one of ours whose port he has taken: his server
// does not let us in to tell.
func (s *Status) strangers(o *observation) {
	s.State = MountedElsewhere
	s.Summary = fmt.Sprintf("%s is mounted from %s, where a program of another user's listens: uid %d", s.MountPoint, s.Server.Address, o.holder.UID)
	s.add(MountOfAnotherUser, fmt.Sprintf("the server of %s is not yours to look into", s.MountPoint),
		fmt.Sprintf("check as uid %d or root; if the mount should be yours, be rid of it, since that user gets what is written to it: %s", o.holder.UID, o.unmount()))
}

// stranger reports whether an ordinary user's question got no answer where another's program
// listens.
func (o *observation) stranger() bool {
	return o.self != 0 && o.holder.UID >= 0 && o.holder.UID != o.self
}

func (s *Status) elsewhere(o *observation) {
	s.State = MountedElsewhere
	what := fmt.Sprintf("%s (%s)", s.Mount.From, s.Mount.Type)
	if s.Mount.Server != "" {
		what = fmt.Sprintf("%s (%s, %s)", s.Mount.From, s.Mount.Type, s.Mount.Server)
	}
	s.Summary = fmt.Sprintf("%s is mounted from another server than %s: %s", s.MountPoint, s.Server.Address, what)
	if !s.Server.Up {
		s.noServer(o)
	}
	s.add(MountedOver, "something else is mounted there", fmt.Sprintf("say its address with --listen, or %s", o.remount()))
}

func (s *Status) noServer(o *observation) {
	what := "no server answers at " + s.Server.Address
	if o.holder != unknownHolder {
		s.add(PortTaken, fmt.Sprintf("%s: the port is held by %s", what, o.holder),
			"stop that program, or give server and check another port with --listen")
		return
	}
	s.add(ServerDown, what, "run: "+o.target.serve())
}

// refused adds what a server that answers did not do for us.
func (s *Status) refused(o *observation) {
	if o.server != nil && s.Server.Up {
		s.add(ServerRefuses, o.server.Error(), fmt.Sprintf("check as the user whose server it is, with the --listen and --export (%s) that it was given", s.MountPoint))
	}
}

// badOptions are options with which a mount of ours does not do what Nix needs.
// Linux and macOS name them alike, except for locks.
var badOptions = [...]struct{ option, name, why string }{
	{"soft", MountSoft, "programs get errors while the server restarts"},
	{"noexec", MountNoExec, "programs of the store do not run"},
	{"local_lock=none", MountLocks, "every lock fails"},
	{"local_lock=flock", MountLocks, "every fcntl lock fails"},
	{"local_lock=posix", MountLocks, "every flock fails"},
	{"nolocks", MountLocks, "every lock fails"},
	{"locks", MountLocks, "every lock asks a lock manager that is not there"},
	{"quarantine", MountQuarantine, "programs that were built here do not start"},
}

func (s *Status) options(o *observation) {
	for _, bad := range badOptions {
		if o.entry.Has(bad.option) {
			s.add(bad.name, fmt.Sprintf("mounted with %s: %s", bad.option, bad.why), o.remount())
		}
	}
}

func (o *observation) command() string {
	t := o.target
	if o.entry != nil {
		t.ReadOnly = o.entry.Has("ro")
	}
	return "sudo " + Command(o.goos, t)
}

// unmount is the command that ends even a mount that is dead and in use.
func (o *observation) unmount() string {
	flag := "-f"
	if o.goos == "linux" {
		flag = "-fl" // -f alone fails while the mount is in use
	}
	return fmt.Sprintf("sudo umount %s %s", flag, shell.Quote(o.target.Export))
}

func (o *observation) remount() string {
	return fmt.Sprintf("run: sudo umount %s && %s", shell.Quote(o.target.Export), o.command())
}

// makePoint says how to make the mount point. In the root of macOS only
// synthetic.conf(5) can.
func (o *observation) makePoint() string {
	name, ok := strings.CutPrefix(o.target.Export, "/")
	if o.goos == "darwin" && ok && !strings.Contains(name, "/") {
		return fmt.Sprintf("add the line %q to /etc/synthetic.conf and restart", name)
	}
	return "run: sudo mkdir -p " + shell.Quote(o.target.Export)
}

package setup

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/nixnfsd/nixnfsd/internal/shell"
	"github.com/nixnfsd/nixnfsd/mount"
	"github.com/nixnfsd/nixnfsd/mount/synthetic"
)

// The names of obstacles. They stay as they are: programs look for them.
const (
	RunByRoot           = "run-by-root"
	ProgramInMount      = "program-in-mount"
	Fstab               = "fstab"
	LooseDirectory      = "loose-directory"
	KeeperOfAnotherUser = "keeper-of-another-user"
	OtherNix            = "other-nix"
	PointMounted        = "point-mounted"
	PointSymlink        = "point-symlink"
	PointNotDirectory   = "point-not-directory"
	PointNotEmpty       = "point-not-empty"
	PointUnfit          = "point-unfit"
	SyntheticConflict   = "synthetic-conflict"
	NoSystemd           = "no-systemd"
	NoUserManager       = "no-user-manager"
	OtherUnitPath       = "other-unit-path"
)

// Obstacles are what is in the way, each with what to do about it. While there
// are any, nothing may be touched.
func Obstacles(c *Config, s *Seen) []mount.Problem {
	var found []mount.Problem
	add := func(name, what, mend string) {
		found = append(found, mount.Problem{Name: name, What: what, Mend: mend})
	}
	if c.UID == 0 {
		add(RunByRoot, "this is run by root", "run it as the user whose "+c.Export+" it is to be, without sudo: it asks for root's rights itself")
	}
	if s.InMount {
		add(ProgramInMount, "the program "+c.Program+" lies in the mount that it is to serve", "put it somewhere else")
	}
	found = append(found, pointObstacles(c, s)...)
	for _, line := range fstabLines(s.Fstab, c.Export) {
		add(Fstab, "/etc/fstab mounts something else there: "+line, "remove that line if it is no longer needed, or choose another --export")
	}
	for _, dir := range s.Loose {
		mend := "choose another --export"
		if c.MayTighten(s, dir) {
			mend = "run: sudo chown root " + shell.Quote(dir) + " && sudo chmod go-w " + shell.Quote(dir) + ", or " + mend
		}
		add(LooseDirectory, "others than root may change what is in "+dir+", above what root runs or mounts on", mend)
	}
	if uid := keeperOwner(s.Files[c.places().keeper]); uid != "" && uid != strconv.Itoa(c.UID) {
		add(KeeperOfAnotherUser, "a keeper is set up for another user, uid "+uid, "have that user run nixnfsd uninstall first")
	}
	for _, p := range s.Others {
		add(OtherNix, p+" belongs to another installation of Nix", uninstallOther)
	}
	if c.System == "darwin" {
		return append(found, macObstacles(c, s)...)
	}
	return append(found, linuxObstacles(c, s)...)
}

// MayTighten reports whether a loose directory can become root's alone: neither one that everybody needs,
// as /tmp is, nor the user's own.
func (c *Config) MayTighten(s *Seen, dir string) bool {
	return !within(dir, c.Home) && !slices.Contains(s.Sticky, dir)
}

// uninstallOther mends another Nix. What takes its store over needs no set-up.
const uninstallOther = "uninstall that Nix, as its manual says; its store goes with it: nixnfsd import takes it over before"

func pointObstacles(c *Config, s *Seen) []mount.Problem {
	p := s.Point
	one := func(name, what, mend string) []mount.Problem {
		return []mount.Problem{{Name: name, What: what, Mend: mend}}
	}
	switch {
	case p.Mount != nil && c.target().Is(p.Mount):
		return nil
	case p.Mount != nil && p.Mount.Type == "apfs":
		return one(PointMounted, fmt.Sprintf("an APFS volume, %s, is mounted at %s", p.Mount.From, c.Export), uninstallOther)
	case p.Mount != nil:
		return one(PointMounted, fmt.Sprintf("something else is mounted at %s: %s, type %s", c.Export, p.Mount.From, p.Mount.Type), "unmount it, or choose another --export")
	case p.Kind == Symlink:
		return one(PointSymlink, fmt.Sprintf("%s is a symbolic link to %s, which Nix refuses", c.Export, p.Target), "remove it")
	case p.Kind == Other:
		return one(PointNotDirectory, c.Export+" is no directory", "remove it, or choose another --export")
	case len(p.Names) > 0:
		return one(PointNotEmpty, fmt.Sprintf("%s is a directory with something in it, which the mount would hide: %s", c.Export, strings.Join(p.Names, ", ")), "move it away, or choose another --export")
	}
	return nil
}

// target is what is mounted.
func (c *Config) target() mount.Target { return mount.Target{Server: c.Addr, Export: c.Export} }

// fstabLines are those of fstab(5) that mount something at a directory.
func fstabLines(text, dir string) []string {
	var found []string
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) > 1 && fields[0][0] != '#' && path.Clean(fields[1]) == dir {
			found = append(found, strings.Join(fields, " "))
		}
	}
	return found
}

// ownerFlag is how a unit file or a property list of ours says whose keeper it is.
var ownerFlag = regexp.MustCompile(`--owner(?:</string>\s*<string>| )(\d+)`)

// keeperOwner is the uid of the user for whom a keeper is set up, if it is one.
func keeperOwner(text []byte) string {
	if m := ownerFlag.FindSubmatch(text); m != nil {
		return string(m[1])
	}
	return ""
}

func macObstacles(c *Config, s *Seen) []mount.Problem {
	name := strings.TrimPrefix(c.Export, "/")
	if strings.Contains(name, "/") || strings.ContainsAny(name, " \t\n") {
		return []mount.Problem{{Name: PointUnfit, What: "macOS can make no directory for " + c.Export, Mend: "choose a name in the root, such as " + mount.DefaultExport}}
	}
	_, err := synthetic.Decide(s.Release, name, manifest, s.Manifests)
	var conflict *synthetic.Conflict
	if errors.As(err, &conflict) {
		return []mount.Problem{{Name: SyntheticConflict, What: conflict.What, Mend: conflict.Mend}}
	}
	return nil
}

func linuxObstacles(c *Config, s *Seen) []mount.Problem {
	var found []mount.Problem
	if s.NoSystemd {
		found = append(found, mount.Problem{Name: NoSystemd, What: "this machine is not run by systemd", Mend: "start nixnfsd serve as the user and nixnfsd keep as root in its own way; --dry-run shows their command lines"})
	} else {
		found = managerObstacles(c, s)
	}
	if s.NoHelper {
		found = append(found, mount.Problem{Name: mount.NoMountHelper, What: "the system cannot mount NFS: there is no /sbin/mount.nfs", Mend: "install it (Debian: nfs-common, Fedora: nfs-utils)"})
	}
	return found
}

// managerObstacles are those of the manager of the user's services, which the server is to be one of.
func managerObstacles(c *Config, s *Seen) []mount.Problem {
	dir := path.Dir(c.places().server)
	switch {
	case s.NoManager != "":
		return []mount.Problem{{Name: NoUserManager, What: "systemd's manager of your services does not answer: " + s.NoManager, Mend: "log in as yourself, at the machine or by ssh: su and sudo start none"}}
	case len(s.UnitPath) > 0 && !slices.Contains(s.UnitPath, dir):
		return []mount.Problem{{Name: OtherUnitPath, What: "systemd does not look for your services in " + dir, Mend: "leave XDG_CONFIG_HOME and HOME as they are at log-in, or set them for the whole session (environment.d(5))"}}
	}
	return nil
}

// ErrObstacles is that there are some.
var ErrObstacles = errors.New("nothing was touched: something is in the way")

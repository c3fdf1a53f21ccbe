package mount

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/nixnfsd/nixnfsd/internal/shell"
)

// Where a server listens and what it exports, unless it is told otherwise.
const (
	DefaultListen = "127.0.0.1:12049"
	DefaultExport = "/nix"
)

// Target is what is mounted, from where.
type Target struct {
	Server netip.AddrPort // where nfs and mount are both served
	Export string         // the exported path
	// Point is the mount point. Empty is the export's path.
	Point string
	// ReadOnly mounts what a server with --read-only serves.
	ReadOnly bool
}

// option is one mount option and the reason for it.
type option struct{ text, why string }

// Command is the command line that mounts t on the system goos, to be run by
// root and given to a shell. It is empty where we know of none.
func Command(goos string, t Target) string {
	args := Args(goos, t)
	for i, a := range args {
		args[i] = shell.Quote(a)
	}
	return strings.Join(args, " ")
}

// Args is the command of Command as an argument vector, nil where we know of
// none. Options stand before operands, as macOS wants it.
func Args(goos string, t Target) []string {
	var args []string
	var options []option
	switch goos {
	case "linux":
		args, options = []string{"mount", "-t", "nfs"}, linuxOptions(t)
	case "darwin":
		args, options = []string{"/sbin/mount_nfs"}, darwinOptions(t)
	default:
		return nil
	}
	texts := make([]string, len(options))
	for i, o := range options {
		texts[i] = o.text
	}
	return append(args, "-o", strings.Join(texts, ","), t.from(), t.At())
}

// At is the mount point.
func (t Target) At() string {
	if t.Point != "" {
		return t.Point
	}
	return t.Export
}

// Is reports whether e is a mount of t, wherever that is. A port that is not known is taken for
// ours: host and path are.
func (t Target) Is(e *Entry) bool {
	s := e.Server()
	return e.Type == "nfs" && e.Export() == t.Export && s.Addr() == t.Server.Addr() &&
		(s.Port() == t.Server.Port() || s.Port() == 0)
}

// UnmountArgs is the command that unmounts dir on the system goos, nil where we know of none.
// With force it ends even a mount that is dead and in use.
func UnmountArgs(goos, dir string, force bool) []string {
	var args []string
	switch goos {
	case "linux":
		// Not to touch what may be dead, nor to have umount.nfs ask its server (umount(8)).
		args = []string{"/bin/umount", "--no-canonicalize", "--internal-only"}
	case "darwin":
		args = []string{"/sbin/umount"}
	default:
		return nil
	}
	if force {
		args = append(args, "-f")
	}
	if force && goos == "linux" {
		args = append(args, "-l") // -f alone fails while the mount is in use
	}
	return append(args, dir)
}

// from is the remote as the mount table shows it.
func (t Target) from() string {
	if addr := t.Server.Addr(); addr.Is6() {
		return fmt.Sprintf("[%s]:%s", addr, t.Export)
	}
	return fmt.Sprintf("%s:%s", t.Server.Addr(), t.Export)
}

// serve is the command line of the server, but for its directories: those are not known.
func (t Target) serve() string {
	command := "nixnfsd serve"
	if addr := t.Server.String(); addr != DefaultListen {
		command += " --listen " + shell.Quote(addr)
	}
	if t.Export != DefaultExport {
		command += " --export " + shell.Quote(t.Export)
	}
	return command
}

func (t Target) port() string { return strconv.Itoa(int(t.Server.Port())) }

func (t Target) netid() string {
	if t.Server.Addr().Is6() {
		return "tcp6"
	}
	return "tcp"
}

func (t Target) access() string {
	if t.ReadOnly {
		return "ro"
	}
	return "rw"
}

// linuxOptions are for mount.nfs(8) and the options of nfs(5). What was weighed is in
// make bench-mount's figures. Left to the client on purpose: rsize and wsize (the largest that
// FSINFO allows is the default), rdirplus (the client asks for attributes only when the program that
// lists also stats; a garbage collection that only wants a million names gets
// plain READDIR), attribute times (Linux notices changes by ctime, which Nix
// cannot set, and asks at each open whatever they are: ten minutes spare not one
// call), nocto (without asking at each open a verification has a third of its calls
// less and an optimisation a fifth, but a file that was changed in a lower could be read half
// old), nconnect (calls on several connections overtake one another, and
// one carries all that loopback can) and timeo (it only matters when the server
// is gone, and then TCP is connected anew long before).
func linuxOptions(t Target) []option {
	return []option{
		{"vers=3", "the only version served; else the client tries 4 first"},
		{"proto=" + t.netid(), "the only transport served"},
		{"port=" + t.port(), "else portmap is asked"},
		{"mountproto=" + t.netid(), "MNT would go over UDP"},
		{"mountport=" + t.port(), "else portmap is asked"},
		{"nolock", "there is no lock manager: flock and fcntl locks are kept by the client, which is the only one; also spares rpc.statd"},
		{"noacl", "there is no NFSACL program to ask"},
		{"hard", "a soft mount fails page-ins of running programs while the server restarts"},
		{"noresvport", "the server wants no reserved port, and a new one at each connection comes back faster after a restart"},
		{"sec=sys", "the flavor served"},
		{"retry=0", "say at once that there is no server, not after two minutes"},
		{"nosuid", "a user serves this: no program in it may change to root"},
		{"nodev", "and no device in it may be opened"},
		{t.access(), "what the server serves"},
	}
}

// darwinOptions are for mount_nfs(8). Options of /etc/nfs.conf are merged
// before these, so everything that matters is said; unknown ones only warn.
func darwinOptions(t Target) []option {
	return []option{
		{"vers=3", "the only version served; else it is negotiated"},
		{"proto=" + t.netid(), "the only transport served"},
		{"port=" + t.port(), "with mountport, else portmap is asked first"},
		{"mountport=" + t.port(), "with port"},
		{"sec=sys", "the flavor served"},
		{"hard", "a soft mount fails page-ins of running programs"},
		{"intr", "signals end a wait for a server that is gone"},
		{"locallocks", "the default fails without statd, nolocks fails every lock"},
		{"noquota", "there is no rquotad"},
		{"noresvport", "the server wants no reserved port"},
		{"nomntudp", "MNT goes over TCP"},
		{"rdirplus", "listings bring the attributes: fewer round trips"},
		{"negnamecache", "remember which names are not there: AppleDouble look-ups are many"},
		{"nonfc", "names stay as they are: Nix hashes them"},
		{"mutejukebox", "no dialogs"},
		{"deadtimeout=0", "never unmounted by force behind our back"},
		{"nobg", "fail where the caller sees it"},
		{"retrycnt=0", "one try: who calls decides about more"},
		{t.access(), "what the server serves"},
		{"exec", "programs run from the store"},
		{"owners", "files belong to who owns them"},
		{"noasync", "a program's fsync reaches the server"},
		{"nosync", "but not each write waits for it"},
		{"nosuid", "a user serves this: no program in it may change to root"},
		{"nodev", "and no device in it may be opened"},
		{"nobrowse", "not in the Finder"},
		{"noatime", "reading does not write"},
		{"nounion", "the mount hides what is beneath"},
		{"noquarantine", "programs that were built here start"},
		{"rsize=1048576", "the default is 32 KiB; 1 MiB is the most"},
		{"wsize=1048576", "the default is 32 KiB; 1 MiB is the most"},
		{"dsize=65536", "listings in large pieces"},
		{"readahead=16", "the client's default"},
		{"acregmin=60", "a file of the store does not change"},
		{"acregmax=3600", "Nix sets mtime to 1, which always gives the maximum"},
		{"acdirmin=1", "a directory may change"},
		{"acdirmax=60", "a change behind the mount shows after a minute at most"},
		{"acrootdirmin=1", "the same for /nix itself"},
		{"acrootdirmax=5", "the same for /nix itself"},
		{"accesscache=16", "answers about rights for more than three users"},
	}
}

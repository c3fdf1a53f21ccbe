package doctor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nixnfsd/nixnfsd/internal/setup"
	"github.com/nixnfsd/nixnfsd/mount"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// Severity says how bad a problem is.
type Severity string

// The values of Severity.
const (
	Error   Severity = "error"   // something does not work, or will not
	Warning Severity = "warning" // it works, and could be better
)

// Kind is a kind of problem.
type Kind struct {
	Name     string
	Severity Severity
	// Mends is what --fix does about it, empty: nothing. It is done where the problem has steps.
	Mends string
	About string // what is wrong
	Mac   bool   // only macOS has it
}

// The names of problems that are not mount's or overlay's.
const (
	ServerOff         = "server-off"
	ServerUnloaded    = "server-unloaded"
	ServerStopped     = "server-stopped"
	ServerFailing     = "server-failing"
	ServerStale       = "server-stale"
	KeeperOff         = "keeper-off"
	KeeperUnloaded    = "keeper-unloaded"
	KeeperStopped     = "keeper-stopped"
	KeeperFailing     = "keeper-failing"
	KeeperStale       = "keeper-stale"
	ServerOld         = "server-old"
	OpenFilesLow      = "open-files-low"
	SetupFileMissing  = "setup-file-missing"
	SetupFileChanged  = "setup-file-changed"
	SetupHalf         = "setup-half"
	RootProgramOld    = "root-program-old"
	ReceiptBroken     = "receipt-broken"
	SyntheticMissing  = "synthetic-missing"
	SyntheticInactive = "synthetic-inactive"
	DirectoryInMount  = "directory-in-mount"
	NotADirectory     = "not-a-directory"
	UpperMissing      = "upper-missing"
	UpperOpen         = "upper-open"
	UpperForeign      = "upper-foreign"
	WorkOpen          = "work-open"
	WorkForeign       = "work-foreign"
	StateOpen         = "state-open"
	StateForeign      = "state-foreign"
	KeyOpen           = "key-open"
	KeyNotFile        = "key-not-file"
	KeyBroken         = "key-broken"
	SpaceLow          = "space-low"
	FilesLow          = "files-low"
	StoreSymlink      = "store-symlink"
	VarDangling       = "var-dangling"
	VarInMount        = "var-in-mount"
	VarUnfit          = "var-unfit"
	VarOnMount        = "var-on-mount"
	DatabaseBroken    = "database-broken"
	DatabaseWAL       = "database-wal"
	RemovedFilesLeft  = "removed-files-left"
	TimeMachineCopies = "time-machine"
	SpotlightIndexes  = "spotlight"
	ShellHookStale    = "shell-hook-stale"
	ClockWrong        = "clock-wrong"
	ClockBehind       = "clock-behind"
	Unseen            = "unseen"
)

// Kinds are all of them, those of mount, setup and overlay too.
func Kinds() []Kind {
	return slices.Concat(mountKinds(), jobKinds(), setupKinds(), dirKinds(), nixKinds(), otherKinds())
}

func mountKinds() []Kind {
	return []Kind{
		{Name: mount.ServerDown, Severity: Error, Mends: "starts its job where there is one", About: "no server answers"},
		{Name: mount.PortTaken, Severity: Error, About: "another program has the server's port"},
		{Name: mount.ServerRefuses, Severity: Error, About: "a server answers, and does not serve this export to you"},
		{Name: mount.NotMountedYet, Severity: Error, Mends: "has the keeper mount it, or root", About: "the server is not mounted"},
		{Name: mount.NoMountPoint, Severity: Error, Mends: "makes it (not in macOS's root)", About: "there is no directory to mount on"},
		{Name: mount.NoMountHelper, Severity: Error, About: "Linux lacks mount.nfs"},
		{Name: mount.MountDead, Severity: Error, Mends: "starts the server's job where there is one", About: "the mount's server is gone: whoever touches it hangs"},
		{Name: mount.MountSilent, Severity: Error, About: "the server answers and the mount does not"},
		{Name: mount.MountStale, Severity: Error, Mends: "unmounts it by force and mounts it again", About: "the server does not know the mount any more"},
		{Name: mount.MountsStacked, Severity: Error, Mends: "unmounts what is too much, where nobody works in it", About: "the server is mounted more than once, one over the other"},
		{Name: mount.MountedOver, Severity: Error, About: "something else is mounted there"},
		{Name: mount.OtherMountDead, Severity: Error, About: "another server's mount is there, and dead"},
		{Name: mount.MountOfAnotherUser, Severity: Error, About: "another user's server is mounted there"},
		{Name: mount.MountSoft, Severity: Error, Mends: remounts, About: "mounted with soft: programs get errors while the server restarts"},
		{Name: mount.MountNoExec, Severity: Error, Mends: remounts, About: "mounted with noexec: no program of the store runs"},
		{Name: mount.MountLocks, Severity: Error, Mends: remounts, About: "mounted without locks, or with those of a lock manager"},
		{Name: mount.MountQuarantine, Severity: Error, Mends: remounts, About: "mounted with quarantine: programs that were built do not start", Mac: true},
		{Name: mount.PrivacyRefused, Severity: Error, About: "macOS's privacy settings keep programs out of the mount", Mac: true},
	}
}

func jobKinds() []Kind {
	return []Kind{
		{Name: ServerOff, Severity: Error, Mends: "turns it on", About: "the server's job does not start at login"},
		{Name: ServerUnloaded, Severity: Error, Mends: "has it read and started", About: "systemd or launchd does not know the server's job"},
		{Name: ServerStopped, Severity: Error, Mends: "starts it", About: "the server's job is stopped"},
		{Name: ServerFailing, Severity: Error, About: "the server's job ends as soon as it is started"},
		{Name: ServerStale, Severity: Warning, Mends: "has it read", About: "systemd has not read the server's unit since it was changed"},
		{Name: KeeperOff, Severity: Error, Mends: "turns it on", About: "the keeper's job does not start with the machine"},
		{Name: KeeperUnloaded, Severity: Error, Mends: "has it read and started", About: "systemd or launchd does not know the keeper's job"},
		{Name: KeeperStopped, Severity: Error, Mends: "starts it", About: "the keeper's job is stopped"},
		{Name: KeeperFailing, Severity: Error, About: "the keeper's job ends as soon as it is started"},
		{Name: KeeperStale, Severity: Warning, Mends: "has it read", About: "systemd has not read the keeper's unit since it was changed"},
		{Name: ServerOld, Severity: Warning, Mends: "runs nixnfsd restart", About: "the running server is another version than this program"},
		{Name: OpenFilesLow, Severity: Warning, About: "the server may open few files"},
	}
}

func setupKinds() []Kind {
	return []Kind{
		{Name: SetupFileMissing, Severity: Error, Mends: writes, About: "a file that setup wrote is gone"},
		{Name: SetupFileChanged, Severity: Warning, Mends: writes, About: "a file that setup wrote was changed since"},
		{Name: SetupHalf, Severity: Error, Mends: writes, About: "only root's half, or only the user's, is set up"},
		{Name: RootProgramOld, Severity: Warning, Mends: "copies it, and starts the keeper anew", About: "root's copy of the program is another one than this"},
		{Name: ReceiptBroken, Severity: Error, About: "a receipt of setup cannot be read"},
		{Name: SyntheticMissing, Severity: Error, Mends: writes, About: "nothing has macOS make the mount point at the next boot", Mac: true},
		{Name: SyntheticInactive, Severity: Error, Mends: "has macOS make it, where it can without a restart", About: "the mount point is listed and not there", Mac: true},
		{Name: setup.OtherNix, Severity: Error, About: "another installation of Nix is there"},
		{Name: setup.PointSymlink, Severity: Error, About: "the mount point is a symbolic link, which Nix refuses"},
		{Name: setup.PointNotDirectory, Severity: Error, About: "the mount point is no directory"},
		{Name: setup.PointNotEmpty, Severity: Error, About: "the mount would hide what is in the mount point"},
		{Name: setup.PointUnfit, Severity: Error, About: "macOS can make no such directory", Mac: true},
		{Name: setup.SyntheticConflict, Severity: Error, About: "a synthetic entry is in the way", Mac: true},
		{Name: setup.Fstab, Severity: Error, About: "/etc/fstab mounts something else there"},
		{Name: setup.ProgramInMount, Severity: Error, About: "the program lies in the mount that it is to serve"},
		{Name: setup.LooseDirectory, Severity: Error, Mends: "gives it to root alone", About: "others than root may change a directory above what root runs"},
		{Name: setup.KeeperOfAnotherUser, Severity: Error, About: "the keeper that is set up is another user's"},
		{Name: setup.NoSystemd, Severity: Error, About: "it was set up for systemd, which does not run this machine"},
		{Name: setup.NoUserManager, Severity: Warning, About: "the user's systemd does not answer: it is not seen how the server's job is"},
		{Name: setup.OtherUnitPath, Severity: Error, About: "the user's systemd looks for units elsewhere"},
	}
}

func dirKinds() []Kind {
	return []Kind{
		{Name: DirectoryInMount, Severity: Error, About: "a directory of the server's leads into its own mount"},
		{Name: NotADirectory, Severity: Error, About: "a directory of the server's is something else"},
		{Name: UpperMissing, Severity: Error, About: "the upper of a server that has run is gone"},
		{Name: UpperOpen, Severity: Warning, Mends: narrows, About: "everybody may write to the upper"},
		{Name: UpperForeign, Severity: Error, About: "the upper is somebody else's"},
		{Name: WorkOpen, Severity: Error, Mends: narrows, About: "others may write to the work directory: no server starts"},
		{Name: WorkForeign, Severity: Error, Mends: gives, About: "the work directory is somebody else's: no server starts"},
		{Name: StateOpen, Severity: Error, Mends: narrows, About: "others may write to the state directory: no server starts"},
		{Name: StateForeign, Severity: Error, Mends: gives, About: "the state directory is somebody else's: no server starts"},
		{Name: KeyOpen, Severity: Error, Mends: narrows, About: "others may read the key of the file handles"},
		{Name: KeyNotFile, Severity: Error, About: "the key of the file handles is a symbolic link, or no file"},
		{Name: KeyBroken, Severity: Error, About: "the key of the file handles has another size: no server starts"},
		{Name: overlay.LayerMoved, Severity: Error, About: "another directory, or none, is where a layer was"},
		{Name: overlay.LayerUnreadable, Severity: Error, About: "a layer cannot be read"},
		{Name: overlay.LayerWasUpper, Severity: Warning, About: "a lower was served as an upper over others that are missing here"},
		{Name: overlay.UpperUnwritable, Severity: Error, About: "the upper cannot be written to"},
		{Name: overlay.UpperFull, Severity: Error, About: "the upper's disk, or the quota, is full"},
		{Name: SpaceLow, Severity: Warning, About: "little space is left for the store"},
		{Name: FilesLow, Severity: Warning, About: "few files are left to be made on the store's file system"},
		{Name: RemovedFilesLeft, Severity: Warning, About: "files that were removed while open still take space"},
	}
}

func nixKinds() []Kind {
	return []Kind{
		{Name: StoreSymlink, Severity: Error, About: "/nix/store is a symbolic link, which Nix refuses"},
		{Name: VarDangling, Severity: Error, About: "/nix/var leads to a directory that is not there"},
		{Name: VarInMount, Severity: Error, About: "/nix/var leads back into the mount"},
		{Name: VarUnfit, Severity: Error, About: "/nix/var leads to a path that is too long for sockets, or has a space"},
		{Name: VarOnMount, Severity: Warning, About: "Nix's database is on the mount: SQLite has no WAL there", Mac: true},
		{Name: DatabaseBroken, Severity: Error, About: "Nix's database is no database"},
		{Name: DatabaseWAL, Severity: Error, About: "Nix's database is on the mount and in WAL mode: it cannot be opened", Mac: true},
	}
}

func otherKinds() []Kind {
	return []Kind{
		{Name: TimeMachineCopies, Severity: Warning, Mends: "leaves it out", About: "Time Machine backs the store up", Mac: true},
		{Name: SpotlightIndexes, Severity: Warning, Mends: "marks it", About: "Spotlight indexes the store", Mac: true},
		{Name: ShellHookStale, Severity: Warning, About: "the lines in a shell's start-up file are of a program elsewhere"},
		{Name: ClockWrong, Severity: Error, About: "the clock shows a time that cannot be"},
		{Name: ClockBehind, Severity: Warning, About: "the server has written later than the clock says it is"},
		{Name: Unseen, Severity: Warning, About: "something could not be looked at"},
	}
}

const (
	remounts = "mounts it anew, where nobody works in it"
	writes   = "does what setup would, where the flags are those of then"
	narrows  = "takes that right away"
	gives    = "gives it to you, where it is root's and in your home"
)

// Table is the kinds for people, in Markdown.
func Table() string {
	var b strings.Builder
	b.WriteString("| name | what is wrong | `--fix` |\n|---|---|---|\n")
	for _, k := range Kinds() {
		about := k.About
		if k.Severity == Warning {
			about += " (a warning)"
		}
		if k.Mac {
			about += "; macOS"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", k.Name, about, k.Mends)
	}
	return b.String()
}

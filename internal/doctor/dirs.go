package doctor

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"time"

	"github.com/nixnfsd/nixnfsd/internal/setup"
	"github.com/nixnfsd/nixnfsd/internal/shell"
	"github.com/nixnfsd/nixnfsd/internal/units"
	"github.com/nixnfsd/nixnfsd/mount"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// names are those of what is wrong with the rights to a directory.
func (d Dir) names() (open, foreign string) {
	switch d.Use {
	case "upper":
		return UpperOpen, UpperForeign
	case "work":
		return WorkOpen, WorkForeign
	}
	return StateOpen, StateForeign
}

// dirs looks at the directories of the server that are there: one that was never started has none.
func (p *patient) dirs() {
	ran := false
	for _, d := range p.Dirs {
		ran = ran || d.Use == "state" && d.Key != nil
	}
	for _, d := range p.Dirs {
		flag := "--" + d.Use + " " + d.Path
		switch {
		case d.InMount:
			p.add(DirectoryInMount, flag+" leads into the mount: the server would wait for itself", "choose a directory outside "+p.Setup.Export)
		case !d.There && ran && d.Use == "upper":
			p.add(UpperMissing, flag+" is not there, and a server has served it", "put it back, as by mounting the disk that it is on; a server that is started now begins with an empty one")
		case !d.There:
		case !d.Dir:
			p.add(NotADirectory, flag+" is no directory", "move it away, or choose another")
		default:
			p.rights(d)
		}
	}
}

func (p *patient) rights(d Dir) {
	openName, foreignName := d.names()
	if uid := p.Setup.UID; uid != 0 && d.UID != uid {
		what := fmt.Sprintf("the %s directory %s belongs to uid %d, and this is run by uid %d", d.Use, d.Path, d.UID, uid)
		mend := "choose another directory"
		if p.atHome(d.Path) {
			mend = "have it given to you: sudo chown -hR " + strconv.Itoa(uid) + " " + shell.Quote(d.Path) + "; or " + mend
		}
		var fix []setup.Step
		if d.UID == 0 && d.Use != "upper" && p.atHome(d.Path) { // the server was once run with sudo
			fix = []setup.Step{run(true, "it is nobody's but the server's", "/bin/chown", "-hR", strconv.Itoa(uid), d.Path)}
		}
		p.add(foreignName, what, mend, fix...)
		return
	}
	bits, who, mode := fs.FileMode(0o022), "others", "go-w"
	if d.Use == "upper" { // the rights in it are the user's business, up to a point
		bits, who, mode = 0o002, "everybody", "o-w"
	}
	if d.Mode&bits != 0 {
		p.add(openName, fmt.Sprintf("%s can write to the %s directory %s (mode %04o)", who, d.Use, d.Path, d.Mode), "run: chmod "+mode+" "+shell.Quote(d.Path), narrow(bits, d.Real))
	}
	if d.Key != nil {
		p.key(d)
	}
}

// atHome reports whether a path is in the user's home: what a flag names elsewhere may be root's for good.
func (p *patient) atHome(path string) bool {
	in, err := filepath.Rel(p.Setup.Home, path)
	return err == nil && in != "." && filepath.IsLocal(in)
}

// keySize is that of the key of the file handles.
const keySize = 16

func (p *patient) key(d Dir) {
	file := d.Path + "/key"
	if !d.Key.Mode.IsRegular() { // whose it is where it leads to nobody knows
		p.add(KeyNotFile, file+" is a symbolic link, or no file", "look who has put it there, and put the right file there")
		return
	}
	if d.Key.Mode&0o077 != 0 {
		p.add(KeyOpen, fmt.Sprintf("others can read %s (mode %04o), and make file handles with it", file, d.Key.Mode), "run: chmod 600 "+shell.Quote(file), narrow(0o077, d.Real+"/key"))
	}
	if d.Key.Size != keySize {
		p.add(KeyBroken, fmt.Sprintf("%s has %d bytes instead of %d", file, d.Key.Size, keySize), "put the right file back, or unmount every client and remove it")
	}
}

const (
	fewBytes = 512 << 20
	fewFiles = 10_000
)

// space looks at the upper's file system. That it is full altogether the server says.
func (p *patient) space() {
	for _, d := range p.Dirs {
		if d.Use != "upper" || !d.There || p.has(overlay.UpperFull) {
			continue
		}
		if d.Total > 0 && d.Avail < fewBytes {
			p.add(SpaceLow, fmt.Sprintf("%s are left for %s", units.Bytes(d.Avail), d.Path), "make room: nix-collect-garbage -d, and nixnfsd du shows what takes it")
		}
		if d.MaxFiles > 0 && d.Files < fewFiles {
			p.add(FilesLow, fmt.Sprintf("%d more files can be made in %s", d.Files, d.Path), "remove some, as with nix-collect-garbage -d; nix-store --optimise leaves fewer")
		}
	}
}

// kept says what is left of files that were removed while they were open, where nobody can have them
// open any more: nothing is mounted.
func (p *patient) kept() {
	if p.Removed > 0 && p.Status.Mount == nil && p.Status.Server.Up && p.Status.State == mount.NotMounted {
		p.add(RemovedFilesLeft, fmt.Sprintf("%d files that were removed while they were open are still kept", p.Removed), "they go when the server starts after the next start of the machine; nothing needs to be done")
	}
}

// The years in which this program may be run.
const firstYear, lastYear = 2025, 2100

// clock: Nix and everything that checks certificates needs one that is right.
func (p *patient) clock() {
	const slack = 24 * time.Hour
	switch {
	case p.Now.Year() < firstYear || p.Now.Year() > lastYear:
		p.add(ClockWrong, "the clock says that it is "+p.Now.Format(time.DateOnly), "set it")
	case p.Newest.Sub(p.Now) > slack:
		p.add(ClockBehind, "the server has written something on "+p.Newest.Format(time.DateOnly)+", and the clock says that it is "+p.Now.Format(time.DateOnly), "set the clock, where it is wrong")
	}
}

// unseen says what could not be looked at: it may be worse than it seems.
func (p *patient) unseen() {
	for _, what := range p.Unseen {
		p.add(Unseen, what, "see to it, and check again")
	}
}

func number(n uint64) string { return strconv.FormatUint(n, 10) }

package doctor

import (
	"fmt"
	"strings"

	"github.com/nixnfsd/nixnfsd/internal/setup"
)

func (p *patient) store() {
	if p.Store.Kind == setup.Symlink {
		p.add(StoreSymlink, p.Setup.Export+"/store is a symbolic link to "+p.Store.Target+", which Nix refuses", "put the directory in its place, or give it to the server with --lower")
	}
}

// maxVar is how long a path /nix/var may lead to: that of a socket has 103 bytes on macOS, and the
// longest beneath it is nix/daemon-socket/socket.
const maxVar = 103 - len("/nix/daemon-socket/socket")

// vars looks at where Nix's database and sockets are.
func (p *patient) vars() {
	at := p.Setup.Export + "/var"
	switch v := p.Var; {
	case v.Kind != setup.Symlink:
	case v.InMount:
		p.add(VarInMount, at+" is a link that leads back into the mount: "+v.Target, "have it lead to a directory outside")
	case v.Missing:
		p.add(VarDangling, at+" leads to "+v.Target+", which is not there: Nix has no database", "put the directory back, or make an empty one, which knows of no store path")
	case len(v.Target) > maxVar || strings.ContainsAny(v.Target, " \t\n"):
		p.add(VarUnfit, fmt.Sprintf("%s leads to %q: Nix's sockets need %d bytes at most, and builds no blank", at, v.Target, maxVar), "have it lead to a shorter path without blanks")
	}
}

// database looks at what SQLite can do with Nix's. On Linux it has all it needs on the mount.
func (p *patient) database() {
	d := p.Database
	if d == nil {
		return
	}
	switch {
	case d.Broken:
		p.add(DatabaseBroken, d.Path+" is no database of SQLite's", "put it back from a backup, or have Nix make it anew: nix-store --load-db takes what nix-store --dump-db has written")
	case p.darwin() && d.OnMount && d.WAL:
		p.add(DatabaseWAL, d.Path+" is in WAL mode, which SQLite cannot open on an NFS mount of macOS", "stop the server, move var out of the upper, and put a symbolic link to it in its place")
	case p.darwin() && d.OnMount:
		p.add(VarOnMount, p.Setup.Export+"/var is on the mount: Nix's database is slow there, and must not use WAL", "stop the server, move var out of the upper, and put a symbolic link to it in its place")
	}
}

// mac: neither backups nor an index are of use for a store.
func (p *patient) mac() {
	for _, dir := range p.Copied {
		p.add(TimeMachineCopies, "Time Machine backs "+dir+" up", "run: tmutil addexclusion "+dir,
			run(false, "leaves the store out of backups", setup.ExcludeArgs(dir)...))
	}
	if p.Indexed != "" {
		file := p.Indexed + "/" + setup.NeverIndex
		p.add(SpotlightIndexes, "Spotlight may index "+p.Indexed, "make the empty file "+file,
			setup.Step{Path: file, Mode: 0o644, Why: "has Spotlight leave the store out"})
	}
}

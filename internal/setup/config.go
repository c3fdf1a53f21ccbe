package setup

import (
	"net/netip"
	"path"
	"slices"
	"strconv"
	"time"

	"github.com/nixnfsd/nixnfsd/mount"
	"github.com/nixnfsd/nixnfsd/mount/keep"
)

// Config is what is to be set up, and for whom.
type Config struct {
	System  string // GOOS: "linux" or "darwin"
	UID     int    // of the owner
	Home    string
	Configs string // the user's configuration directory, as XDG has it
	Data    string // the user's data directory, which holds the standard upper
	State   string // the user's state directory, which holds his receipt
	Program string // absolute path of this program
	Addr    netip.AddrPort
	Export  string       // and mount point
	Flags   []string     // other flags of serve, with absolute paths
	Layout  mount.Layout // what the server has then, with every symbolic link followed
}

// grace is how long a mount may hang whose server is gone. The server may be away
// for half of it.
const grace = time.Minute

// places are the files that setup writes on a system.
type places struct {
	helper  string // root's copy of the program
	keeper  string // what starts the keeper
	server  string // what starts the server
	receipt string // root's
}

func (c *Config) places() places {
	if c.System == "darwin" {
		return macPlaces(c)
	}
	return systemdPlaces(c)
}

// UserReceipt is where the user's receipt is.
func (c *Config) UserReceipt() string { return path.Join(c.State, "setup.json") }

// RootReceipt is where root's receipt is.
func (c *Config) RootReceipt() string { return c.places().receipt }

// serveArgs is the command line of the server.
func (c *Config) serveArgs() []string {
	return slices.Concat([]string{c.Program, "serve", "--listen", c.Addr.String(), "--export", c.Export}, c.Flags)
}

// keeperRun is the name of the directory of the keeper's socket, beneath /run.
func (c *Config) keeperRun() string { return path.Base(keep.Dir(c.System, uint32(c.UID))) }

// keepArgs is the command line of the keeper. Its socket is where "nixnfsd mount" looks.
func (c *Config) keepArgs() []string {
	p := c.places()
	return []string{
		p.helper, "keep", "--owner", strconv.Itoa(c.UID), "--listen", c.Addr.String(), "--export", c.Export,
		"--mount-point", c.Export, "--grace", grace.String(),
	}
}

// JobFiles are the files by which keeper and server are started.
func (c *Config) JobFiles() (keeper, server string) {
	p := c.places()
	return p.keeper, p.server
}

// RootProgram is where root's copy of the program is.
func (c *Config) RootProgram() string { return c.places().helper }

package main

import (
	"errors"
	"fmt"
	"net/netip"
	"path"

	"github.com/spf13/pflag"

	"github.com/nixnfsd/nixnfsd/mount"
)

const (
	defaultListen = mount.DefaultListen
	defaultExport = mount.DefaultExport
	// maxExport is MNTPATHLEN (RFC 1813 appendix I).
	maxExport = 1024
)

// address is the flags that name a server and its mount.
type address struct {
	listen string
	export string
}

func (a *address) add(flags *pflag.FlagSet) {
	flags.StringVar(&a.listen, "listen", defaultListen, "loopback `ADDRESS:PORT` of the server")
	flags.StringVar(&a.export, "export", defaultExport, "`PATH` to mount: the export and the mount point")
}

// parse checks the flags. Only a loopback address is taken: whoever can reach
// the port can say that he is anybody (AUTH_SYS). A name is refused, because it
// may stand for several addresses, and the mount table shows it as it is given.
func (a *address) parse() (netip.AddrPort, error) {
	addr, err := netip.ParseAddrPort(a.listen)
	if err != nil {
		return addr, usage(fmt.Errorf("--listen %q is not understood: give an IP address and a port, such as %s", a.listen, defaultListen))
	}
	if !addr.Addr().Unmap().IsLoopback() {
		return addr, usage(fmt.Errorf("--listen %s is not loopback, and everybody in the network could reach it: give a loopback address, such as %s", a.listen, defaultListen))
	}
	if err := a.checkExport(); err != nil {
		return addr, usage(fmt.Errorf("--export %q: %w", a.export, err))
	}
	return addr, nil
}

func (a *address) checkExport() error {
	switch {
	case !path.IsAbs(a.export):
		return errors.New("give a path that begins with /, such as " + defaultExport)
	case path.Clean(a.export) != a.export:
		return fmt.Errorf("give it as %s", path.Clean(a.export))
	case a.export == "/":
		return errors.New("nothing can be mounted on the root: give a directory, such as " + defaultExport)
	case len(a.export) > maxExport:
		return fmt.Errorf("longer than the %d bytes that a client can ask for", maxExport)
	}
	return nil
}

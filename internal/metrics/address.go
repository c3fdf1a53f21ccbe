package metrics

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
)

// Address is where metrics are given: a loopback address or a Unix socket.
type Address struct {
	// TCP is not valid where Socket is set, the path of a socket.
	TCP    netip.AddrPort
	Socket string
}

// ParseAddress reads "ADDRESS:PORT" or "unix:PATH". A path is made absolute.
func ParseAddress(s string) (a Address, err error) {
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		if path == "" {
			return a, errors.New("give the socket's path, such as unix:/run/user/1000/nixnfsd-metrics")
		}
		a.Socket, err = filepath.Abs(path)
		return a, err
	}
	if a.TCP, err = netip.ParseAddrPort(s); err != nil {
		return a, errors.New("give an IP address and a port, such as 127.0.0.1:9949, or unix:PATH")
	}
	if !a.TCP.Addr().Unmap().IsLoopback() {
		return a, fmt.Errorf("%s is not loopback, and everybody in the network could reach it: give a loopback address, such as 127.0.0.1:9949, or unix:PATH", a.TCP)
	}
	return a, nil
}

// String is what ParseAddress reads.
func (a Address) String() string {
	if a.Socket != "" {
		return "unix:" + a.Socket
	}
	return a.TCP.String()
}

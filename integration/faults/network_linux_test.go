package faults

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
	"github.com/nixnfsd/nixnfsd/internal/procnet"
	"github.com/nixnfsd/nixnfsd/internal/testenv"
)

// envNetwork tells the test binary that it runs in a network of its own, and gives
// the program.
const envNetwork = "NIXNFSD_TEST_NETWORK"

// inOwnNetwork runs the test in a process with a network of its own, and gives whether
// this is that process. Its loopback device is up.
func inOwnNetwork(t *testing.T) bool {
	t.Helper()
	if os.Getenv(envNetwork) != "" {
		testenv.SetLoopback(t, true)
		return true
	}
	testenv.Require(t, os.Getuid() == 0, "a network of one's own takes root")
	args := []string{"-test.run=^" + t.Name() + "$", "-test.v", "-faults.wait=" + longWait.String()}
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), envNetwork+"="+program)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET}
	out, err := cmd.CombinedOutput()
	t.Logf("in a network of its own:\n%s", out)
	if err != nil {
		t.Error(err)
	}
	return false
}

// giveUpSoon has the kernel give up connections on which nothing is acknowledged after
// seconds, and not after a quarter of an hour.
func giveUpSoon(t *testing.T) {
	t.Helper()
	must(t, os.WriteFile("/proc/sys/net/ipv4/tcp_retries2", []byte("3"), 0))
}

// A network that goes down and comes up again is a pause, and where the kernels have
// given the connection up meanwhile, a new connection: clients see no error.
func TestNetworkDown(t *testing.T) {
	if !inOwnNetwork(t) {
		return
	}
	for _, givenUp := range []bool{false, true} {
		t.Run(fmt.Sprint("connection given up ", givenUp), func(t *testing.T) {
			if givenUp {
				giveUpSoon(t)
			}
			s := newServer(t, t.TempDir())
			c := newClient(t, s)
			data := bytes.Repeat([]byte("data"), 1000)
			fh := c.put("file", data)
			first := c.conn
			testenv.SetLoopback(t, false)
			var waiting sync.WaitGroup
			waiting.Go(func() {
				if err := c.write(fh, len(data), data, nfsclient.FileSync); err != nil {
					t.Errorf("write meanwhile: %v", err)
				}
			})
			testenv.Await(t, "the call is under way", func() bool { return unacked(netip.MustParseAddrPort(s.Addr)) })
			if givenUp {
				<-first.Done()
			}
			time.Sleep(*longWait)
			testenv.SetLoopback(t, true)
			waiting.Wait()
			if kept := c.conn == first; kept == givenUp {
				t.Errorf("connection kept: %v", kept)
			}
			c.holds("the file", fh, append(data, data...))
			s.checkStore()
		})
	}
}

// unacked reports whether a client of addr has bytes that were not acknowledged.
func unacked(addr netip.AddrPort) bool {
	for s := range procnet.TCP() {
		if s.Remote == addr && s.Unacked > 0 {
			return true
		}
	}
	return false
}

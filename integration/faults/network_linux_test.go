package faults

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
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
		setLoopback(t, true)
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

// setLoopback sets the loopback device up or down.
func setLoopback(t *testing.T, up bool) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	defer unix.Close(fd)
	r, err := unix.NewIfreq("lo")
	must(t, err)
	if up {
		r.SetUint16(unix.IFF_UP)
	}
	must(t, unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, r))
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
			setLoopback(t, false)
			var waiting sync.WaitGroup
			waiting.Go(func() {
				if err := c.write(fh, len(data), data, nfsclient.FileSync); err != nil {
					t.Errorf("write meanwhile: %v", err)
				}
			})
			await(t, "the call is under way", func() bool { return unsent(t, s.addr) })
			if givenUp {
				<-first.Done()
			}
			time.Sleep(*longWait)
			setLoopback(t, true)
			waiting.Wait()
			if kept := c.conn == first; kept == givenUp {
				t.Errorf("connection kept: %v", kept)
			}
			c.holds("the file", fh, append(data, data...))
			s.checkStore()
		})
	}
}

// connection is a row of /proc/net/tcp.
type connection struct {
	local, remote  string
	established    bool
	sent, received int // bytes that wait to be acknowledged, and to be read
}

// tcpTable reads the kernel's table.
func tcpTable(t *testing.T) (all []connection) {
	t.Helper()
	table, err := os.ReadFile("/proc/net/tcp")
	must(t, err)
	for _, line := range strings.Split(string(table), "\n")[1:] {
		f := strings.Fields(line)
		if len(f) < 5 {
			continue
		}
		sent, received, _ := strings.Cut(f[4], ":")
		all = append(all, connection{
			local: tcpAddress(f[1]), remote: tcpAddress(f[2]), established: f[3] == "01",
			sent: hexadecimal(sent), received: hexadecimal(received),
		})
	}
	return all
}

// tcpAddress reads an address of /proc/net/tcp: that of 127.0.0.1, or it is of no interest.
func tcpAddress(s string) string {
	ip, port, _ := strings.Cut(s, ":")
	if ip != "0100007F" {
		return s
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(hexadecimal(port)))
}

func hexadecimal(s string) int {
	n, _ := strconv.ParseInt(s, 16, 64) // the kernel's own numbers
	return int(n)
}

// unsent reports whether a client of addr has bytes that were not acknowledged.
func unsent(t *testing.T, addr string) bool {
	for _, c := range tcpTable(t) {
		if c.remote == addr && c.sent > 0 {
			return true
		}
	}
	return false
}

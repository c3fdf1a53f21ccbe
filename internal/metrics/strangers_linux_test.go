package metrics

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/testenv"
)

const envAsk = "NIXNFSD_TEST_ASK"

// TestMain is also the program that askAs runs: it asks "NETWORK ADDRESS" and prints the answer.
func TestMain(m *testing.M) {
	network, address, ok := strings.Cut(os.Getenv(envAsk), " ")
	if !ok {
		os.Exit(m.Run())
	}
	c, err := net.Dial(network, address)
	if err != nil {
		return
	}
	fmt.Fprintf(c, "GET %s HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n", Path)
	b, _ := io.ReadAll(c) // who is not let in may be reset
	os.Stdout.Write(b)
}

func askAs(t *testing.T, uid uint32, where string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
	cmd.Env = append(os.Environ(), envAsk+"="+where)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// TestOtherUsers: by what the kernel says of whose the connection is, also where a socket's mode
// would let him in.
func TestOtherUsers(t *testing.T) {
	testenv.Require(t, os.Getuid() == 0, "it runs a process of another user's, which takes root")
	tcp := listen(t, "127.0.0.1:0")
	serveOn(t, tcp, some)
	dir := t.TempDir()
	for _, d := range []string{dir, dir + "/.."} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	serveOn(t, listen(t, "unix:"+dir+"/m"), some)
	if err := os.Chmod(dir+"/m", 0o666); err != nil {
		t.Fatal(err)
	}
	const root, another = 0, 4711
	for _, where := range []string{"tcp " + tcp.Addr().String(), "unix " + dir + "/m"} {
		if got := askAs(t, root, where); !strings.HasPrefix(got, "HTTP/1.0 200 OK") {
			t.Errorf("%s: root gets %q", where, got)
		}
		if got := askAs(t, another, where); got != "" {
			t.Errorf("%s: another user gets %q", where, got)
		}
	}
}

package control_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

const envConnect = "NIXNFSD_TEST_CONNECT"

// TestMain is also the program that connectAs runs.
func TestMain(m *testing.M) {
	if socket := os.Getenv(envConnect); socket != "" {
		connect(socket)
		return
	}
	os.Exit(m.Run())
}

// connect says "" when it was answered, else what the connection ended with.
func connect(socket string) {
	c, err := net.Dial("unix", socket)
	if err == nil {
		fmt.Fprint(c, "GET /v1/greet HTTP/1.1\r\nHost: control\r\n\r\n")
		var b [8]byte
		if _, err = io.ReadFull(c, b[:]); err == nil {
			return
		}
	}
	if strings.Contains(err.Error(), "reset") { // hung up on before it had read
		err = io.EOF
	}
	fmt.Print(err)
}

func connectAs(t *testing.T, uid int, socket string) string {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), envConnect+"="+socket)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

package hostile

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/gob"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/nixnfsd/nixnfsd/integration/uml"
	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
)

// The users.
const (
	ownerUID    = 1000
	attackerUID = 1001
)

// envOrder has the test binary carry out an order as another user; it is gob in base64, for
// handles are no text.
const envOrder = "NIXNFSD_HOSTILE_ORDER"

// order is what a process of another user is to do, and all that an attacker can know: the
// addresses, the paths, and handles that it is supposed to have sniffed.
type order struct {
	Do        string // the name of an attack, or work
	Addr      string
	Dir       string // the owner's, with the directories of the server in it
	PID       int    // of the server
	Root      nfsclient.FH
	Sub, File nfsclient.FH
}

func (o *order) upper() string { return filepath.Join(o.Dir, "home", "upper") }
func (o *order) state() string { return filepath.Join(o.Dir, "state") }

// programs are the nixnfsd under test and this test, where every user can run them.
type programs struct{ dir string }

func (p programs) server() string { return filepath.Join(p.dir, "nixnfsd") }
func (p programs) test() string   { return filepath.Join(p.dir, "hostile.test") }

func TestMain(m *testing.M) {
	flag.Parse()
	if text := os.Getenv(envOrder); text != "" {
		os.Exit(obey(text))
	}
	os.Exit(m.Run())
}

// obey carries out an order. What it prints are an attack's successes.
func obey(text string) int {
	var o order
	raw := base64.NewDecoder(base64.StdEncoding, strings.NewReader(text))
	if err := gob.NewDecoder(raw).Decode(&o); err != nil {
		fmt.Println(err)
		return 1
	}
	do := attacks()[o.Do]
	if o.Do == orderWork {
		do = work
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	do(ctx, &o)
	return 0
}

// build makes the programs. They are removed after the test.
func build(t *testing.T) programs {
	t.Helper()
	dir, err := os.MkdirTemp("", "nixnfsd-hostile")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o755))
	p := programs{dir}
	must(t, uml.GoBuild(t.Context(), p.server(), "github.com/nixnfsd/nixnfsd/cmd/nixnfsd"))
	self, err := os.ReadFile("/proc/self/exe")
	must(t, err)
	must(t, os.WriteFile(p.test(), self, 0o755))
	return p
}

// as is a command that a user runs.
func as(ctx context.Context, uid uint32, path string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, path, args...)
	c.Dir = "/"
	c.Env = []string{"PATH=/usr/bin:/bin", "HOME=/nonexistent"}
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	return c
}

// ordered is a process of uid that carries out an order.
func (p programs) ordered(ctx context.Context, uid uint32, o order) *exec.Cmd {
	c := as(ctx, uid, p.test())
	var b bytes.Buffer
	_ = gob.NewEncoder(&b).Encode(o) // strings and numbers
	// The race detector sleeps a second before a process ends.
	c.Env = append(c.Env, "GORACE=atexit_sleep_ms=0", envOrder+"="+base64.StdEncoding.EncodeToString(b.Bytes()))
	return c
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

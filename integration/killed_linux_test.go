package integration

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nixnfsd/nixnfsd/integration/testserver"
	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
	"github.com/nixnfsd/nixnfsd/internal/oncrpc"
	"github.com/nixnfsd/nixnfsd/internal/xdr"
	"github.com/nixnfsd/nixnfsd/nfs"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// envMortal has the test binary serve a directory until it is killed: by itself, at a
// moment that a test wants.
const envMortal = "NIXNFSD_TEST_MORTAL"

// serveMortal serves until it is killed: an upper with a state directory beside it, and a
// lower if there is one. It dies before or after the operation that moment names. It prints
// its address.
func serveMortal(dir, moment string) error {
	lowers, err := filepath.Glob(filepath.Join(dir, "lower"))
	if err != nil {
		return err
	}
	o, err := overlay.Open(overlay.Options{Lowers: lowers, Upper: filepath.Join(dir, "upper"), State: filepath.Join(dir, "state")})
	if err != nil {
		return err
	}
	key, err := nfs.LoadKey(filepath.Join(dir, "state"))
	if err != nil {
		return err
	}
	replies, err := nfs.OpenReplies(filepath.Join(dir, "state"), key)
	if err != nil {
		return err
	}
	server, err := testserver.Serve(nfs.Options{FS: mortalFS{o, moment}, Key: key, Replies: replies})
	if err != nil {
		return err
	}
	fmt.Println(server.Addr)
	select {}
}

// mortalFS kills its own process at a moment of an operation.
type mortalFS struct {
	*overlay.FS
	moment string
}

func (m mortalFS) around(op string, do func() error) error {
	m.die("before " + op)
	err := do()
	m.die("after " + op)
	return err
}

func (m mortalFS) die(at string) {
	if at == m.moment {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // it may take a moment
	}
}

func (m mortalFS) Setattr(c overlay.Caller, id overlay.ID, s *overlay.SetAttr, w *overlay.Change) error {
	return m.around("SETATTR", func() error { return m.FS.Setattr(c, id, s, w) })
}

func (m mortalFS) Create(c overlay.Caller, dir overlay.ID, name []byte, how *overlay.CreateHow, child *overlay.Attr, w *overlay.Change) error {
	return m.around("CREATE", func() error { return m.FS.Create(c, dir, name, how, child, w) })
}

func (m mortalFS) Mkdir(c overlay.Caller, dir overlay.ID, name []byte, s *overlay.SetAttr, child *overlay.Attr, w *overlay.Change) error {
	return m.around("MKDIR", func() error { return m.FS.Mkdir(c, dir, name, s, child, w) })
}

func (m mortalFS) Symlink(c overlay.Caller, dir overlay.ID, name, target []byte, s *overlay.SetAttr, child *overlay.Attr, w *overlay.Change) error {
	return m.around("SYMLINK", func() error { return m.FS.Symlink(c, dir, name, target, s, child, w) })
}

func (m mortalFS) Mknod(c overlay.Caller, dir overlay.ID, name []byte, typ, major, minor uint32, s *overlay.SetAttr, child *overlay.Attr, w *overlay.Change) error {
	return m.around("MKNOD", func() error { return m.FS.Mknod(c, dir, name, typ, major, minor, s, child, w) })
}

func (m mortalFS) Remove(c overlay.Caller, dir overlay.ID, name []byte, w *overlay.Change) error {
	return m.around("REMOVE", func() error { return m.FS.Remove(c, dir, name, w) })
}

func (m mortalFS) Rmdir(c overlay.Caller, dir overlay.ID, name []byte, w *overlay.Change) error {
	return m.around("RMDIR", func() error { return m.FS.Rmdir(c, dir, name, w) })
}

func (m mortalFS) Rename(c overlay.Caller, from overlay.ID, fromName []byte, to overlay.ID, toName []byte, wfrom, wto *overlay.Change) error {
	return m.around("RENAME", func() error { return m.FS.Rename(c, from, fromName, to, toName, wfrom, wto) })
}

func (m mortalFS) Link(c overlay.Caller, id, dir overlay.ID, name []byte, a *overlay.Attr, w *overlay.Change) (has bool, err error) {
	err = m.around("LINK", func() error {
		has, err = m.FS.Link(c, id, dir, name, a, w)
		return err
	})
	return has, err
}

// mortal is a server that can die, and a client that sends it bytes.
type mortal struct {
	t    *testing.T
	dir  string
	addr string
	cmd  *exec.Cmd
}

func (m *mortal) start(moment string) {
	m.t.Helper()
	m.cmd = exec.CommandContext(m.t.Context(), os.Args[0])
	m.cmd.Env = append(os.Environ(), envMortal+"="+m.dir+string(filepath.ListSeparator)+moment)
	m.cmd.Stderr = m.t.Output()
	stdout, err := m.cmd.StdoutPipe()
	must(m.t, err)
	must(m.t, m.cmd.Start())
	addr, err := bufio.NewReader(stdout).ReadString('\n')
	must(m.t, err)
	m.addr = strings.TrimSpace(addr)
}

func (m *mortal) kill() {
	_ = m.cmd.Process.Kill()
	_ = m.cmd.Wait() // it says that it was killed
}

// statusIn is the status in the reply to an accepted call.
func statusIn(t *testing.T, reply []byte) nfsclient.Status {
	t.Helper()
	d := &xdr.Decoder{B: reply}
	r, err := oncrpc.DecodeReply(d)
	if err != nil || !r.Accepted || r.Accept != oncrpc.Success {
		t.Fatalf("got %+v, %v", r, err)
	}
	return nfsclient.Status(d.Uint32())
}

// handles are those of the root and of "file" in it.
func (m *mortal) handles() (root, file nfsclient.FH) {
	m.t.Helper()
	c, err := nfsclient.Dial(m.t.Context(), m.addr, nfsclient.Options{Cred: nfsclient.Self()})
	must(m.t, err)
	defer c.Close()
	mnt, err := c.Mnt(m.t.Context(), "/nix")
	must(m.t, err)
	r, err := c.Lookup(m.t.Context(), mnt.FH, "file")
	must(m.t, err)
	return mnt.FH, r.FH
}

// killedCase is a call during which the server is killed, in a directory with a
// file, a dir, and another-file and another-dir. When it is sent again its status is
// want, and names are those in the directory then.
type killedCase struct {
	op, what string
	args     func(root, file nfsclient.FH) nfsclient.Args
	want     nfsclient.Status
	names    string
}

var killedCases = []killedCase{
	{"CREATE", "guarded", func(root, _ nfsclient.FH) nfsclient.Args {
		return &nfsclient.CreateArgs{Dir: root, Name: "new", Mode: nfsclient.Guarded}
	}, nfsclient.OK, "another-dir another-file dir file new"},
	{"CREATE", "exclusive", func(root, _ nfsclient.FH) nfsclient.Args {
		return &nfsclient.CreateArgs{Dir: root, Name: "new", Mode: nfsclient.Exclusive, Verf: nfsclient.Verf{1}}
	}, nfsclient.OK, "another-dir another-file dir file new"},
	{"CREATE", "guarded, is there", func(root, _ nfsclient.FH) nfsclient.Args {
		return &nfsclient.CreateArgs{Dir: root, Name: "file", Mode: nfsclient.Guarded}
	}, nfsclient.ErrExist, "another-dir another-file dir file"},
	{"MKDIR", "", func(root, _ nfsclient.FH) nfsclient.Args {
		return &nfsclient.MkdirArgs{Dir: root, Name: "new"}
	}, nfsclient.OK, "another-dir another-file dir file new"},
	{"MKDIR", "is there", func(root, _ nfsclient.FH) nfsclient.Args {
		return &nfsclient.MkdirArgs{Dir: root, Name: "dir"}
	}, nfsclient.ErrExist, "another-dir another-file dir file"},
	{"SYMLINK", "", func(root, _ nfsclient.FH) nfsclient.Args {
		return &nfsclient.SymlinkArgs{Dir: root, Name: "new", Target: "target"}
	}, nfsclient.OK, "another-dir another-file dir file new"},
	{"MKNOD", "", func(root, _ nfsclient.FH) nfsclient.Args {
		return &nfsclient.MknodArgs{Dir: root, Name: "new", Type: nfsclient.FIFO}
	}, nfsclient.OK, "another-dir another-file dir file new"},
	{"REMOVE", "", func(root, _ nfsclient.FH) nfsclient.Args { return remove(nfsclient.ProcRemove, root, "file") }, nfsclient.OK, "another-dir another-file dir"},
	{"REMOVE", "is not there", func(root, _ nfsclient.FH) nfsclient.Args { return remove(nfsclient.ProcRemove, root, "none") }, nfsclient.ErrNoEnt, "another-dir another-file dir file"},
	{"RMDIR", "", func(root, _ nfsclient.FH) nfsclient.Args { return remove(nfsclient.ProcRmdir, root, "dir") }, nfsclient.OK, "another-dir another-file file"},
	{"RMDIR", "is not there", func(root, _ nfsclient.FH) nfsclient.Args { return remove(nfsclient.ProcRmdir, root, "none") }, nfsclient.ErrNoEnt, "another-dir another-file dir file"},
	{"RENAME", "", func(root, _ nfsclient.FH) nfsclient.Args { return rename(root, "file", "new") }, nfsclient.OK, "another-dir another-file dir new"},
	{"RENAME", "over a file", func(root, _ nfsclient.FH) nfsclient.Args { return rename(root, "file", "another-file") }, nfsclient.OK, "another-dir another-file dir"},
	{"RENAME", "over a directory", func(root, _ nfsclient.FH) nfsclient.Args { return rename(root, "dir", "another-dir") }, nfsclient.OK, "another-dir another-file file"},
	{"RENAME", "is not there", func(root, _ nfsclient.FH) nfsclient.Args { return rename(root, "none", "file") }, nfsclient.ErrNoEnt, "another-dir another-file dir file"},
	{"LINK", "", func(root, file nfsclient.FH) nfsclient.Args {
		return &nfsclient.LinkArgs{FH: file, Dir: root, Name: "new"}
	}, nfsclient.OK, "another-dir another-file dir file new"},
	{"LINK", "is there", func(root, file nfsclient.FH) nfsclient.Args {
		return &nfsclient.LinkArgs{FH: file, Dir: root, Name: "another-file"}
	}, nfsclient.ErrExist, "another-dir another-file dir file"},
	{"SETATTR", "", func(_, file nfsclient.FH) nfsclient.Args {
		return &nfsclient.SetattrArgs{FH: file, Attr: nfsclient.SetAttr{Mode: new(uint32(0o600))}}
	}, nfsclient.OK, "another-dir another-file dir file"},
}

func remove(proc uint32, dir nfsclient.FH, name string) nfsclient.Args {
	return &nfsclient.NameArgs{P: nfsclient.NFSProc(proc), Dir: dir, Name: name}
}

func rename(dir nfsclient.FH, from, to string) nfsclient.Args {
	return &nfsclient.RenameArgs{FromDir: dir, FromName: from, ToDir: dir, ToName: to}
}

// TestKilledWithinACall: the server is killed before or after what a call does, before it
// has a reply. Sent again to the next server, the call comes out as if it had run once; and
// sent once more, after another kill, it gets that reply again.
func TestKilledWithinACall(t *testing.T) {
	for _, tt := range killedCases {
		for _, when := range []string{"before ", "after "} {
			t.Run(when+tt.op+" "+tt.what, func(t *testing.T) { testKilled(t, &tt, when+tt.op) })
		}
	}
}

func testKilled(t *testing.T, tt *killedCase, moment string) {
	m := &mortal{t: t, dir: scene(t)}
	m.start(moment)
	root, file := m.handles()
	cred := nfsclient.Self()
	cred.Named = true // as Linux's client has it
	msg := nfsclient.Message(4711, cred, tt.args(root, file))
	if reply := testserver.Exchange(t, m.addr, msg); reply != nil {
		t.Fatalf("got the reply % x, want that the server dies", reply)
	}
	_ = m.cmd.Wait()
	m.start("")
	reply := testserver.Exchange(t, m.addr, msg)
	if got := statusIn(t, reply); got != tt.want {
		t.Errorf("got %v, want %v", got, tt.want)
	}
	m.kill()
	m.start("")
	defer m.kill()
	if again := testserver.Exchange(t, m.addr, msg); !bytes.Equal(again, reply) {
		t.Errorf("got % x, want % x again", again, reply)
	}
	if got := names(t, filepath.Join(m.dir, "upper")); got != tt.names {
		t.Errorf("got the names %s, want %s", got, tt.names)
	}
}

// scene makes an upper whose objects are so old that no file system's clock takes them for
// made by the calls that follow.
func scene(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	upper := filepath.Join(dir, "upper")
	for _, name := range []string{"dir", "another-dir"} {
		must(t, os.MkdirAll(filepath.Join(upper, name), 0o755))
	}
	for _, name := range []string{"file", "another-file"} {
		must(t, os.WriteFile(filepath.Join(upper, name), []byte(name), 0o644))
	}
	must(t, os.Mkdir(filepath.Join(dir, "state"), 0o700))
	info, err := os.Stat(upper)
	must(t, err)
	const old = 250 * time.Millisecond
	for time.Since(info.ModTime()) < old {
		time.Sleep(time.Millisecond)
	}
	return dir
}

func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	var s []string
	for _, e := range entries {
		s = append(s, e.Name())
	}
	return strings.Join(s, " ")
}

package hostile

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
	"github.com/nixnfsd/nixnfsd/internal/oncrpc"
	"github.com/nixnfsd/nixnfsd/internal/xdr"
)

// attack is what a process of the attacker's does. It prints what it could do.
type attack func(ctx context.Context, o *order)

// attacks are by the names of their tests.
func attacks() map[string]attack {
	return map[string]attack{
		"Forge": forge, "Namespace": namespace, "Haste": haste, "Malformed": malformed,
		"Control": controlSocket, "Files": files, "Process": process, "Port": port, "Flood": flood,
		orderSquat: squat,
	}
}

// orderSquat is the attack that takes the place of the server.
const orderSquat = "Squat"

func could(format string, args ...any) { fmt.Printf(format+"\n", args...) }

// forged are the users that an attacker says to be.
var forged = []uint32{ownerUID, 0, attackerUID}

// calls are what an attacker asks for with sniffed handles, by every procedure: to read, and
// to change.
func calls(o *order) []nfsclient.Args {
	mode := nfsclient.SetAttr{Mode: new(uint32(0o777))}
	on := func(fh nfsclient.FH, num uint32) nfsclient.Args {
		return &nfsclient.HandleArgs{P: nfsclient.NFSProc(num), FH: fh}
	}
	named := func(dir nfsclient.FH, num uint32, name string) nfsclient.Args {
		return &nfsclient.NameArgs{P: nfsclient.NFSProc(num), Dir: dir, Name: name}
	}
	mount := func(num uint32) nfsclient.Proc { return nfsclient.MountProc(num) }
	return []nfsclient.Args{
		&nfsclient.VoidArgs{P: nfsclient.NFSProc(nfsclient.ProcNull)},
		on(o.Root, nfsclient.ProcGetattr),
		&nfsclient.SetattrArgs{FH: o.File, Attr: mode},
		named(o.Sub, nfsclient.ProcLookup, "file"),
		&nfsclient.AccessArgs{FH: o.File, Access: 63},
		on(o.File, nfsclient.ProcReadlink),
		&nfsclient.ReadArgs{FH: o.File, Count: 1000},
		&nfsclient.WriteArgs{FH: o.File, Count: 4, Data: []byte("evil")},
		&nfsclient.CreateArgs{Dir: o.Root, Name: "evil", Attr: mode},
		&nfsclient.MkdirArgs{Dir: o.Root, Name: "evil", Attr: mode},
		&nfsclient.SymlinkArgs{Dir: o.Root, Name: "evil", Attr: mode, Target: "/"},
		&nfsclient.MknodArgs{Dir: o.Root, Name: "evil", Type: nfsclient.FIFO, Attr: mode},
		named(o.Sub, nfsclient.ProcRemove, "file"),
		named(o.Root, nfsclient.ProcRmdir, "sub"),
		&nfsclient.RenameArgs{FromDir: o.Root, FromName: "sub", ToDir: o.Root, ToName: "evil"},
		&nfsclient.LinkArgs{FH: o.File, Dir: o.Root, Name: "evil"},
		&nfsclient.ReaddirArgs{Dir: o.Root, Count: 4096},
		&nfsclient.ReaddirplusArgs{Dir: o.Root, Dircount: 4096, Maxcount: 4096},
		on(o.Root, nfsclient.ProcFsstat),
		on(o.Root, nfsclient.ProcFsinfo),
		on(o.Root, nfsclient.ProcPathconf),
		&nfsclient.CommitArgs{FH: o.File},
		&nfsclient.VoidArgs{P: mount(nfsclient.ProcMountNull)},
		&nfsclient.PathArgs{P: mount(nfsclient.ProcMnt), Path: "/nix"},
		&nfsclient.VoidArgs{P: mount(nfsclient.ProcDump)},
		&nfsclient.PathArgs{P: mount(nfsclient.ProcUmnt), Path: "/nix"},
		&nfsclient.VoidArgs{P: mount(nfsclient.ProcUmntall)},
		&nfsclient.VoidArgs{P: mount(nfsclient.ProcExport)},
	}
}

// record is a call as it goes over the wire.
func record(uid uint32, args nfsclient.Args) []byte {
	return oncrpc.AppendRecord(nil, nfsclient.Message(1, nfsclient.AuthSys(uid, uid), args))
}

// allCalls is every call of calls, as every user.
func allCalls(o *order) (b []byte) {
	for _, uid := range forged {
		for _, args := range calls(o) {
			b = append(b, record(uid, args)...)
		}
	}
	return b
}

func dial(ctx context.Context, o *order) (*net.TCPConn, error) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", o.Addr)
	if err != nil {
		return nil, err
	}
	return c.(*net.TCPConn), c.SetDeadline(time.Now().Add(patience))
}

// heard reads all that the server says, until it hangs up.
func heard(what string, c net.Conn) {
	b, err := io.ReadAll(c)
	if len(b) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		could("%s: get %d bytes, %v: % x", what, len(b), err, b[:min(len(b), 200)])
	}
}

// say sends something on a connection of its own, and hears that the server hangs up.
func say(ctx context.Context, o *order, what string, b []byte) {
	c, err := dial(ctx, o)
	if err != nil {
		could("not even connect: %v", err)
		return
	}
	defer c.Close()
	_, _ = c.Write(b) // fails when the server was faster
	heard(what, c)
}

// forge says to be others, with handles that it has sniffed: not a byte comes back.
func forge(ctx context.Context, o *order) {
	for _, uid := range forged {
		for _, args := range calls(o) {
			say(ctx, o, fmt.Sprintf("%v as uid %d", args.Proc(), uid), record(uid, args))
		}
	}
}

// namespace is root in a user namespace of its own, and forges from there.
func namespace(ctx context.Context, o *order) {
	inner := *o
	inner.Do = "Forge"
	c := programs{filepath.Dir(os.Args[0])}.ordered(ctx, 0, inner)
	c.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: attackerUID, Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: attackerUID, Size: 1}},
	}
	out, err := c.CombinedOutput()
	if len(out) > 0 || err != nil && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, syscall.ENOSPC) {
		could("%v: %s", err, out) // the errors that may be say that there are no such namespaces
	}
}

// haste sends its calls and is gone before anybody looks: closed sockets look like
// root's in the system's tables.
func haste(ctx context.Context, o *order) {
	const times = 300
	b := allCalls(o)
	for i := range times {
		c, err := dial(ctx, o)
		if err != nil {
			could("not even connect: %v", err)
			return
		}
		_, _ = c.Write(b)
		switch i % 3 {
		case 0:
			_ = c.SetLinger(0) // a reset
		case 1:
			_ = c.CloseWrite()
		}
		c.Close()
	}
}

// malformed says what no client says: each call cut off at each of its words, and with another
// in the place of each. (What a server makes of such calls that it does read is tested in
// package nfs, whose bounds are listed in limits_test.go.)
func malformed(ctx context.Context, o *order) {
	for _, args := range calls(o) {
		good := record(0, args)
		for at := 0; at < len(good); at += 4 {
			what := fmt.Sprintf("%v, cut or changed at %d", args.Proc(), at)
			say(ctx, o, what, good[:at])
			for _, word := range []uint32{0, 1<<31 - 1} {
				b := bytes.Clone(good)
				binary.BigEndian.PutUint32(b[at:], word)
				say(ctx, o, what, b)
			}
		}
	}
}

// controlSocket gives the server orders, one to become another program among them. The directory
// that it is in has been opened to all.
func controlSocket(ctx context.Context, o *order) {
	for _, order := range []string{
		"GET /v1/layers HTTP/1.1\r\nHost: control\r\n\r\n",
		"POST /v1/restart HTTP/1.1\r\nHost: control\r\nContent-Length: 23\r\n\r\n" + `{"program":"/bin/true"}`,
	} {
		c, err := new(net.Dialer).DialContext(ctx, "unix", filepath.Join(o.state(), "control"))
		if err != nil {
			could("not even connect: %v", err)
			return
		}
		_, _ = io.WriteString(c, order)
		heard("the control socket", c)
		c.Close()
	}
}

// files opens what is the server's.
func files(_ context.Context, o *order) {
	for _, name := range []string{
		filepath.Join(o.state(), "key"), filepath.Join(o.state(), "places"), o.state(), o.upper(),
		filepath.Join(o.upper(), "sub", "file"), filepath.Join(o.Dir, "home", "work"),
	} {
		if f, err := os.Open(name); !errors.Is(err, fs.ErrPermission) {
			could("open %s: %v", name, err)
			f.Close()
		}
	}
	for _, name := range []string{filepath.Join(o.state(), "evil"), filepath.Join(o.Dir, "evil")} {
		if err := os.WriteFile(name, nil, 0o600); !errors.Is(err, fs.ErrPermission) {
			could("make %s: %v", name, err)
		}
	}
	if _, err := net.Dial("unix", filepath.Join(o.state(), "control")); !errors.Is(err, fs.ErrPermission) {
		could("connect to the control socket: %v", err)
	}
}

// process goes for the server's process.
func process(_ context.Context, o *order) {
	for _, name := range []string{"mem", "environ", "fd/3", "root"} {
		if f, err := os.Open(fmt.Sprintf("/proc/%d/%s", o.PID, name)); !errors.Is(err, fs.ErrPermission) {
			could("open %s of the process: %v", name, err)
			f.Close()
		}
	}
	if err := unix.Kill(o.PID, unix.SIGTERM); !errors.Is(err, unix.EPERM) {
		could("send it a signal: %v", err)
	}
	if err := unix.PtraceAttach(o.PID); !errors.Is(err, unix.EPERM) {
		could("trace it: %v", err)
	}
	if fd, err := unix.PidfdOpen(o.PID, 0); err == nil {
		if _, err := unix.PidfdGetfd(fd, 3, 0); !errors.Is(err, unix.EPERM) {
			could("take a descriptor of it: %v", err)
		}
	}
}

// port tries to get the server's clients, by listening where it does.
func port(ctx context.Context, o *order) {
	_, number, _ := net.SplitHostPort(o.Addr)
	for _, addr := range []string{o.Addr, "0.0.0.0:" + number, "[::]:" + number} {
		for _, option := range []int{0, unix.SO_REUSEADDR, unix.SO_REUSEPORT} {
			l, err := (&net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) (err error) {
				cerr := raw.Control(func(fd uintptr) {
					if option != 0 {
						err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, option, 1)
					}
				})
				return errors.Join(err, cerr)
			}}).Listen(ctx, "tcp", addr)
			if err == nil {
				could("listen on %s with option %d", addr, option)
				l.Close()
			}
		}
	}
}

// flood holds as many connections as it can, and goes on connecting. The server hangs up on each.
func flood(ctx context.Context, o *order) {
	const held, times = 2000, 2
	for range times {
		var conns []net.Conn
		for range held {
			c, err := dial(ctx, o)
			if err != nil {
				could("hold only %d connections: %v", len(conns), err)
				return
			}
			conns = append(conns, c)
		}
		for _, c := range conns {
			heard("a held connection", c)
			c.Close()
		}
	}
}

// squat listens before the server does, says where, and answers what is asked before a
// mount. It ends with its standard input.
func squat(ctx context.Context, o *order) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", o.Addr)
	if err != nil {
		could("%v", err)
		return
	}
	fmt.Println(l.Addr())
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go answerAll(c)
		}
	}()
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// answerAll says yes to NULL, MNT and FSINFO.
func answerAll(c net.Conn) {
	defer c.Close()
	const most = 1 << 16
	for {
		rec, err := oncrpc.ReadRecord(c, nil, most)
		var call oncrpc.Call
		if err != nil || !oncrpc.DecodeCall(&xdr.Decoder{B: rec}, &call) {
			return
		}
		var e xdr.Encoder
		mark := oncrpc.BeginRecord(&e)
		oncrpc.AppendAccepted(&e, call.XID, oncrpc.Success)
		switch (nfsclient.Proc{Prog: call.Prog, Vers: call.Vers, Num: call.Proc}) {
		case nfsclient.MountProc(nfsclient.ProcMnt):
			e.Uint32(0)
			e.String("handle")
			e.Uint32(0) // flavors
		case nfsclient.NFSProc(nfsclient.ProcFsinfo):
			const resok = 7*4 + 8 + 8 + 4 // of FSINFO3resok, behind the attributes
			e.Uint32(0)
			e.Bool(false)
			e.Fixed(make([]byte, resok))
		}
		oncrpc.EndRecord(&e, mark)
		if _, err := c.Write(e.B); err != nil {
			return
		}
	}
}

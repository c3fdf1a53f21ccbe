package nfs

import (
	"os"
	"testing"
	"time"

	"github.com/nixnfsd/nixnfsd/internal/oncrpc"
	"github.com/nixnfsd/nixnfsd/overlay"
)

func openOverlay(t *testing.T) *overlay.FS {
	t.Helper()
	o, err := overlay.Open(overlay.Options{Upper: t.TempDir(), Work: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.Close() })
	return o
}

// unanswered has calls begin in a server that is gone then, whose clock is ahead of the file
// system's, and gives a connection of the next server.
func unanswered(t *testing.T, o *overlay.FS, ahead time.Duration, calls ...[]byte) *conn {
	t.Helper()
	dir := t.TempDir()
	options := Options{FS: o, Key: testKey, Owner: uint32(os.Getuid())}
	options.Replies = openReplies(t, dir, testKey)
	c := newTestConn(t, New(options))
	c.date = time.Now().Add(ahead).UnixNano()
	for _, msg := range calls {
		if !c.q.begin(msg) || !c.q.route() || c.replayed(msg) {
			t.Fatal("not begun")
		}
	}
	options.Replies = openReplies(t, dir, testKey)
	return newTestConn(t, New(options))
}

// TestAnotherDidItBefore: what a call that got its reply had made is not taken for the work
// of one that began right after it, and got none.
func TestAnotherDidItBefore(t *testing.T) {
	o := openOverlay(t)
	cred := oncrpc.Cred{Flavor: oncrpc.AuthSys, UID: uint32(os.Getuid())}
	mkdir := func(xid, mode uint32) []byte {
		return nfsCall(xid, procMkdir, &cred, on(o.Root()).str("name").u32(1, mode, 0, 0, 0, 0, 0))
	}
	dir := t.TempDir()
	options := Options{FS: o, Key: testKey, Owner: cred.UID, Replies: openReplies(t, dir, testKey)}
	c := newTestConn(t, New(options))
	if st, _ := replyStatus(inlineAs(t, c, mkdir(1, 0o755))); st != statusOK {
		t.Fatal(st)
	}
	if msg := mkdir(2, 0o755); !c.q.begin(msg) || !c.q.route() || c.replayed(msg) {
		t.Fatal("not begun")
	}
	options.Replies = openReplies(t, dir, testKey)
	c = newTestConn(t, New(options))
	if st, _ := replyStatus(inlineAs(t, c, mkdir(2, 0o755))); st != statusExist {
		t.Errorf("got %v, want EXIST", st)
	}
}

// TestOnlyOneDidIt: of two calls for the same that were begun when the server was killed,
// one gets the success: that which is sent again first.
func TestOnlyOneDidIt(t *testing.T) {
	o := openOverlay(t)
	cred := oncrpc.Cred{Flavor: oncrpc.AuthSys, UID: uint32(os.Getuid())}
	caller := overlay.Caller{UID: cred.UID, MayBlock: true}
	var a overlay.Attr
	var w overlay.Change
	make := func() error { return o.Mkdir(caller, o.Root(), []byte("name"), &overlay.SetAttr{}, &a, &w) }
	remove := func() error { return o.Rmdir(caller, o.Root(), []byte("name"), &w) }
	call := func(xid, proc uint32, a *args) []byte { return nfsCall(xid, proc, &cred, a) }
	mkdir := func(mode uint32) *args { return on(o.Root()).str("name").u32(1, mode, 0, 0, 0, 0, 0) }
	for _, tt := range []struct {
		name   string
		do     func() error // what one of the calls did
		a, b   []byte
		second status
	}{
		{"MKDIR", make, call(1, procMkdir, mkdir(0o755)), call(2, procMkdir, mkdir(0o755)), statusExist},
		{"RMDIR", remove, call(3, procRmdir, on(o.Root()).str("name")), call(4, procRmdir, on(o.Root()).str("name")), statusNoEnt},
		{"MKDIR, another mode", make, call(5, procMkdir, mkdir(0o755)), call(6, procMkdir, mkdir(0o700)), statusExist},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := unanswered(t, o, 0, tt.a, tt.b)
			if err := tt.do(); err != nil {
				t.Fatal(err)
			}
			for _, call := range []struct {
				msg  []byte
				want status
			}{{tt.a, statusOK}, {tt.b, tt.second}, {tt.a, statusOK}, {tt.b, tt.second}} {
				if st, _ := replyStatus(inlineAs(t, c, call.msg)); st != call.want {
					t.Errorf("got %v, want %v", st, call.want)
				}
			}
		})
	}
}

// TestLateStamps: however far the file system's clock is behind the server's, and was a
// moment ago, what a call did is known for its own.
func TestLateStamps(t *testing.T) {
	o := openOverlay(t)
	cred := oncrpc.Cred{Flavor: oncrpc.AuthSys, UID: uint32(os.Getuid())}
	caller := overlay.Caller{UID: cred.UID, MayBlock: true}
	var a overlay.Attr
	var w, w2 overlay.Change
	for i, tt := range []struct {
		name string
		do   func() error
		call uint32
		args *args
	}{
		{"MKDIR", func() error { return o.Mkdir(caller, o.Root(), []byte("a"), &overlay.SetAttr{}, &a, &w) }, procMkdir, on(o.Root()).str("a").sattr()},
		{"RENAME", func() error { return o.Rename(caller, o.Root(), []byte("a"), o.Root(), []byte("b"), &w, &w2) }, procRename, on(o.Root()).str("a").handle(o.Root()).str("b")},
		{"RMDIR", func() error { return o.Rmdir(caller, o.Root(), []byte("b"), &w) }, procRmdir, on(o.Root()).str("b")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			msg := nfsCall(uint32(i), tt.call, &cred, tt.args)
			c := unanswered(t, o, time.Hour, msg)
			if err := tt.do(); err != nil {
				t.Fatal(err)
			}
			if st, _ := replyStatus(inlineAs(t, c, msg)); st != statusOK {
				t.Errorf("got %v", st)
			}
		})
	}
}

// unstamped is a file system that does not change the ctime of what is renamed.
type unstamped struct{ *overlay.FS }

func (u unstamped) Lookup(c overlay.Caller, dir overlay.ID, name []byte, a, d *overlay.Attr) (bool, error) {
	has, err := u.FS.Lookup(c, dir, name, a, d)
	a.Ctime = overlay.Time{Sec: 1}
	return has, err
}

// TestRenameNeedsNoStamp: a rename is known by its directories.
func TestRenameNeedsNoStamp(t *testing.T) {
	o := openOverlay(t)
	cred := oncrpc.Cred{Flavor: oncrpc.AuthSys, UID: uint32(os.Getuid())}
	caller := overlay.Caller{UID: cred.UID, MayBlock: true}
	var a overlay.Attr
	var w, w2 overlay.Change
	if err := o.Mkdir(caller, o.Root(), []byte("a"), &overlay.SetAttr{}, &a, &w); err != nil {
		t.Fatal(err)
	}
	msg := nfsCall(1, procRename, &cred, on(o.Root()).str("a").handle(o.Root()).str("b"))
	c := unanswered(t, o, 0, msg)
	c.srv.fs = unstamped{o}
	if err := o.Rename(caller, o.Root(), []byte("a"), o.Root(), []byte("b"), &w, &w2); err != nil {
		t.Fatal(err)
	}
	if st, _ := replyStatus(inlineAs(t, c, msg)); st != statusOK {
		t.Errorf("got %v", st)
	}
}

package nfs

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
	"github.com/nixnfsd/nixnfsd/internal/testenv"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// takenUp has a call begin that began in a server that is gone, and gives what it needs.
func takenUp(t *testing.T, id identity) (*conn, *entry) {
	t.Helper()
	dir := t.TempDir()
	options := Options{FS: newFakeFS(), Key: testKey, Owner: 1000, Replies: openReplies(t, dir, testKey)}
	options.Replies.begin(&id, newTestConn(t, New(options)), nil)
	options.Replies = openReplies(t, dir, testKey)
	c := newTestConn(t, New(options))
	e, v, _ := options.Replies.begin(&id, c, nil)
	if e == nil || v != fresh || !e.doubt {
		t.Fatalf("got %+v, %v, want a call in doubt", e, v)
	}
	return c, e
}

// TestTakenUpCallIsNotForgotten: while a call runs that began in another server, no other gets
// its place, though all in its set are younger.
func TestTakenUpCallIsNotForgotten(t *testing.T) {
	c, e := takenUp(t, identity{whole: 0})
	for i := range uint64(2 * replyWays) {
		other, _, _ := c.srv.replies.begin(&identity{whole: (i + 1) * replySets}, c, nil)
		if other == e {
			t.Fatalf("call %d got the place of one that runs", i)
		}
		if other != nil {
			c.srv.replies.finish(other, nil)
		}
	}
}

// TestAskedAnewIsInNoDoubt: a call whose client was told to ask anew was not carried out, which
// the next server knows.
func TestAskedAnewIsInNoDoubt(t *testing.T) {
	dir := t.TempDir()
	options := Options{FS: newFakeFS(), Key: testKey, Owner: 1000, Replies: openReplies(t, dir, testKey)}
	id := identity{whole: 1}
	e, _, _ := options.Replies.begin(&id, newTestConn(t, New(options)), nil)
	jukebox := make([]byte, replyStatusAt+4)
	binary.BigEndian.PutUint32(jukebox[replyStatusAt:], uint32(statusJukebox))
	options.Replies.finish(e, jukebox)
	options.Replies = openReplies(t, dir, testKey)
	if e, v, _ := options.Replies.begin(&id, newTestConn(t, New(options)), nil); v != fresh || e.doubt {
		t.Errorf("got %v, in doubt: %v", v, e.doubt)
	}
}

// TestLongReplyIsNotKept: a call whose reply has no room is run again, rather than answered
// with the beginning of it.
func TestLongReplyIsNotKept(t *testing.T) {
	for _, tt := range []struct {
		size int
		want verdict
	}{{maxReply, answered}, {maxReply + 1, fresh}} {
		s := newServer(newFakeFS())
		c := newTestConn(t, s)
		id := identity{whole: 1}
		e, _, _ := s.replies.begin(&id, c, nil)
		s.replies.finish(e, make([]byte, tt.size))
		if _, v, b := s.replies.begin(&id, c, nil); v != tt.want || v == answered && len(b) != tt.size {
			t.Errorf("%d bytes: got %v and %d bytes", tt.size, v, len(b))
		}
	}
}

// TestNoRivals: what takes nothing from a call in doubt is the same call, where that was
// answered before it began, and another procedure with the same arguments.
func TestNoRivals(t *testing.T) {
	o := openOverlay(t)
	cred := nfsclient.Self()
	caller := overlay.Caller{UID: cred.UID, MayBlock: true}
	name := on(o.Root()).str("name")
	mkdir := func(xid uint32) []byte {
		return nfsCall(xid, procMkdir, &cred, on(o.Root()).str("name").u32(1, 0o755, 0, 0, 0, 0, 0))
	}
	rmdir := func(xid uint32) []byte { return nfsCall(xid, procRmdir, &cred, name) }
	create := nfsCall(10, procCreate, &cred, on(o.Root()).str("name").u32(1, 1, 0o644, 0, 0, 0, 0, 0))
	remove := nfsCall(11, procRemove, &cred, name)
	for _, tt := range []struct {
		name          string
		before, after [][]byte // its beginning
		msg           []byte
		do            func() error
	}{
		{"the same, before", [][]byte{mkdir(1), rmdir(2)}, nil, mkdir(3), func() error {
			return o.Mkdir(caller, o.Root(), []byte("name"), &overlay.SetAttr{}, new(overlay.Attr), new(overlay.Change))
		}},
		{"another procedure", nil, [][]byte{create, remove}, rmdir(4), func() error {
			return o.Rmdir(caller, o.Root(), []byte("name"), new(overlay.Change))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			options := Options{FS: o, Key: testKey, Owner: cred.UID, Replies: openReplies(t, dir, testKey)}
			c := newTestConn(t, New(options))
			succeed(t, c, tt.before...)
			begin(t, c, tt.msg)
			if err := tt.do(); err != nil {
				t.Fatal(err)
			}
			options.Replies = openReplies(t, dir, testKey)
			c = newTestConn(t, New(options))
			succeed(t, c, tt.after...)
			succeed(t, c, tt.msg)
		})
	}
}

// succeed has calls answered, and well.
func succeed(t *testing.T, c *conn, calls ...[]byte) {
	t.Helper()
	for _, msg := range calls {
		c.hear()
		if st, ok := replyStatus(inlineAs(t, c, msg)); st != statusOK || !ok {
			t.Fatalf("call %d: got %v", c.q.call.XID, st)
		}
	}
}

// begin has a call begin that gets no reply.
func begin(t *testing.T, c *conn, msg []byte) {
	t.Helper()
	c.hear()
	if !c.q.begin(msg) || !c.q.route() || c.replayed(msg) {
		t.Fatal("not begun")
	}
}

// TestSomethingElseIsThere: what cannot be the work of a call in doubt is none of its, though
// it came about since the call began.
func TestSomethingElseIsThere(t *testing.T) {
	o := openOverlay(t)
	cred := nfsclient.Self()
	caller := overlay.Caller{UID: cred.UID, MayBlock: true}
	name := []byte("name")
	var file, made overlay.Attr
	var w overlay.Change
	create := func(name []byte, how overlay.CreateHow, a *overlay.Attr) error {
		return o.Create(caller, o.Root(), name, &how, a, &w)
	}
	if err := create([]byte("file"), overlay.CreateHow{}, &file); err != nil {
		t.Fatal(err)
	}
	makeFile := func() error { return create(name, overlay.CreateHow{}, &made) }
	const sixZeros = 6
	unset := make([]uint32, sixZeros) // a sattr3 that changes nothing
	for _, tt := range []struct {
		name string
		proc uint32
		args *args
		do   func() error
		want status
	}{
		{"MKDIR, a file", procMkdir, on(o.Root()).str("name").u32(unset...), makeFile, statusExist},
		{"CREATE, a directory", procCreate, on(o.Root()).str("name").u32(1).u32(unset...), func() error {
			return o.Mkdir(caller, o.Root(), name, &overlay.SetAttr{}, &made, &w)
		}, statusExist},
		{"CREATE, another verifier", procCreate, on(o.Root()).str("name").u32(2).u64(1), func() error {
			return create(name, overlay.CreateHow{Mode: overlay.Exclusive, Verifier: [8]byte{2}}, &made)
		}, statusExist},
		{"SYMLINK, another target", procSymlink, on(o.Root()).str("name").u32(unset...).str("target"), func() error {
			return o.Symlink(caller, o.Root(), name, []byte("elsewhere"), &overlay.SetAttr{}, &made, &w)
		}, statusExist},
		{"LINK, another object", procLink, on(file.ID).handle(o.Root()).str("name"), makeFile, statusExist},
		{"SETATTR, another mode", procSetattr, on(file.ID).u32(1, 0o600, 0, 0, 0, 0, 0).u32(1, 5, 6), func() error {
			return o.Setattr(caller, file.ID, &overlay.SetAttr{SetMode: true, Mode: 0o640}, &w)
		}, statusNotSync},
		{"SETATTR, another size", procSetattr, on(file.ID).u32(0, 0, 0, 1).u64(7).u32(0, 0).u32(1, 5, 6), func() error {
			return o.Setattr(caller, file.ID, &overlay.SetAttr{SetSize: true, Size: 8}, &w)
		}, statusNotSync},
	} {
		t.Run(tt.name, func(t *testing.T) {
			msg := nfsCall(1, tt.proc, &cred, tt.args)
			c := unanswered(t, o, 0, msg)
			if err := tt.do(); err != nil {
				t.Fatal(err)
			}
			if st, ok := replyStatus(inlineAs(t, c, msg)); st != tt.want || !ok {
				t.Errorf("got %v, want %v", st, tt.want)
			}
			_ = o.Remove(caller, o.Root(), name, &w) // one of the two does it
			_ = o.Rmdir(caller, o.Root(), name, &w)
		})
	}
}

// TestOlderObject: what was there before the call began is not its work, though it has
// changed since.
func TestOlderObject(t *testing.T) {
	o := openOverlay(t)
	cred := nfsclient.Self()
	caller := overlay.Caller{UID: cred.UID, MayBlock: true}
	var dir overlay.Attr
	var w overlay.Change
	if err := o.Mkdir(caller, o.Root(), []byte("name"), &overlay.SetAttr{}, &dir, &w); err != nil {
		t.Fatal(err)
	}
	made := time.Now()
	testenv.Await(t, "all clocks say that time has passed", func() bool { return time.Since(made) > 10*stampAge })
	msg := nfsCall(1, procMkdir, &cred, on(o.Root()).str("name").u32(0, 0, 0, 0, 0, 0))
	c := unanswered(t, o, 0, msg)
	if err := o.Setattr(caller, dir.ID, &overlay.SetAttr{SetMode: true, Mode: 0o711}, &w); err != nil {
		t.Fatal(err)
	}
	if st, _ := replyStatus(inlineAs(t, c, msg)); st != statusExist {
		t.Errorf("got %v, want EXIST", st)
	}
}

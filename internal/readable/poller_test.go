package readable

import (
	"net"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/nixnfsd/nixnfsd/internal/testenv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pair is a connection and its other end.
func pair(t testing.TB) (near, far *net.TCPConn) {
	a, b := testenv.Connection(t, "127.0.0.1:0", "")
	return a.(*net.TCPConn), b.(*net.TCPConn)
}

// tells makes a notifier that sends name.
func tells(p *Poller, c *net.TCPConn, told chan<- string, name string) *Notifier {
	return p.Notifier(c, func() { told <- name })
}

func say(t *testing.T, c *net.TCPConn) {
	t.Helper()
	if _, err := c.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
}

// TestNotifies: how often it does, by another that is armed last.
func TestNotifies(t *testing.T) {
	tt := []struct {
		name string
		do   func(t *testing.T, n *Notifier, near, far *net.TCPConn)
		want int // times
	}{
		{"nothing to be read", func(t *testing.T, n *Notifier, _, _ *net.TCPConn) { n.Arm() }, 0},
		{"never armed", func(t *testing.T, _ *Notifier, _, far *net.TCPConn) { say(t, far) }, 0},
		{"armed first", func(t *testing.T, n *Notifier, _, far *net.TCPConn) { n.Arm(); say(t, far) }, 1},
		{"armed late", func(t *testing.T, n *Notifier, _, far *net.TCPConn) { say(t, far); n.Arm() }, 1},
		{"once for two", func(t *testing.T, n *Notifier, _, far *net.TCPConn) { n.Arm(); say(t, far); say(t, far) }, 1},
		{"disarmed", func(t *testing.T, n *Notifier, _, far *net.TCPConn) { n.Arm(); n.Disarm(); say(t, far) }, 0},
		{"armed again", func(t *testing.T, n *Notifier, _, far *net.TCPConn) { n.Arm(); n.Disarm(); n.Arm(); say(t, far) }, 1},
		{"half closed", func(t *testing.T, n *Notifier, _, far *net.TCPConn) { n.Arm(); far.CloseWrite() }, 1},
		{"closed here", func(t *testing.T, n *Notifier, near, _ *net.TCPConn) { n.Arm(); near.Close() }, 0},
	}
	for _, tc := range tt {
		t.Run(tc.name, func(t *testing.T) {
			var p Poller
			told := make(chan string, 8)
			near, far := pair(t)
			last, lastFar := pair(t)
			n, end := tells(&p, near, told, "it"), tells(&p, last, told, "end")
			defer n.Close()
			defer end.Close()

			tc.do(t, n, near, far)
			got := 0
			for ; got < tc.want; got++ {
				<-told // before the other is armed: two connections' events have no order
			}
			end.Arm()
			say(t, lastFar)
			for <-told != "end" {
				got++
			}
			if got != tc.want {
				t.Errorf("notified %d times, want %d", got, tc.want)
			}
		})
	}
}

// TestNotifiesAgain: after a notification it is armed anew.
func TestNotifiesAgain(t *testing.T) {
	var p Poller
	told := make(chan string, 1)
	near, far := pair(t)
	n := tells(&p, near, told, "it")
	defer n.Close()
	for range 3 {
		n.Arm()
		say(t, far)
		<-told
		if _, err := near.Read(make([]byte, 8)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestClosed: of a closed connection there is nothing to tell.
func TestClosed(t *testing.T) {
	var p Poller
	near, _ := pair(t)
	n := tells(&p, near, nil, "")
	defer n.Close()
	if !n.Arm() {
		t.Fatal("cannot be armed")
	}
	n.Disarm()
	near.Close()
	if n.Arm() {
		t.Error("can be armed though the connection is closed")
	}
	late := tells(&p, near, nil, "")
	defer late.Close()
	if late.Arm() {
		t.Error("can be armed for the first time though the connection is closed")
	}
}

// TestDescriptorUsedAgain: the notifier of a closed connection takes nothing from the one that
// has its descriptor since.
func TestDescriptorUsedAgain(t *testing.T) {
	var p Poller
	told := make(chan string, 8)
	near, _ := pair(t)
	old := tells(&p, near, told, "old")
	old.Arm()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	const conns = 16 // each takes the lowest descriptor that is free: one of them takes near's
	far := map[string]*net.TCPConn{}
	for range conns {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		far[c.LocalAddr().String()] = c.(*net.TCPConn)
	}
	near.Close()
	for range conns {
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		n := tells(&p, c.(*net.TCPConn), told, "new")
		defer n.Close()
		if n.Arm(); n.fd != old.fd {
			continue
		}
		old.Close()
		n.Arm()
		say(t, far[c.RemoteAddr().String()])
		if got := <-told; got != "new" {
			t.Errorf("the %s one notified", got)
		}
		return
	}
	t.Fatalf("descriptor %d is not used again", old.fd)
}

// interrupted is a connection to which something happens right after it was first asked for
// its descriptor.
type interrupted struct {
	*net.TCPConn
	then func()
}

func (c *interrupted) SyscallConn() (syscall.RawConn, error) {
	raw, err := c.TCPConn.SyscallConn()
	return interruptedRaw{raw, c}, err
}

type interruptedRaw struct {
	syscall.RawConn
	c *interrupted
}

func (r interruptedRaw) Control(f func(uintptr)) error {
	defer func() {
		then := r.c.then
		r.c.then = func() {}
		then()
	}()
	return r.RawConn.Control(f)
}

// TestDescriptorUsedMeanwhile: a connection is closed, and another has its descriptor and a
// notifier, while it gets one itself.
func TestDescriptorUsedMeanwhile(t *testing.T) {
	var p Poller
	told := make(chan string, 8)
	old, _ := pair(t)
	before := descriptor(t, old)
	done := make(chan struct{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var n *Notifier
	var far string
	take := func() {
		defer close(done)
		old.Close()
		for range 16 { // each takes the lowest descriptor that is free
			c, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(func() { c.Close() })
			if near := c.(*net.TCPConn); descriptor(t, near) == before {
				n = tells(&p, near, told, "new")
				n.Arm()
				far = near.LocalAddr().String()
				return
			}
		}
	}
	late := tells(&p, nil, told, "old")
	late.conn = &interrupted{old, func() {
		go take()
		if p.mu.TryLock() { // else the other one waits for this one
			p.mu.Unlock()
			<-done
		}
	}}
	late.Arm()
	defer late.Close()
	<-done
	if n == nil {
		t.Fatalf("descriptor %d is not used again", before)
	}
	defer n.Close()
	for {
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if c.RemoteAddr().String() == far {
			say(t, c.(*net.TCPConn))
			break
		}
	}
	if got := <-told; got != "new" {
		t.Errorf("the %s one notified", got)
	}
}

func descriptor(t *testing.T, c *net.TCPConn) (n int) {
	raw, err := c.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { n = int(fd) })
	}
	if err != nil {
		t.Error(err)
	}
	return n
}

// TestPollerAnew: a Poller that has nothing left begins anew.
func TestPollerAnew(t *testing.T) {
	var p Poller
	told := make(chan string, 1)
	near, far := pair(t)
	say(t, far)
	for range 3 {
		n := tells(&p, near, told, "it")
		n.Arm()
		<-told
		n.Close()
	}
}

func TestArmAllocatesNothing(t *testing.T) {
	var p Poller
	near, _ := pair(t)
	n := tells(&p, near, nil, "")
	defer n.Close()
	if allocs := testing.AllocsPerRun(100, func() { n.Arm(); n.Disarm() }); allocs != 0 {
		t.Errorf("Arm and Disarm allocate %v times", allocs)
	}
}

func BenchmarkArm(b *testing.B) {
	var p Poller
	near, _ := pair(b)
	n := tells(&p, near, nil, "")
	defer n.Close()
	for b.Loop() {
		n.Arm()
		n.Disarm()
	}
}

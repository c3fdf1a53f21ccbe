package readable

import (
	"net"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pair is a connection and its other end.
func pair(t *testing.T) (near, far *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	a, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		a.Close()
	})
	return a.(*net.TCPConn), c.(*net.TCPConn)
}

// hang makes a bell that sends name when it rings.
func hang(t *testing.T, w *Watch, c *net.TCPConn, rings chan<- string, name string) *Bell {
	t.Helper()
	b, err := w.Bell(c, func() { rings <- name })
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func say(t *testing.T, c *net.TCPConn) {
	t.Helper()
	if _, err := c.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
}

// TestRings: what rings, by the other bell that is armed last, and rings last.
func TestRings(t *testing.T) {
	tt := []struct {
		name string
		do   func(t *testing.T, b *Bell, near, far *net.TCPConn)
		want int // times
	}{
		{"nothing to be read", func(t *testing.T, b *Bell, _, _ *net.TCPConn) { b.Arm() }, 0},
		{"never armed", func(t *testing.T, _ *Bell, _, far *net.TCPConn) { say(t, far) }, 0},
		{"armed first", func(t *testing.T, b *Bell, _, far *net.TCPConn) { b.Arm(); say(t, far) }, 1},
		{"armed late", func(t *testing.T, b *Bell, _, far *net.TCPConn) { say(t, far); b.Arm() }, 1},
		{"once for two", func(t *testing.T, b *Bell, _, far *net.TCPConn) { b.Arm(); say(t, far); say(t, far) }, 1},
		{"disarmed", func(t *testing.T, b *Bell, _, far *net.TCPConn) { b.Arm(); b.Disarm(); say(t, far) }, 0},
		{"armed again", func(t *testing.T, b *Bell, _, far *net.TCPConn) { b.Arm(); b.Disarm(); b.Arm(); say(t, far) }, 1},
		{"half closed", func(t *testing.T, b *Bell, _, far *net.TCPConn) { b.Arm(); far.CloseWrite() }, 1},
		{"closed here", func(t *testing.T, b *Bell, near, _ *net.TCPConn) { b.Arm(); near.Close() }, 0},
	}
	for _, tc := range tt {
		t.Run(tc.name, func(t *testing.T) {
			var w Watch
			rings := make(chan string, 8)
			near, far := pair(t)
			last, lastFar := pair(t)
			b := hang(t, &w, near, rings, "it")
			defer b.Close()
			end := hang(t, &w, last, rings, "end")
			defer end.Close()

			tc.do(t, b, near, far)
			end.Arm()
			say(t, lastFar)
			got := 0
			for <-rings != "end" {
				got++
			}
			if got != tc.want {
				t.Errorf("rang %d times, want %d", got, tc.want)
			}
		})
	}
}

// TestRingsAgain: after a ring the bell is armed anew.
func TestRingsAgain(t *testing.T) {
	var w Watch
	rings := make(chan string, 1)
	near, far := pair(t)
	b := hang(t, &w, near, rings, "it")
	defer b.Close()
	for range 3 {
		b.Arm()
		say(t, far)
		<-rings
		if _, err := near.Read(make([]byte, 8)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestBellOfClosed: a closed connection has no bell, and those that it had are dumb, though
// another has its descriptor.
func TestBellOfClosed(t *testing.T) {
	var w Watch
	rings := make(chan string, 8)
	near, _ := pair(t)
	old := hang(t, &w, near, rings, "old")
	near.Close()
	if old.Arm() {
		t.Error("the bell of a closed connection can be armed")
	}
	if _, err := w.Bell(near, func() {}); err == nil {
		t.Error("a closed connection has a bell")
	}
	near, far := pair(t)
	b := hang(t, &w, near, rings, "new")
	old.Close()
	b.Arm()
	say(t, far)
	if got := <-rings; got != "new" {
		t.Errorf("the %s bell rang", got)
	}
	b.Close()
}

// TestWatchAnew: a Watch that has ended begins anew.
func TestWatchAnew(t *testing.T) {
	var w Watch
	rings := make(chan string, 1)
	near, far := pair(t)
	say(t, far)
	for range 3 {
		b := hang(t, &w, near, rings, "it")
		b.Arm()
		<-rings
		b.Close()
	}
}

func TestArmAllocatesNothing(t *testing.T) {
	var w Watch
	near, _ := pair(t)
	b := hang(t, &w, near, nil, "")
	defer b.Close()
	if n := testing.AllocsPerRun(100, func() { b.Arm(); b.Disarm() }); n != 0 {
		t.Errorf("Arm and Disarm allocate %v times", n)
	}
}

func BenchmarkArm(b *testing.B) {
	var w Watch
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	bell, err := w.Bell(c.(*net.TCPConn), func() {})
	if err != nil {
		b.Fatal(err)
	}
	defer bell.Close()
	for b.Loop() {
		bell.Arm()
		bell.Disarm()
	}
}

package nfs

import (
	"fmt"
	"math"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/nixnfsd/nixnfsd/internal/oncrpc"
	"github.com/nixnfsd/nixnfsd/internal/testenv"
)

// What holds the bounds that doc.go lists, from the first to the last:
//
//	data                    TestLongData, TestReadSizes
//	a record                TestBadStreamsAreClosed, oncrpc.TestBadRecords, oncrpc.FuzzRecords
//	empty fragments         the same
//	credentials             oncrpc.TestDecodeCall, oncrpc.TestLongCredentials
//	file handles            TestLengths, TestForgedHandles, FuzzHandle
//	names, paths, targets   TestLengths, TestArgumentsAreJudged, TestBadNamesGetNowhere
//	results of a listing    TestLargeListingIsBounded, TestListCounts
//	calls remembered        TestManyCallsEvict, TestAllOfASetRun
//	calls with workers      TestBackPressure
//	calls for the disk      TestBackPressure
//	blocks                  TestBlocksAreBounded
//	connections answered    TestMemoryIsBounded, TestStuckConnections
//	connections looked at   TestSlowAdmission
//	connections             TestTooManyConnections, TestConnLimit
//	the rest of a call      TestClientThatStopsInACallIsCutOff, TestClientThatTricklesIsCutOff
//	taking a reply          TestClientThatDoesNotReadIsCutOff, TestClientThatDoesNotRead
//	gone without a word     TestKeepAlive, TestClientGoneWithoutAWord
//	memory                  TestMemoryIsBounded, TestIdleConnections
//
// Whatever else a client can put into a call is tried by TestAbsurdCalls, TestTruncatedCalls,
// FuzzCall, FuzzConn and FuzzProcedures.

// TestLengths has each length that a call can have at its bound, and beyond.
func TestLengths(t *testing.T) {
	type answer struct {
		accept oncrpc.AcceptStat
		status status
	}
	garbage := answer{accept: oncrpc.GarbageArgs}
	refused := func(st status) answer { return answer{status: st} }
	long := func(n int) string { return strings.Repeat("x", n) }
	for _, tt := range []struct {
		name string
		msg  []byte
		want answer
	}{
		{"handle", nfsCall(1, procGetattr, &owner, new(args).opaque(make([]byte, maxHandle))), refused(statusBadHandle)},
		{"handle, one more", nfsCall(1, procGetattr, &owner, new(args).opaque(make([]byte, maxHandle+1))), garbage},
		{"name", nfsCall(1, procLookup, &owner, on(fakeRoot).str(long(maxName))), refused(statusNoEnt)},
		{"name, one more", nfsCall(1, procLookup, &owner, on(fakeRoot).str(long(maxName+1))), refused(statusNameTooLong)},
		{"name, at most", nfsCall(1, procLookup, &owner, on(fakeRoot).str(long(maxString))), refused(statusNameTooLong)},
		{"name, more than that", nfsCall(1, procLookup, &owner, on(fakeRoot).str(long(maxString+1))), garbage},
		{"target", nfsCall(1, procSymlink, &owner, on(fakeRoot).str("l").sattr().str(long(maxTarget))), refused(statusOK)},
		{"target, one more", nfsCall(1, procSymlink, &owner, on(fakeRoot).str("l").sattr().str(long(maxTarget+1))), refused(statusNameTooLong)},
		{"target, more than that", nfsCall(1, procSymlink, &owner, on(fakeRoot).str("l").sattr().str(long(maxString+1))), garbage},
		{"path", call(progMount, 3, 1, &owner, new(args).str(long(maxPath))), refused(statusNoEnt)},
		{"path, one more", call(progMount, 3, 1, &owner, new(args).str(long(maxPath+1))), refused(statusNameTooLong)},
		{"path, more than that", call(progMount, 3, 1, &owner, new(args).str(long(maxString+1))), garbage},
	} {
		r, d := ask(t, newServer(newFakeFS()), tt.msg)
		got := answer{accept: r.Accept}
		if r.Accept == oncrpc.Success {
			got.status = status(d.Uint32())
		}
		if got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

// TestLongData: of data that is too long for one call, as much is written, or read, as one may.
func TestLongData(t *testing.T) {
	f := newFakeFS()
	f.data = make([]byte, maxIO+8)
	for _, a := range []struct {
		proc uint32
		args *args
	}{
		{procWrite, on(fakeFile).u64(0).u32(maxIO+8, 0).opaque(f.data)},
		{procRead, on(fakeFile).u64(0).u32(maxIO + 8)},
		{procRead, on(fakeFile).u64(0).u32(math.MaxUint32)},
	} {
		_, d := ask(t, newServer(f), nfsCall(1, a.proc, &owner, a.args))
		st := status(d.Uint32())
		if a.proc == procWrite && d.Bool() { // wcc_data
			d.Fixed(24) // wcc_attr
		}
		d.Bool()
		d.Fixed(fattrSize)
		if n := d.Uint32(); st != statusOK || n != maxIO || d.Err != nil {
			t.Errorf("procedure %d: got %v, %d bytes, %v", a.proc, st, n, d.Err)
		}
	}
}

// TestBlocksAreBounded: large calls wait for memory, those of one connection and those of all.
func TestBlocksAreBounded(t *testing.T) {
	for _, tt := range []struct{ conns, least, most int64 }{
		{1, connBlocks, connBlocks},
		{6, sharedBlocks, sharedBlocks + 6}, // some get on without the one that is theirs alone
	} {
		synctest.Test(t, func(t *testing.T) {
			g, f := newGate("write"), newFakeFS()
			f.hook = g.hook
			s := New(Options{FS: f, Key: testKey, Owner: 1000, Workers: 2 * maxCalls})
			data := make([]byte, maxIO)
			var clients sync.WaitGroup
			for i := range tt.conns {
				c, lasted := onPipe(s)
				const calls = 2 * connBlocks
				clients.Go(func() {
					for j := range uint32(calls) {
						send(t, c, record(nfsCall(calls*uint32(i)+j, procWrite, &owner, on(fakeFile).u64(0).u32(maxIO, 0).opaque(data))))
					}
				})
				clients.Go(func() {
					for range calls {
						next(t, c)
					}
					c.Close()
					lasted()
				})
			}
			synctest.Wait()
			if got := g.inside.Load(); got < tt.least || got > tt.most {
				t.Errorf("%d connections: %d large calls at once, want %d to %d", tt.conns, got, tt.least, tt.most)
			}
			g.open()
			clients.Wait()
		})
	}
}

func TestConnLimit(t *testing.T) {
	for _, tt := range []struct {
		files uint64
		want  int
	}{{0, maxBusy}, {256, 64}, {1024, 256}, {1 << 20, 4096}, {math.MaxUint64, 4096}} {
		if got := connsOf(tt.files); got != tt.want {
			t.Errorf("of %d files: got %d, want %d", tt.files, got, tt.want)
		}
	}
}

// maxMemory is what doc.go says all clients can make the server hold.
const maxMemory = 80 << 20

// Clients that each stop in the middle of a large call, or ask for all there is to read
// and take none of it, far more of them than may be busy, make the server hold no more
// than its bound.
func TestMemoryIsBounded(t *testing.T) {
	write := record(nfsCall(1, procWrite, &owner, on(fakeFile).u64(0).u32(maxIO, 0).opaque(make([]byte, maxIO))))
	var reads []byte
	for i := range 2 * maxCalls {
		reads = append(reads, record(nfsCall(uint32(i), procRead, &owner, on(fakeFile).u64(0).u32(maxIO)))...)
	}
	for _, tt := range []struct {
		name string
		sent []byte
	}{
		{"stop in a call", write[:len(write)-1]},
		{"take no replies", reads},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newServer(newFakeFS())
			addr := serve(t, s)
			before := memoryInUse()
			var sending sync.WaitGroup
			var clients []net.Conn
			for range 2 * maxBusy {
				c := dial(t, addr)
				clients = append(clients, c)
				sending.Go(func() { _, _ = c.Write(tt.sent) }) // until the server has had enough
			}
			testenv.Await(t, "as many are busy as may", func() bool { return s.peers.busyNow() == maxBusy })
			for range 3 {
				if err := ping(dial(t, addr)); err != nil {
					t.Error(err)
				}
			}
			got := memoryInUse() - before
			t.Logf("%d clients, %.1f MiB", len(clients), float64(got)/(1<<20))
			if got > maxMemory {
				t.Errorf("%d bytes in use, want at most %d", got, maxMemory)
			}
			for _, c := range clients {
				c.Close()
			}
			sending.Wait()
		})
	}
}

// BenchmarkPing is the time of a call and its reply, alone and beside idle connections.
func BenchmarkPing(b *testing.B) {
	for _, idle := range []int{0, 2000} {
		b.Run(fmt.Sprint("idle=", idle), func(b *testing.B) {
			s := newServer(newFakeFS())
			addr := serve(b, s)
			for range idle {
				if err := ping(dial(b, addr)); err != nil {
					b.Fatal(err)
				}
			}
			c := dial(b, addr)
			testenv.Await(b, "all are idle", func() bool { return s.peers.busyNow() == 0 })
			for b.Loop() {
				if err := ping(c); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

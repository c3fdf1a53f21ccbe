package nfs

import (
	"fmt"
	"net"
	"sync"
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/testenv"
)

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

package nfs

import "sync"

const (
	// maxRecord bounds a call: the largest WRITE, and room for its header.
	maxRecord = maxIO + 64<<10
	// blockSize has room for the largest call and for the largest reply.
	blockSize = maxRecord
	// A connection may have connBlocks blocks; the first is its own, so that it
	// gets on whatever others do, and the rest are among all connections' sharedBlocks.
	// All blocks of all connections (sharedBlocks and maxBusy) are some 60 MiB.
	connBlocks   = 8
	sharedBlocks = 24
)

// blocks lends a connection memory for large calls and replies, and bounds it:
// whoever wants one waits until there is one.
type blocks struct {
	from *blockPool
	mine chan struct{} // taken by each block that the connection has
	own  chan struct{} // taken by the connection's own block

	mu     sync.Mutex
	shares int // how many of the shared blocks the connection has
}

// blockPool is what all connections have in common.
type blockPool struct {
	shared chan struct{} // taken by each block that is not a connection's own
	pool   sync.Pool
}

func newBlockPool() *blockPool {
	return &blockPool{
		shared: make(chan struct{}, sharedBlocks),
		pool:   sync.Pool{New: func() any { return new([blockSize]byte) }},
	}
}

func newBlocks(from *blockPool) *blocks {
	return &blocks{from: from, mine: make(chan struct{}, connBlocks), own: make(chan struct{}, 1)}
}

// take gives an empty block to whoever has taken mine, after a wait.
func (b *blocks) take() []byte {
	select {
	case b.own <- struct{}{}:
	case b.from.shared <- struct{}{}:
		b.mu.Lock()
		b.shares++
		b.mu.Unlock()
	}
	return b.from.pool.Get().(*[blockSize]byte)[:0]
}

// give takes a block back. Shared ones go first, whichever it was.
func (b *blocks) give(p []byte) {
	b.from.pool.Put((*[blockSize]byte)(p[:blockSize]))
	b.mu.Lock()
	if b.shares > 0 {
		b.shares--
		<-b.from.shared
	} else {
		<-b.own
	}
	b.mu.Unlock()
	<-b.mine
}

package nfs

import (
	"sync"
	"sync/atomic"
)

const (
	// maxRecord bounds a call: the largest WRITE, and room for its header.
	maxRecord = maxIO + 64<<10
	// blockSize has room for the largest call and for the largest reply.
	blockSize = maxRecord
	// A connection may have connBlocks blocks; the first is its own, so that it
	// gets on whatever others do, and the rest are among all connections' sharedBlocks.
	connBlocks   = 8
	sharedBlocks = 24
)

// blocks lends a connection memory for large calls and replies, and bounds it:
// whoever wants one waits until there is one.
type blocks struct {
	from *blockPool
	mine chan struct{} // taken by each block that the connection has
	held atomic.Int32
}

// blockPool is what all connections have in common.
type blockPool struct {
	shared chan struct{} // taken by each block but the first of a connection
	pool   sync.Pool
}

func newBlockPool() *blockPool {
	return &blockPool{
		shared: make(chan struct{}, sharedBlocks),
		pool:   sync.Pool{New: func() any { return new([blockSize]byte) }},
	}
}

// take gives an empty block to whoever has taken mine, after a wait.
func (b *blocks) take() []byte {
	if b.held.Add(1) > 1 {
		b.from.shared <- struct{}{}
	}
	return b.from.pool.Get().(*[blockSize]byte)[:0]
}

// give takes a block back.
func (b *blocks) give(p []byte) {
	b.from.pool.Put((*[blockSize]byte)(p[:blockSize]))
	if b.held.Add(-1) > 0 {
		<-b.from.shared
	}
	<-b.mine
}

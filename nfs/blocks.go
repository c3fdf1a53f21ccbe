package nfs

import "sync"

const (
	// maxRecord bounds a call: the largest WRITE, and room for its header.
	maxRecord = maxIO + 64<<10
	// blockSize has room for the largest call and for the largest reply.
	blockSize = maxRecord
	// maxBlocks bounds the blocks of all connections; of one, connBlocks.
	maxBlocks  = 32
	connBlocks = 8
)

// blocks lends memory for large calls and replies, and bounds it: whoever wants
// one waits until there is one.
type blocks struct {
	free chan struct{}
	pool sync.Pool
}

func newBlocks() *blocks {
	return &blocks{
		free: make(chan struct{}, maxBlocks),
		pool: sync.Pool{New: func() any { return new([blockSize]byte) }},
	}
}

// take waits for a block and gives it, empty.
func (b *blocks) take() []byte {
	b.free <- struct{}{}
	return b.pool.Get().(*[blockSize]byte)[:0]
}

// give takes a block back.
func (b *blocks) give(p []byte) {
	b.pool.Put((*[blockSize]byte)(p[:blockSize]))
	<-b.free
}

//go:build fewnodes

package overlay

// maxNodes is so small, for tests, that every node is evicted as soon as it can be.
const maxNodes = 1

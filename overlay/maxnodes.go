//go:build !fewnodes

package overlay

// maxNodes is how many nodes there are in memory: some hundred bytes each.
const maxNodes = 1 << 16

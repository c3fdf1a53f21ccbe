//go:build !linux

package overlay_test

// foldingLayerings: macOS's own volumes fold, and need none made.
func foldingLayerings() []layering { return nil }

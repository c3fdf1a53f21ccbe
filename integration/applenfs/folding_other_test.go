//go:build !linux

package applenfs_test

import (
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/testenv"
)

// foldingVolume is a volume that confuses names as Apple's do.
func foldingVolume(t testing.TB) string {
	testenv.Require(t, false, "the volume that confuses names is over Linux's FUSE")
	return ""
}

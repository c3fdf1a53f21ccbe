package applenfs_test

import (
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/foldfs"
)

// foldingVolume is a volume that confuses names as Apple's do.
func foldingVolume(t testing.TB) string { return foldfs.Mount(t, foldfs.Options{}) }

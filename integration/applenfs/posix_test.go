package applenfs_test

import (
	"testing"

	"github.com/nixnfsd/nixnfsd/integration/applenfs"
	"github.com/nixnfsd/nixnfsd/internal/posixtest"
)

// TestPosix puts the conformance cases that billy can express to the client: over an upper
// directory alone and over lower ones, with caches and without.
func TestPosix(t *testing.T) {
	tt := []struct {
		name      string
		lowers    int
		forgetful bool
	}{
		{"upper", 0, false},
		{"lowers", 2, false},
		{"lowers, nothing cached", 2, true},
	}
	for _, tt := range tt {
		t.Run(tt.name, func(t *testing.T) {
			m := mount(t, applenfs.Options{Dial: newServer(t, tt.lowers, nil).dial, Forgetful: tt.forgetful})
			posixtest.RunBilly(t, applenfs.Billy(m), nil)
			if err := m.Unmount(); err != nil {
				t.Error(err)
			}
			unnoted(t, m)
			t.Log(m.Calls())
		})
	}
}

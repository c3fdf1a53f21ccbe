package overlay

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// A lower directory's file system keeps its number while lower directories come, go
// and change places.
func TestSpacesAreSteady(t *testing.T) {
	type dirs []layer
	up, a, b, c := layer{path: "/up", dev: 1}, layer{path: "/a", dev: 2}, layer{path: "/b b", dev: 3}, layer{path: "/c\n", dev: 4}
	a2, onUp := layer{path: "/a2", dev: 2}, layer{path: "/x", dev: 1}
	tests := []struct {
		name string
		runs []dirs
		want [][]uint64
	}{
		{"another order", []dirs{{up, a, b}, {up, b, a}}, [][]uint64{{0, 1, 2}, {0, 2, 1}}},
		{"one comes", []dirs{{up, a}, {up, b, c, a}}, [][]uint64{{0, 1}, {0, 2, 3, 1}}},
		{"one goes, and comes again", []dirs{{up, a, b}, {up, b}, {up, c, b, a}}, [][]uint64{{0, 1, 2}, {0, 2}, {0, 3, 2, 1}}},
		{"one file system", []dirs{{up, a, onUp, a2, b}, {up, b, a2}}, [][]uint64{{0, 1, 0, 1, 2}, {0, 2, 1}}},
		{
			"two become one",
			[]dirs{{up, a, b}, {up, {path: "/b b", dev: 2}, a}, {up, b, a}},
			[][]uint64{{0, 1, 2}, {0, 2, 2}, {0, 2, 1}},
		},
		{"the upper's", []dirs{{up, a, b}, {up, {path: "/a", dev: 1}, b}, {up, b, a}}, [][]uint64{{0, 1, 2}, {0, 0, 2}, {0, 2, 1}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			work := t.TempDir()
			for i, run := range tt.runs {
				fs := &FS{layers: slices.Clone(run)}
				if err := fs.numberLayers(work); err != nil {
					t.Fatal(err)
				}
				got := []uint64{}
				for _, l := range fs.layers {
					got = append(got, l.space)
				}
				if !slices.Equal(got, tt.want[i]) {
					t.Errorf("run %d numbers %v, want %v", i, got, tt.want[i])
				}
			}
		})
	}
}

func TestSpacesRunOut(t *testing.T) {
	work := t.TempDir()
	number := func(from, to int) (*FS, error) {
		fs := &FS{layers: []layer{{path: "/up"}}}
		for i := from; i < to; i++ {
			fs.layers = append(fs.layers, layer{path: fmt.Sprint("/", i), dev: uint64(i)})
		}
		return fs, fs.numberLayers(work)
	}
	if _, err := number(1, maxSpace+2); err == nil {
		t.Error("one file system too many was numbered")
	}
	for _, from := range []int{1, 1000} {
		fs, err := number(from, from+maxSpace)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[uint64]bool{}
		for _, l := range fs.layers {
			if seen[l.space] || l.space > maxSpace {
				t.Errorf("%s has number %d", l.path, l.space)
			}
			seen[l.space] = true
		}
	}
}

// Garbage in the file is no reason not to serve.
func TestSpacesDamaged(t *testing.T) {
	work := t.TempDir()
	err := os.WriteFile(filepath.Join(work, spacesName), []byte("\x00\xff\n-1 \"/a\"\n200 \"/a\"\n7 \"/b\"\n7 \"/c\"\n3 /a\n1"), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	fs := &FS{layers: []layer{{path: "/up"}, {path: "/a", dev: 1}, {path: "/b", dev: 2}, {path: "/c", dev: 3}}}
	if err := fs.numberLayers(work); err != nil {
		t.Fatal(err)
	}
	if a, b, c := fs.layers[1].space, fs.layers[2].space, fs.layers[3].space; b != 7 || a == c || a == b || b == c || a == 0 || c == 0 {
		t.Errorf("numbers %d, %d, %d", a, b, c)
	}
}

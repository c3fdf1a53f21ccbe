package main

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nixnfsd/nixnfsd/internal/du"
)

// TestDuJSON holds what programs read.
func TestDuJSON(t *testing.T) {
	table := &du.Table{Path: "/nix", Kinds: []string{"upper", "lower"}, Layers: []string{"/up", "/low"}, Top: 1}
	counted := &du.Usage{
		Entries: []du.Entry{{Name: "store/a&b", Bytes: []uint64{3, 2}}, {Name: "var", Bytes: []uint64{1, 0}}},
		Shared:  []uint64{0, 7}, Names: []uint64{4, 5}, Unread: []string{"/up/x"}, More: 2,
	}
	const want = `{
  "schemaVersion": 1,
  "path": "/nix",
  "layers": [
    {
      "kind": "upper",
      "path": "/up",
      "bytes": 4,
      "names": 4
    },
    {
      "kind": "lower",
      "path": "/low",
      "bytes": 9,
      "names": 5
    }
  ],
  "entries": [
    {
      "path": "/nix/store/a&b",
      "bytes": [
        3,
        2
      ]
    }
  ],
  "more": {
    "entries": 1,
    "bytes": [
      1,
      0
    ]
  },
  "shared": [
    0,
    7
  ],
  "unread": 3
}
`
	var got bytes.Buffer
	if err := printJSON(&got, table.Report(counted)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Error(diff)
	}
}

func TestInExport(t *testing.T) {
	tt := []struct{ path, want string }{
		{"/nix", "."},
		{"/nix/", "."},
		{".", "."},
		{"..", "."},
		{"/nix/store/a", "store/a"},
		{"store//a/", "store/a"},
		{"../../store", "store"},
		{"/nix/../etc", ""},
		{"/nixos", ""},
		{"/", ""},
	}
	for _, tc := range tt {
		got, err := inExport(tc.path, "/nix")
		if got != tc.want || (err == nil) != (tc.want != "") {
			t.Errorf("%s: got %q, %v; want %q", tc.path, got, err, tc.want)
		}
	}
}

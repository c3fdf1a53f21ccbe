package du

import "path"

// SchemaVersion is the version of Report as JSON. It grows when a field changes its meaning or
// goes; new fields may come without.
const SchemaVersion = 1

// Report is a Usage for programs. Lists of bytes are in the order of the layers.
type Report struct {
	SchemaVersion int           `json:"schemaVersion"`
	Path          string        `json:"path"`
	Layers        []LayerReport `json:"layers"`
	Entries       []EntryReport `json:"entries"` // the largest first
	// More are the entries that are not shown, Shared what several entries have.
	More   MoreReport `json:"more"`
	Shared []uint64   `json:"shared"`
	Unread int        `json:"unread"` // directories
}

// LayerReport is a layer, and what of it was counted.
type LayerReport struct {
	Kind  string `json:"kind"`
	Path  string `json:"path"`
	Bytes uint64 `json:"bytes"`
	Names uint64 `json:"names"`
}

// EntryReport is an entry that is shown.
type EntryReport struct {
	Path  string   `json:"path"`
	Bytes []uint64 `json:"bytes"`
}

// MoreReport is the others together.
type MoreReport struct {
	Entries int      `json:"entries"`
	Bytes   []uint64 `json:"bytes"`
}

// Report shows u to programs.
func (t *Table) Report(u *Usage) *Report {
	r := &Report{SchemaVersion: SchemaVersion, Path: t.Path, Shared: u.Shared, Unread: len(u.Unread) + u.More, Entries: []EntryReport{}}
	for i, total := range u.Total() {
		r.Layers = append(r.Layers, LayerReport{t.Kinds[i], t.Layers[i], total, u.Names[i]})
	}
	shown := t.shown(u)
	for _, e := range u.Entries[:shown] {
		r.Entries = append(r.Entries, EntryReport{path.Join(t.Path, e.Name), e.Bytes})
	}
	r.More = MoreReport{len(u.Entries) - shown, u.rest(shown)}
	return r
}

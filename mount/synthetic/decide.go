package synthetic

import (
	"fmt"
	"io/fs"
	"path"
)

// Manifest is a file as it was seen.
type Manifest struct {
	Path string
	Text []byte      // nil: it is not there
	Mode fs.FileMode // permissions
	// Foreign is why the file is not ours to write, "a symbolic link to …" or
	// "immutable"; empty where it is.
	Foreign string
}

// newMode is of a manifest that is not there yet: everybody may read it.
const newMode = 0o644

// Change is a manifest to be written.
type Change struct {
	Path   string
	Before []byte // nil: it is not there
	After  []byte
	Mode   fs.FileMode // as it is, or as a new one should be
}

// Conflict is what in the manifests stands against an entry.
type Conflict struct{ What, Mend string }

// Error says both.
func (c *Conflict) Error() string { return c.What + ": " + c.Mend }

// Decide says what to write so that the system makes the directory name: a file
// of the given name in /etc/synthetic.d where the release reads that folder, else
// a line in /etc/synthetic.conf. Nil is nothing: an entry is there. The only
// error is a *Conflict.
func Decide(release Release, name, file string, seen []Manifest) (*Change, error) {
	there, conflict := listed(name, seen)
	if conflict != nil {
		return nil, conflict
	}
	if there {
		return nil, nil
	}
	m := Manifest{Path: Conf, Mode: newMode}
	if release.ReadsDir() {
		m.Path = path.Join(Dir, file)
	}
	for _, s := range seen {
		if s.Path == m.Path && (s.Text != nil || s.Foreign != "") {
			m = s
		}
	}
	if m.Foreign != "" {
		return nil, &Conflict{m.Path + " is " + m.Foreign, fmt.Sprintf("have whoever manages it add the line %q", name)}
	}
	return &Change{Path: m.Path, Before: m.Text, After: Add(m.Text, name), Mode: m.Mode}, nil
}

// Listed reports whether a manifest has the system make the directory name.
func Listed(name string, seen []Manifest) bool {
	there, conflict := listed(name, seen)
	return there && conflict == nil
}

// listed looks through all manifests before it answers: which of two that name
// the same the system follows is undefined.
func listed(name string, seen []Manifest) (bool, *Conflict) {
	there := false
	for _, m := range seen {
		entries, bad := Parse(m.Text)
		for _, e := range bad {
			if e.Concerns(name) {
				return false, &Conflict{m.Path + ", " + e.Error(), "mend or remove that line"}
			}
		}
		for _, e := range entries {
			if e.Name == name && e.Target != "" {
				return false, &Conflict{fmt.Sprintf("%s, line %d makes /%s a symbolic link to %s", m.Path, e.Line, name, e.Target), "remove that line, and restart"}
			}
			there = there || e.Name == name
		}
	}
	return there, nil
}

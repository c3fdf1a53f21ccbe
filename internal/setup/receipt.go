package setup

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/renameio/v2"
)

// receiptVersion is the version of Receipt as JSON.
const receiptVersion = 1

// Receipt is what was changed, in order.
type Receipt struct {
	SchemaVersion int      `json:"schemaVersion"`
	Exports       []string `json:"exports"` // mount points that were set up
	Changes       []Change `json:"changes"`
}

// Change is one path that was made or written. It is in the receipt before it is
// done: what a failure leaves undone is no change when it is looked at.
type Change struct {
	Path   string `json:"path"`
	Dir    bool   `json:"dir,omitempty"`
	Before *File  `json:"before"`           // null: nothing was there
	Digest string `json:"digest,omitempty"` // of what was written, SHA-256
}

// File is a file as it was.
type File struct {
	Mode    fs.FileMode `json:"mode"`
	Content []byte      `json:"content"`
}

// ReadReceipt reads a receipt. One that is not there is empty.
func ReadReceipt(file string) (Receipt, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return Receipt{SchemaVersion: receiptVersion}, nil
	}
	var r Receipt
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err == nil && r.SchemaVersion != receiptVersion {
		err = fmt.Errorf("version %d of it is not known: use the nixnfsd that wrote it", r.SchemaVersion)
	}
	if err == nil {
		err = r.check()
	}
	if err != nil {
		return Receipt{}, fmt.Errorf("read the receipt %s: %w", file, err)
	}
	return r, nil
}

// check holds that all paths are some.
func (r *Receipt) check() error {
	paths := slices.Clone(r.Exports)
	for _, c := range r.Changes {
		paths = append(paths, c.Path)
	}
	for _, p := range paths {
		if !filepath.IsAbs(p) || filepath.Clean(p) != p {
			return fmt.Errorf("%q is no path", p)
		}
	}
	return nil
}

// write replaces the receipt at once and for good, or removes an empty one.
func (r *Receipt) write(file string) error {
	if len(r.Changes) == 0 {
		err := os.Remove(file)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		os.Remove(filepath.Dir(file)) // where it holds nothing else
		return err
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err == nil {
		err = os.MkdirAll(filepath.Dir(file), dirMode())
	}
	if err != nil {
		return err
	}
	return renameio.WriteFile(file, append(text, '\n'), 0o644, renameio.IgnoreUmask())
}

// dirMode is of the directory that a receipt is in: the user's is the server's
// state directory too, which is for nobody else; root's the user has to read.
func dirMode() fs.FileMode {
	if os.Geteuid() == 0 {
		return 0o755
	}
	return 0o700
}

// note adds a change. Of a path that was changed before, what was there at first
// stays.
func (r *Receipt) note(c Change) {
	for i := range r.Changes {
		if r.Changes[i].Path == c.Path {
			r.Changes[i].Digest = c.Digest
			return
		}
	}
	r.Changes = append(r.Changes, c)
}

// drop forgets a path, which is as it was.
func (r *Receipt) drop(path string) {
	for i := range r.Changes {
		if r.Changes[i].Path == path {
			r.Changes = append(r.Changes[:i], r.Changes[i+1:]...)
			return
		}
	}
}

// digest is the SHA-256 of a file's content.
func digest(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return fmt.Sprintf("%x", h.Sum(nil)), nil
}

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
)

// receiptVersion is the version of Receipt as JSON.
const receiptVersion = 1

// Receipt is what was changed, in order.
type Receipt struct {
	SchemaVersion int      `json:"schemaVersion"`
	Exports       []string `json:"exports"` // mount points that were set up
	Changes       []Change `json:"changes"`
	// Store are directories that hold nothing but what the server, or Nix, puts there: they may be
	// deleted with all that is in them. A symbolic link among them is deleted itself.
	Store []string `json:"store,omitempty"`
	// Dirs are the directories that were made for the receipt itself, the outermost first.
	Dirs []string `json:"dirs,omitempty"`
}

// Change is one path that was made or written. It is in the receipt before it is
// done: what a failure leaves undone is no change when it is looked at.
type Change struct {
	Path   string `json:"path"`
	Dir    bool   `json:"dir,omitempty"`
	Before *File  `json:"before"`           // null: nothing was there
	Digest string `json:"digest,omitempty"` // of what was written, SHA-256; of a symbolic link Linked
}

// Linked is the Digest of a symbolic link with a target.
func Linked(target string) string { return "link to " + target }

// File is a file as it was.
type File struct {
	Mode    fs.FileMode `json:"mode"`
	Content []byte      `json:"content"`
}

// ReadReceipt reads a receipt. One that is not there is empty.
func ReadReceipt(file string) (Receipt, error) {
	text, err := readFile(file)
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

// check holds that all paths are some, and that no store holds the home: somebody may have
// edited the receipt.
func (r *Receipt) check() error {
	if home, err := os.UserHomeDir(); err == nil {
		for _, dir := range r.Store {
			if within(home, dir) {
				return fmt.Errorf("%q is no store's directory: your home is in it", dir)
			}
		}
	}
	paths := slices.Concat(r.Exports, r.Store, r.Dirs)
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

// missing are the directories that are not there on the way to one, and itself, the outermost first.
func missing(dir string) []string {
	if !absent(dir) {
		return nil
	}
	return append(missing(filepath.Dir(dir)), dir)
}

// Amend changes the receipt file of a user, or of root, as one of them. It has to come before what
// it tells of is done.
func Amend(file string, change func(r *Receipt)) error {
	return withReceipt(file, func(h *held) error {
		change(&h.Receipt)
		return h.write()
	})
}

// dirMode is of the directory that a receipt is in: the user's is the server's
// state directory too, which is for nobody else; root's the user has to read.
func dirMode() fs.FileMode {
	if os.Geteuid() == 0 {
		return 0o755
	}
	return 0o700
}

// Note adds a change. Of a path that was changed before, what was there at first
// stays.
func (r *Receipt) Note(c Change) {
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

package setup

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/nixnfsd/nixnfsd/internal/wholefile"
)

// held is a receipt that nobody else changes meanwhile.
type held struct {
	Receipt
	file string
	made []string // the directories that were made to hold it
	lock *wholefile.Held
}

// withReceipt has a receipt for use alone. What use does to the machine is done while nobody else
// does what a receipt tells of: one verb never undoes what another does at the moment.
func withReceipt(file string, use func(h *held) error) error {
	h, err := hold(file)
	if err != nil {
		return err
	}
	defer h.release()
	if h.Receipt, err = ReadReceipt(file); err != nil {
		return err
	}
	return use(h)
}

// hold makes the directory of a receipt where it has to: the lock is in it.
func hold(file string) (*held, error) {
	const tries = 100 // another process may take the directory away just then
	h := &held{file: file}
	dir := filepath.Dir(file)
	var err error
	for range tries {
		h.made = union(h.made, missing(dir)...)
		if err = os.MkdirAll(dir, dirMode()); err != nil {
			return nil, err
		}
		if h.lock, err = wholefile.Hold(file); !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return h, err
}

// release lets others have it. Where nothing is left to tell, the directories that were made for it go.
func (h *held) release() {
	h.lock.Release()
	if !absent(h.file) {
		return
	}
	// Where they hold nothing else; a link to one is somebody's.
	_ = syscall.Rmdir(filepath.Dir(h.file))
	for _, dir := range slices.Backward(union(h.Dirs, h.made...)) {
		_ = syscall.Rmdir(dir)
	}
}

// write replaces the receipt at once and for good, or removes an empty one.
func (h *held) write() error {
	if len(h.Changes) == 0 && len(h.Store) == 0 {
		if err := os.Remove(h.file); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	h.Dirs = union(h.Dirs, h.made...)
	text, err := json.MarshalIndent(h.Receipt, "", "  ")
	if err == nil {
		err = wholefile.Replace(h.file, 0o644, bytes.NewReader(append(text, '\n')))
	}
	if err != nil {
		return fmt.Errorf("write the receipt %s: %w", h.file, err)
	}
	return nil
}

// note adds a change, before it is made.
func (h *held) note(c Change) error {
	h.Note(c)
	return h.write()
}

// forget drops a change that was taken back.
func (h *held) forget(path string) error {
	h.drop(path)
	return h.write()
}

// tellsWithin reports whether there is a change of something in a directory.
func (r *Receipt) tellsWithin(dir string) bool {
	return slices.ContainsFunc(r.Changes, func(c Change) bool { return c.Path != dir && within(c.Path, dir) })
}

// left tells whether a process was killed that was about to write a receipt, which tells of nothing yet, or
// of nothing any more.
func (r *Receipt) left(file string) bool {
	if len(r.Changes) > 0 || slices.ContainsFunc(r.Store, func(dir string) bool { return !absent(dir) }) {
		return false
	}
	names, err := os.ReadDir(filepath.Dir(file))
	return !absent(file) || wholefile.Left(file) || err == nil && len(names) == 0
}

package setup

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/google/renameio/v2"

	"github.com/nixnfsd/nixnfsd/mount"
)

// Order is what one of the two who act is to do.
type Order struct {
	Receipt string `json:"receipt"` // the file
	Export  string `json:"export"`  // and mount point that is set up; empty: one is taken back
	Steps   []Step `json:"steps"`
}

// Apply does the steps of an order, until one fails. What was there before goes
// into the receipt, before anything is touched. say is told of each step.
func Apply(ctx context.Context, o Order, run Runner, say func(what string)) error {
	r, err := ReadReceipt(o.Receipt)
	if err != nil {
		return err
	}
	if o.Export != "" && !slices.Contains(r.Exports, o.Export) {
		r.Exports = append(r.Exports, o.Export)
	}
	a := &applier{receipt: r, file: o.Receipt, run: run}
	for _, s := range o.Steps {
		what := strings.Join(s.words(), " ")
		say(what)
		if err := a.do(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	return nil
}

type applier struct {
	receipt Receipt
	file    string // of the receipt
	run     Runner
}

func (a *applier) do(ctx context.Context, s Step) error {
	switch {
	case s.Run != nil:
		return a.command(ctx, s)
	case !filepath.IsAbs(s.Path):
		return errors.New("there is neither a command nor a path")
	case s.Remove:
		return a.remove(s)
	case s.Mode.IsDir():
		return a.mkdir(s)
	}
	return a.write(s)
}

func (a *applier) command(ctx context.Context, s Step) error {
	if s.IfMounted != "" {
		table, err := mount.Table()
		if e := mount.Find(table, s.IfMounted); err != nil || e == nil || !e.NFS() {
			return err
		}
	}
	_, err := a.run(ctx, s.Run)
	if s.Ignore {
		return nil
	}
	return err
}

func (a *applier) mkdir(s Step) error {
	if info, err := os.Lstat(s.Path); err == nil && info.IsDir() {
		return nil // somebody else's by now
	}
	if err := a.note(Change{Path: s.Path, Dir: true}); err != nil {
		return err
	}
	err := os.Mkdir(s.Path, s.Mode.Perm())
	if err == nil {
		err = os.Chmod(s.Path, s.Mode.Perm()) // whatever the umask is
	}
	return err
}

// write writes or copies a file, which appears at once and whole.
func (a *applier) write(s Step) error {
	if !s.Undo {
		if err := a.noteFile(s); err != nil {
			return err
		}
	}
	f, err := renameio.NewPendingFile(s.Path, renameio.WithPermissions(s.Mode.Perm()), renameio.IgnoreUmask())
	if err != nil {
		return err
	}
	defer f.Cleanup()
	from, err := s.open()
	if err != nil {
		return err
	}
	defer from.Close()
	if _, err := io.Copy(f, from); err != nil {
		return err
	}
	if err := f.CloseAtomicallyReplace(); err != nil || !s.Undo {
		return err
	}
	return a.drop(s.Path)
}

// open gives what is to be written.
func (s *Step) open() (io.ReadCloser, error) {
	if s.From != "" {
		return os.Open(s.From)
	}
	return io.NopCloser(strings.NewReader(string(s.Content))), nil
}

// noteFile puts into the receipt what is there now.
func (a *applier) noteFile(s Step) error {
	c := Change{Path: s.Path}
	from, err := s.open()
	if err != nil {
		return err
	}
	defer from.Close()
	h := sha256.New()
	if _, err := io.Copy(h, from); err != nil {
		return err
	}
	c.Digest = fmt.Sprintf("%x", h.Sum(nil))
	info, err := os.Lstat(s.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return a.note(c)
	case err == nil && !info.Mode().IsRegular():
		return errors.New("there is something that is no regular file")
	case err != nil:
		return err
	}
	c.Before = &File{Mode: info.Mode().Perm()}
	if c.Before.Content, err = os.ReadFile(s.Path); err != nil {
		return err
	}
	return a.note(c)
}

// remove removes a file, or a directory where nobody has put anything into it.
func (a *applier) remove(s Step) error {
	err := os.Remove(s.Path)
	if s.Mode.IsDir() && (errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, fs.ErrExist)) {
		err = nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return a.drop(s.Path)
}

func (a *applier) note(c Change) error {
	a.receipt.note(c)
	return a.save()
}

func (a *applier) drop(path string) error {
	a.receipt.drop(path)
	return a.save()
}

func (a *applier) save() error {
	if err := a.receipt.write(a.file); err != nil {
		return fmt.Errorf("write the receipt: %w", err)
	}
	return nil
}

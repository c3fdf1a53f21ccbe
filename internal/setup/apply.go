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
	// Store are directories that hold nothing but what the server puts there.
	Store []string `json:"store,omitempty"`
	Steps []Step   `json:"steps"`
}

// Apply does the steps of an order, until one fails. What was there before goes
// into the receipt, before anything is touched. say is told of each step.
func Apply(ctx context.Context, o Order, run Runner, say func(what string)) error {
	r, err := ReadReceipt(o.Receipt)
	if err != nil {
		return err
	}
	r.Exports = union(r.Exports, o.Export)
	r.Store = union(r.Store, o.Store...)
	if slices.ContainsFunc(o.Steps, func(s Step) bool { return s.Undo }) {
		r.Store = slices.DeleteFunc(r.Store, absent)
	}
	a := &applier{receipt: r, file: o.Receipt, run: run}
	if len(r.Store) > 0 {
		if err := a.save(); err != nil {
			return err
		}
	}
	for _, s := range o.Steps {
		what := strings.Join(s.words(), " ")
		say(what)
		err := a.do(ctx, s)
		if ctx.Err() != nil {
			return fmt.Errorf("%s: ended by a signal", what)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	return nil
}

func absent(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, fs.ErrNotExist)
}

// union adds what is not there yet; "" is nothing.
func union(all []string, more ...string) []string {
	for _, one := range more {
		if one != "" && !slices.Contains(all, one) {
			all = append(all, one)
		}
	}
	return all
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
	case s.Narrow != 0:
		return narrow(s.Path, s.Narrow)
	case !filepath.IsAbs(s.Path):
		return errors.New("there is neither a command nor a path")
	case s.Delete:
		return a.delete(ctx, s.Path)
	case s.Hook != nil:
		_, err := s.Hook.Remove()
		return err
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
	switch {
	case s.Ignore:
		return nil
	case err != nil && s.IfMounted != "":
		return inUse(s.IfMounted, err)
	}
	return err
}

// narrow takes rights away from a file or a directory. Others, who may have had the right to, could have
// put a symbolic link there, or a pipe, since it was looked at.
func narrow(path string, bits fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return f.Chmod(info.Mode() &^ bits)
}

// inUse names processes that keep a mount from being unmounted, where the system tells.
func inUse(dir string, err error) error {
	const most = 5
	var names []string
	for _, user := range mount.Users(dir, most) {
		names = append(names, user.String())
	}
	if names == nil {
		return err
	}
	return fmt.Errorf("%w: it is in use, by %s", err, strings.Join(names, ", "))
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
	now, err := os.ReadFile(s.Path)
	if err != nil {
		return err
	}
	if fmt.Sprintf("%x", sha256.Sum256(now)) != c.Digest { // else it is ours, of a receipt that was lost
		c.Before = &File{Mode: info.Mode().Perm(), Content: now}
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

// delete deletes a directory of the store. The receipt itself may lie in it: that goes when there
// is nothing left for it to tell.
func (a *applier) delete(ctx context.Context, dir string) error {
	if !slices.Contains(a.receipt.Store, dir) {
		return fmt.Errorf("the receipt %s does not say that it is ours", a.file)
	}
	keep := ""
	if same(filepath.Dir(a.file), dir) {
		keep = filepath.Base(a.file)
	}
	if err := removeStore(ctx, dir, keep); err != nil {
		return err
	}
	a.receipt.Store = slices.DeleteFunc(a.receipt.Store, func(d string) bool { return d == dir })
	return a.save()
}

// same tells whether dir, and not a link of that name, is where path leads: a home can be a link.
func same(path, dir string) bool {
	a, err := os.Stat(path)
	if err != nil {
		return false
	}
	b, err := os.Lstat(dir)
	return err == nil && os.SameFile(a, b)
}

func (a *applier) note(c Change) error {
	a.receipt.Note(c)
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

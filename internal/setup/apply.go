package setup

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/nixnfsd/nixnfsd/internal/wholefile"
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
	a := &applier{order: o, run: run}
	if err := a.begin(); err != nil {
		return err
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
	order Order
	run   Runner
}

// begin has the receipt tell of the store, where there is one, and no more of one that is gone.
func (a *applier) begin() error {
	undoes := slices.ContainsFunc(a.order.Steps, func(s Step) bool { return s.Undo })
	if !undoes && len(a.order.Store) == 0 {
		_, err := ReadReceipt(a.order.Receipt) // before anything is touched
		return err
	}
	return a.withReceipt(func(h *held) error {
		h.Store = union(h.Store, a.order.Store...)
		if undoes {
			h.Store = slices.DeleteFunc(h.Store, absent)
		}
		return h.write()
	})
}

func (a *applier) withReceipt(use func(h *held) error) error {
	return withReceipt(a.order.Receipt, func(h *held) error {
		h.Exports = union(h.Exports, a.order.Export)
		return use(h)
	})
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
	}
	return a.withReceipt(func(h *held) error { return h.do(s) })
}

// do does a step that the receipt tells of.
func (h *held) do(s Step) error {
	switch {
	case s.Remove:
		return h.remove(s)
	case s.Mode.IsDir():
		return h.mkdir(s)
	}
	return h.writeFile(s)
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
	case s.Ignore || s.Keeper && notRunning(err):
		return nil
	case s.Keeper:
		return err // it names who uses the mount
	case err != nil && s.IfMounted != "":
		return inUse(s.IfMounted, err)
	}
	return err
}

// notRunning tells that a verb had nobody to ask.
func notRunning(err error) bool {
	const code = 4
	var exit *exec.ExitError
	return errors.As(err, &exit) && exit.ExitCode() == code
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

func (h *held) mkdir(s Step) error {
	if info, err := os.Lstat(s.Path); err == nil && info.IsDir() {
		return nil // somebody else's by now
	}
	if err := h.note(Change{Path: s.Path, Dir: true}); err != nil {
		return err
	}
	defer syscall.Umask(syscall.Umask(0)) // a mode that was set afterwards would not be after a kill in between
	return os.Mkdir(s.Path, s.Mode.Perm())
}

// writeFile writes or copies a file, which appears at once and whole.
func (h *held) writeFile(s Step) error {
	if !s.Undo {
		if err := h.noteFile(s); err != nil {
			return err
		}
	}
	from, err := s.open()
	if err != nil {
		return err
	}
	defer from.Close()
	if err := wholefile.Replace(s.Path, s.Mode.Perm(), from); err != nil || !s.Undo {
		return err
	}
	return h.forget(s.Path)
}

// open gives what is to be written.
func (s *Step) open() (io.ReadCloser, error) {
	if s.From != "" {
		return os.Open(s.From)
	}
	return io.NopCloser(strings.NewReader(string(s.Content))), nil
}

// noteFile puts into the receipt what is there now.
func (h *held) noteFile(s Step) error {
	c := Change{Path: s.Path}
	from, err := s.open()
	if err != nil {
		return err
	}
	defer from.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, from); err != nil {
		return err
	}
	c.Digest = fmt.Sprintf("%x", sum.Sum(nil))
	info, err := os.Lstat(s.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return h.note(c)
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
	return h.note(c)
}

// remove removes a file, with what is half-written of it, or a directory where nobody has put anything into it
// or in the place of it.
func (h *held) remove(s Step) error {
	var err error
	if s.Mode.IsDir() {
		err = fail("remove", s.Path, syscall.Rmdir(s.Path))
	} else if err = os.Remove(s.Path); err == nil || errors.Is(err, fs.ErrNotExist) {
		err = wholefile.Sweep(s.Path)
	}
	kept := s.Mode.IsDir() && (errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, fs.ErrExist) || errors.Is(err, syscall.ENOTDIR))
	if err != nil && !kept && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if kept && h.tellsWithin(s.Path) {
		return nil // another verb has put something there meanwhile: the directory goes with that
	}
	return h.forget(s.Path)
}

// delete deletes a directory of the store. The receipt itself may lie in it: that goes when there
// is nothing left for it to tell.
func (a *applier) delete(ctx context.Context, dir string) error {
	file := a.order.Receipt
	r, err := ReadReceipt(file)
	switch {
	case err != nil:
		return err
	case !slices.Contains(r.Store, dir):
		return fmt.Errorf("the receipt %s does not say that it is ours", file)
	}
	var keep []string
	if same(filepath.Dir(file), dir) {
		keep = []string{filepath.Base(file), filepath.Base(wholefile.LockName(file)), filepath.Base(wholefile.PartName(file))}
	}
	if err := removeStore(ctx, dir, keep...); err != nil {
		return err
	}
	return a.withReceipt(func(h *held) error {
		h.Store = slices.DeleteFunc(h.Store, func(d string) bool { return d == dir })
		return h.write()
	})
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

// Package nixtarball makes Nix binary tarballs for tests, of the layout of the official ones:
// nix-VERSION-SYSTEM.tar.xz, with the install scripts, the registration and store paths
// beneath one folder that has no entry of its own, as NixOS/nix's packaging/binary-tarball.nix
// has tar write them.
package nixtarball

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nixnfsd/nixnfsd/internal/nar"
)

// StoreDir is where store paths lie.
const StoreDir = "/nix/store"

// Tarball is what a binary tarball holds.
type Tarball struct {
	Version string // of Nix
	System  string // such as x86_64-linux
	Paths   []Path
	Nix     string // the base name of the path that the install script installs
	CACert  string // and of the other one
}

// Path is a store path.
type Path struct {
	Base       string   // HASH-NAME; see Base
	References []string // base names
	Entries    []Entry
}

// Entry is a file or a symbolic link of a store path. The directories that lead to it come by themselves.
type Entry struct {
	Name    string      // within the store path
	Mode    fs.FileMode // fs.ModeSymlink, or 0o111 for what is executable
	Content string      // or the target
}

// Base gives a store path of that name a hash. Whoever has a store path cannot tell what its hash
// was made of.
func Base(name string) string {
	const size = 20
	sum := sha256.Sum256([]byte(name))
	return nar.Base32(sum[:size]) + "-" + name
}

// Folder is the one that everything is beneath.
func (t *Tarball) Folder() string { return "nix-" + t.Version + "-" + t.System }

// File writes the tarball into a directory, under its own name, and gives its path. It takes xz(1).
func (t *Tarball) File(ctx context.Context, dir string) (string, error) {
	file := filepath.Join(dir, t.Folder()+".tar.xz")
	f, err := os.Create(file)
	if err != nil {
		return "", err
	}
	r, w := io.Pipe()
	go func() { w.CloseWithError(t.WriteTar(tar.NewWriter(w))) }()
	err = Compress(ctx, f, r)
	r.Close()
	return file, errors.Join(err, f.Close())
}

// Compress compresses quickly, and not as well as the official tarballs are.
func Compress(ctx context.Context, w io.Writer, r io.Reader) error {
	cmd := exec.CommandContext(ctx, "xz", "-0", "--threads=0", "--stdout")
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = r, w, &stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("compress with xz: %w: %s", err, stderr.String())
	}
	return nil
}

// WriteTar writes the entries of the tarball, and closes w.
func (t *Tarball) WriteTar(w *tar.Writer) error {
	registration, err := t.Registration()
	if err != nil {
		return err
	}
	scripts := []string{"install", "create-darwin-volume.sh", "install-darwin-multi-user.sh", "install-systemd-multi-user.sh", "install-multi-user"}
	for _, name := range scripts {
		e := Entry{Name: name, Mode: 0o755, Content: "#!/bin/sh\n"}
		if name == "install" {
			e.Content = fmt.Sprintf("#!/bin/sh\n\nset -e\n\nself=\"$(dirname \"$0\")\"\nnix=\"%s/%s\"\ncacert=\"%[1]s/%[3]s\"\n", StoreDir, t.Nix, t.CACert)
		}
		if err := write(w, t.Folder(), &e); err != nil {
			return err
		}
	}
	if err := write(w, t.Folder(), &Entry{Name: ".reginfo", Content: registration}); err != nil {
		return err
	}
	for _, p := range t.Paths {
		if err := p.write(w, path.Join(t.Folder(), "store", p.Base)); err != nil {
			return err
		}
	}
	return w.Close()
}

// write writes a store path, each directory before what is in it.
func (p *Path) write(w *tar.Writer, at string) error {
	return p.walk("", func(name string, e *Entry) error {
		if e == nil {
			e = &Entry{Mode: fs.ModeDir}
		}
		return write(w, path.Join(at, name), &Entry{Mode: e.Mode, Content: e.Content})
	})
}

// write writes an entry as tar does with --owner=0 --group=0 --mode=u+rw,uga+r
// --mtime=1970-01-01 of what is 0444 or 0555.
func write(w *tar.Writer, at string, e *Entry) error {
	h := &tar.Header{
		Name: path.Join(at, e.Name), Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(e.Content)), ModTime: time.Unix(0, 0),
		Uname: "root", Gname: "root", Format: tar.FormatGNU,
	}
	switch {
	case e.Mode.IsDir():
		h.Typeflag, h.Mode, h.Name = tar.TypeDir, 0o755, h.Name+"/"
	case e.Mode&fs.ModeSymlink != 0:
		h.Typeflag, h.Mode, h.Size, h.Linkname = tar.TypeSymlink, 0o777, 0, e.Content
	case e.Mode&0o111 != 0:
		h.Mode = 0o755
	}
	if err := w.WriteHeader(h); err != nil || h.Typeflag != tar.TypeReg {
		return err
	}
	_, err := io.WriteString(w, e.Content)
	return err
}

// Registration is what nix-store --load-db reads: of each path its name, the hash and the size
// of its archive, what built it, and its references.
func (t *Tarball) Registration() (string, error) {
	var b strings.Builder
	for _, p := range t.Paths {
		h := sha256.New()
		size := &counter{w: h}
		if err := p.archive(nar.NewWriter(size), ""); err != nil {
			return "", fmt.Errorf("archive %s: %w", p.Base, err)
		}
		fmt.Fprintf(&b, "%s/%s\nsha256:%x\n%d\n\n%d\n", StoreDir, p.Base, h.Sum(nil), size.n, len(p.References))
		for _, r := range p.References {
			fmt.Fprintf(&b, "%s/%s\n", StoreDir, r)
		}
	}
	return b.String(), nil
}

type counter struct {
	w io.Writer
	n int
}

func (c *counter) Write(b []byte) (int, error) {
	c.n += len(b)
	return c.w.Write(b)
}

// archive writes what is at a name.
func (p *Path) archive(w *nar.Writer, name string) error {
	e, below := p.at(name)
	switch {
	case e == nil:
		return w.Directory(below, func(base string) error { return p.archive(w, path.Join(name, base)) })
	case e.Mode&fs.ModeSymlink != 0:
		return w.Symlink(e.Content)
	}
	return w.Regular(int64(len(e.Content)), e.Mode&0o111 != 0, strings.NewReader(e.Content))
}

// walk visits what is at a name and beneath it. A directory has no entry.
func (p *Path) walk(name string, visit func(name string, e *Entry) error) error {
	e, below := p.at(name)
	err := visit(name, e)
	for _, base := range below {
		if err == nil {
			err = p.walk(path.Join(name, base), visit)
		}
	}
	return err
}

// at gives what is at a name: an entry, or the names in a directory.
func (p *Path) at(name string) (e *Entry, below []string) {
	for i := range p.Entries {
		if p.Entries[i].Name == name {
			return &p.Entries[i], nil
		}
		rest, in := strings.CutPrefix(p.Entries[i].Name, name+"/")
		if name == "" {
			rest, in = p.Entries[i].Name, true
		}
		base, _, _ := strings.Cut(rest, "/")
		if in && !slices.Contains(below, base) {
			below = append(below, base)
		}
	}
	return nil, below
}

package nixtarball

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// Debian makes a tarball of Debian's nix-bin and all libraries that it needs, down to C's, each looked for
// in the given roots, the first first. Scripts have its own loader start it, so that what runs
// is the store's Nix and nothing of the machine's.
func Debian(ctx context.Context, roots ...string) (*Tarball, error) {
	d := &debian{roots: roots, libs: map[string]string{}}
	nix, err := d.find("usr/bin/nix")
	if err == nil {
		err = d.need(nix)
	}
	if err != nil {
		return nil, fmt.Errorf("collect Debian's Nix: %w", err)
	}
	version, err := d.version(ctx, nix)
	if err != nil {
		return nil, err
	}
	return d.tarball(version, nix)
}

// debian collects files of packages.
type debian struct {
	roots []string
	libs  map[string]string // the files of libraries, by the names that they are asked for by
}

// libraryDirs are where Debian's libraries lie, on any processor.
func libraryDirs() []string {
	dirs := []string{"usr/lib/nix", "usr/lib", "lib", "usr/lib64", "lib64"}
	for _, arch := range []string{"x86_64", "aarch64"} {
		dirs = append(dirs, "usr/lib/"+arch+"-linux-gnu", "lib/"+arch+"-linux-gnu")
	}
	return dirs
}

func (d *debian) find(names ...string) (string, error) {
	for _, root := range d.roots {
		for _, name := range names {
			file := filepath.Join(root, name)
			if _, err := os.Stat(file); err == nil {
				return file, nil
			}
		}
	}
	return "", fmt.Errorf("none of %q is there: %w", names, fs.ErrNotExist)
}

// need collects the libraries that a file needs.
func (d *debian) need(file string) error {
	f, err := elf.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	libs, err := f.ImportedLibraries()
	if err != nil {
		return fmt.Errorf("read %s: %w", file, err)
	}
	for _, lib := range libs {
		if d.libs[lib] != "" {
			continue
		}
		var places []string
		for _, dir := range libraryDirs() {
			places = append(places, path.Join(dir, lib))
		}
		if d.libs[lib], err = d.find(places...); err != nil {
			return fmt.Errorf("%s needs %s: %w", file, lib, err)
		}
		if err := d.need(d.libs[lib]); err != nil {
			return err
		}
	}
	return nil
}

// loader is the name of the library that starts programs.
func (d *debian) loader() string {
	for name := range d.libs {
		if strings.HasPrefix(name, "ld-linux") {
			return name
		}
	}
	return ""
}

func (d *debian) version(ctx context.Context, nix string) (string, error) {
	var dirs []string
	for _, file := range d.libs {
		dirs = append(dirs, filepath.Dir(file))
	}
	slices.Sort(dirs)
	cmd := exec.CommandContext(ctx, d.libs[d.loader()], "--library-path", strings.Join(slices.Compact(dirs), ":"), nix, "--version")
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("ask Debian's Nix for its version: %w", err)
	}
	words := strings.Fields(string(out))
	if len(words) == 0 {
		return "", errors.New("the Nix of Debian does not tell its version")
	}
	return words[len(words)-1], nil
}

// fromC reports whether a library is of the C library's package, which has a store path of its own.
func (d *debian) fromC(name string) bool {
	base, _, _ := strings.Cut(name, ".so")
	return name == d.loader() || slices.Contains([]string{"libc", "libm", "libdl", "libpthread", "librt", "libresolv"}, base)
}

func (d *debian) tarball(version, nix string) (*Tarball, error) {
	c := Path{Base: Base("glibc-debian")}
	n := Path{Base: Base("nix-" + version), References: []string{c.Base, Base("nix-" + version)}}
	slices.Sort(n.References)
	for name, file := range d.libs {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		e := Entry{Name: "lib/" + name, Content: string(content)}
		switch {
		case name == d.loader():
			e.Mode = 0o755
			fallthrough
		case d.fromC(name):
			c.Entries = append(c.Entries, e)
		default:
			n.Entries = append(n.Entries, e)
		}
	}
	content, err := os.ReadFile(nix)
	if err != nil {
		return nil, err
	}
	n.Entries = append(n.Entries, Entry{Name: "libexec/nix", Mode: 0o755, Content: string(content)})
	n.Entries = append(n.Entries, d.programs(n.Base, c.Base)...)
	cacert := Path{Base: Base("nss-cacert-0"), Entries: []Entry{{Name: "etc/ssl/certs/ca-bundle.crt", Content: "# nobody is trusted: tests stay on the machine\n"}}}
	t := &Tarball{Version: version, System: system(), Paths: []Path{cacert, c, n}, Nix: n.Base, CACert: cacert.Base}
	for i := range t.Paths {
		slices.SortFunc(t.Paths[i].Entries, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	}
	return t, nil
}

// programs are what is in bin, and what a login shell reads.
func (d *debian) programs(nix, c string) []Entry {
	nix, c = path.Join(StoreDir, nix), path.Join(StoreDir, c)
	start := fmt.Sprintf("#!/bin/sh\nexport NIX_BIN_DIR=%s/bin\nexec %s/lib/%s --library-path %[1]s/lib:%[2]s/lib --argv0 \"$0\" %[1]s/libexec/nix \"$@\"\n", nix, c, d.loader())
	entries := []Entry{
		{Name: "bin/nix", Mode: 0o755, Content: start},
		{Name: "etc/profile.d/nix.sh", Content: "export NIX_PROFILES=\"$HOME/.nix-profile\"\nexport PATH=\"$HOME/.nix-profile/bin:$PATH\"\n"},
	}
	for _, name := range []string{
		"nix-build", "nix-channel", "nix-collect-garbage", "nix-copy-closure", "nix-daemon", "nix-env", "nix-hash",
		"nix-instantiate", "nix-prefetch-url", "nix-shell", "nix-store",
	} {
		entries = append(entries, Entry{Name: "bin/" + name, Mode: fs.ModeSymlink, Content: "nix"})
	}
	return entries
}

// system is what Nix calls the machine that this runs on.
func system() string {
	arch := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]
	return arch + "-" + runtime.GOOS
}

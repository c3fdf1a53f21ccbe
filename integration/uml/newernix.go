package uml

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const (
	// newerSuite is a Debian whose Nix has what the kit's lacks, such as the
	// local-overlay store.
	newerSuite    = "trixie"
	newerPackages = "nix-bin"
	debianKeys    = "/usr/share/keyrings/debian-archive-keyring.gpg"
)

// NewerNix returns a directory with the Nix of a newer Debian and all that it depends on,
// its C library too: it runs by that library's loader, usr/lib64/ld-linux-x86-64.so.2.
// Where it is missing it is downloaded and unpacked first, from the archive that
// the machine uses, which takes some 40 s and 55 MB.
func NewerNix(ctx context.Context, log io.Writer) (string, error) {
	root, err := guestsDir()
	if err != nil {
		return "", err
	}
	unlock, err := lock(filepath.Join(root, "lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	dir := filepath.Join(root, "nix-"+newerSuite)
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		return dir, err
	}
	tmp, err := os.MkdirTemp(root, "new-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	fmt.Fprintln(log, "guest: downloading", newerPackages, "of", newerSuite)
	sysRoot, err := unpackNewer(ctx, tmp)
	if err != nil {
		return "", fmt.Errorf("get the Nix of %s: %w", newerSuite, err)
	}
	return dir, os.Rename(sysRoot, dir)
}

// unpackNewer downloads as if nothing were installed: the machine's own packages are of
// another Debian.
func unpackNewer(ctx context.Context, tmp string) (string, error) {
	archives, lists, status := filepath.Join(tmp, "archives"), filepath.Join(tmp, "lists"), filepath.Join(tmp, "status")
	for _, dir := range []string{archives, lists} {
		if err := os.MkdirAll(filepath.Join(dir, "partial"), 0o755); err != nil {
			return "", err
		}
	}
	sources, err := newerSources(ctx, tmp)
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(status, nil, 0o644); err != nil {
		return "", err
	}
	own := []string{
		"-o", "Dir::Etc::sourcelist=" + sources, "-o", "Dir::Etc::sourceparts=-", "-o", "Dir::State::lists=" + lists,
		"-o", "Dir::State::status=" + status, "-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache=",
	}
	if err := apt(ctx, archives, "update", own...); err != nil {
		return "", err
	}
	install := append(own, "-y", "--no-install-recommends", "--download-only")
	if err := apt(ctx, archives, "install", append(install, strings.Fields(newerPackages)...)...); err != nil {
		return "", err
	}
	if err := unpackAll(ctx, archives, tmp); err != nil {
		return "", err
	}
	sysRoot := filepath.Join(tmp, "sysroot")
	return sysRoot, os.Chmod(sysRoot, 0o755)
}

// newerSources writes a list of sources for the machine's own archive of Debian.
func newerSources(ctx context.Context, dir string) (string, error) {
	out, err := exec.CommandContext(ctx, "apt-get", "indextargets", "--format", "$(ORIGIN) $(COMPONENT) $(REPO_URI)", "Created-By: Packages").Output()
	if err != nil {
		return "", fmt.Errorf("ask apt-get for the machine's archive: %w", err)
	}
	for line := range strings.Lines(string(out)) {
		if uri, ok := strings.CutPrefix(strings.TrimSpace(line), "Debian main "); ok && !strings.Contains(uri, "security") {
			file := filepath.Join(dir, "sources.list")
			return file, os.WriteFile(file, fmt.Appendf(nil, "deb [signed-by=%s] %s %s main\n", debianKeys, uri, newerSuite), 0o644)
		}
	}
	return "", errors.New("the machine has no archive of Debian")
}

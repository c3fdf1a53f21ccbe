package uml

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/nixnfsd/nixnfsd/integration/uml/spec"
)

// EnvGuest names the directory that holds the unpacked guests, instead of
// nixnfsd/guest below the user's cache directory.
const EnvGuest = "NIXNFSD_GUEST"

//go:embed shim/amx.c
var shimSource []byte

// Kit is an unpacked guest, ready to run any number of times, also at once.
type Kit struct {
	dir  string
	runs atomic.Int32 // started so far
}

// Setup returns the kit for the current list of packages. Where it is missing
// it downloads and unpacks it first, telling its steps on log (nil: silent),
// which takes some 10 s and 200 MB. Several processes may call it at once: one works,
// the others wait. The error says what the machine lacks.
func Setup(ctx context.Context, log io.Writer) (*Kit, error) {
	if log == nil {
		log = io.Discard
	}
	if err := checkHost(); err != nil {
		return nil, fmt.Errorf("no guest on this machine: %w", err)
	}
	root, err := guestsDir()
	if err != nil {
		return nil, err
	}
	unlock, err := lock(filepath.Join(root, "lock"))
	if err != nil {
		return nil, err
	}
	defer unlock()
	kit := &Kit{dir: filepath.Join(root, kitName())}
	if err := kit.make(ctx, log); err != nil {
		return nil, fmt.Errorf("set up the guest: %w", err)
	}
	return kit, nil
}

// guestsDir makes and returns the directory that holds all kits. The kernel's
// command line has no quoting, so its path must have no blank.
func guestsDir() (string, error) {
	dir := os.Getenv(EnvGuest)
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("find a place for the guest: %w", err)
		}
		dir = filepath.Join(cache, "nixnfsd", "guest")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if strings.ContainsAny(dir, " \t\n,:") {
		return "", fmt.Errorf("the guest's directory %q must have no blank, comma or colon: set %s", dir, EnvGuest)
	}
	return dir, os.MkdirAll(dir, 0o755)
}

// kitName changes whenever the contents of a kit would.
func kitName() string {
	sum := sha256.New()
	fmt.Fprintln(sum, kernelPackage, guestPackages)
	sum.Write(shimSource)
	return fmt.Sprintf("kit-%x", sum.Sum(nil)[:6])
}

// make builds what is missing. The kit appears whole, by a rename.
func (k *Kit) make(ctx context.Context, log io.Writer) error {
	if _, err := os.Stat(k.dir); errors.Is(err, os.ErrNotExist) {
		if err := k.unpack(ctx, log); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	// The first process is ours and changes with us: go build knows when.
	return GoBuild(ctx, k.init(), "github.com/nixnfsd/nixnfsd/integration/uml/guestinit")
}

func (k *Kit) unpack(ctx context.Context, log io.Writer) error {
	tmp, err := os.MkdirTemp(filepath.Dir(k.dir), "new-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	if err := os.Chmod(tmp, 0o755); err != nil {
		return err
	}
	if err := unpackPackages(ctx, tmp, log); err != nil {
		return err
	}
	fresh := &Kit{dir: tmp}
	if err := fresh.compileShim(ctx); err != nil {
		return err
	}
	return os.Rename(tmp, k.dir)
}

func (k *Kit) compileShim(ctx context.Context) error {
	source := filepath.Join(k.dir, "shim.c")
	if err := os.WriteFile(source, shimSource, 0o644); err != nil {
		return err
	}
	return command(ctx, "", "gcc", "-O2", "-shared", "-fPIC", "-o", k.shim(), source)
}

// GoBuild builds a static binary of a command of this module.
func GoBuild(ctx context.Context, dst, pkg string) error {
	return command(ctx, "", "env", "CGO_ENABLED=0", "go", "build", "-o", dst, pkg)
}

// GoTest builds a static test binary of a package of this module.
func GoTest(ctx context.Context, dst, pkg string) error {
	return command(ctx, "", "env", "CGO_ENABLED=0", "go", "test", "-c", "-o", dst, pkg)
}

// SysRoot is the directory with the packages that the guest has beyond the machine's own.
func (k *Kit) SysRoot() string { return filepath.Join(k.dir, "sysroot") }

func (k *Kit) kernel() string  { return filepath.Join(k.dir, "kernel/usr/bin/linux.uml") }
func (k *Kit) modules() string { return filepath.Join(k.dir, "kernel/usr/lib/uml/modules") }
func (k *Kit) shim() string    { return filepath.Join(k.dir, "shim.so") }
func (k *Kit) init() string    { return filepath.Join(k.dir, spec.Init) }

package keep

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/nixnfsd/nixnfsd/mount"
)

// system is all that the keeper asks of the machine, and has it do.
type system struct {
	table      func() ([]mount.Entry, error)
	answers    func(ctx context.Context, addr netip.AddrPort, owner uint32, limit time.Duration) error
	checkPoint func(dir string) error
	run        func(ctx context.Context, argv []string) error
	users      func(dir string, most int) []mount.Holder
}

func realSystem() system {
	return system{table: mount.Table, answers: mount.Answers, checkPoint: checkPoint, run: run, users: mount.Users}
}

// run runs a command by its whole path: mount(8) is in /bin, or a link from there is.
func run(ctx context.Context, argv []string) error {
	if len(argv) == 0 {
		return fmt.Errorf("mount on this system: %w", errors.ErrUnsupported)
	}
	if !filepath.IsAbs(argv[0]) {
		argv[0] = filepath.Join("/bin", argv[0])
	}
	return mount.Run(ctx, argv)
}

// checkPoint refuses a mount point that somebody else than root could put something else in the
// place of: root would mount where he wants to. Nothing is mounted there yet.
func checkPoint(dir string) error {
	for at := dir; ; at = filepath.Dir(at) {
		info, err := os.Lstat(at)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("there is no directory %s", at)
		case err != nil:
			return fmt.Errorf("look at the mount point: %w", err)
		case !info.IsDir():
			return fmt.Errorf("%s is no directory", at)
		case at != dir && (info.Sys().(*syscall.Stat_t).Uid != 0 || info.Mode().Perm()&0o022 != 0):
			return fmt.Errorf("%s is not only root's to change: others could put something else in the place of %s", at, dir)
		case at == filepath.Dir(at):
			return nil
		}
	}
}

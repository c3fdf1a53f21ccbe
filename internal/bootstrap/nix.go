package bootstrap

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
)

// Nix is the Nix in the store, which takes the mount.
type Nix struct {
	Base string    // of its store path
	Out  io.Writer // gets all that it prints
}

// Register has the paths of a tarball known to Nix. It does no harm to do so again.
func (n Nix) Register(ctx context.Context, registration string) error {
	return n.run(ctx, strings.NewReader(registration), "nix-store", "--load-db")
}

// Install makes the first profile of store paths, and the link ~/.nix-profile to it.
func (n Nix) Install(ctx context.Context, bases ...string) error {
	args := []string{"--install"}
	for _, base := range bases {
		args = append(args, path.Join(storeDir, base))
	}
	return n.run(ctx, nil, "nix-env", args...)
}

// run runs a program of Nix's, without a daemon of another Nix.
func (n Nix) run(ctx context.Context, stdin io.Reader, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, path.Join(storeDir, n.Base, "bin", program), args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, n.Out, n.Out
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "NIX_REMOTE=") })
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it has to leave its database whole
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w", program, args[0], err)
	}
	return nil
}

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// completions has the program write what shells complete its command line by, named as each shell finds it.
func completions(ctx context.Context, program string) (files, error) {
	var all files
	for _, c := range []struct{ shell, name string }{{"bash", "nixnfsd.bash"}, {"zsh", "_nixnfsd"}, {"fish", "nixnfsd.fish"}} {
		content, err := exec.CommandContext(ctx, program, "completion", c.shell).Output()
		if err != nil {
			return nil, fmt.Errorf("nixnfsd completion %s: %w%s", c.shell, err, stderrOf(err))
		}
		all = append(all, file{path: "completions/" + c.name, mode: 0o644, content: content})
	}
	return all, nil
}

// manualPages has the program write its manual pages into dir, which is made.
func manualPages(ctx context.Context, program, dir string) (files, error) {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	if _, err := exec.CommandContext(ctx, program, "man", dir).Output(); err != nil {
		return nil, fmt.Errorf("nixnfsd man: %w%s", err, stderrOf(err))
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var all files
	for _, e := range entries {
		content, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		all = append(all, file{path: "man/" + e.Name(), mode: 0o644, content: content})
	}
	return all, nil
}

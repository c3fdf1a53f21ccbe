package main

import (
	"context"
	"debug/buildinfo"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// builder builds from a source.
type builder struct {
	*source
	env []string
}

// build builds the program for a platform, into dir, and makes sure that it says which version it is.
func (b *builder) build(ctx context.Context, p platform, dir string) (program string, err error) {
	program = filepath.Join(dir, "nixnfsd")
	// -s -w: without DWARF it is two thirds as large; traces of panics do not need it
	err = b.goTool(ctx, p, "build", "-buildvcs=true", "-trimpath", "-ldflags=-s -w", "-o", program, "./cmd/nixnfsd")
	if err != nil {
		return "", err
	}
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return "", err
	}
	if info.Main.Version != b.version {
		return "", fmt.Errorf("the program says that it is %s, and not %s", info.Main.Version, b.version)
	}
	return program, nil
}

// files gives what is in a platform's archive, but for what is common to all.
func (b *builder) files(ctx context.Context, p platform, dir string) (files, error) {
	program, err := b.build(ctx, p, dir)
	if err != nil {
		return nil, err
	}
	content, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	licenses, err := b.licenses(ctx, program)
	return files{{path: "nixnfsd", mode: 0o755, content: content}, licenses}, err
}

// goTool runs the Go tool in the source, for a platform. What the environment or "go env -w" say
// has no part in the bytes.
func (b *builder) goTool(ctx context.Context, p platform, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = b.dir
	cmd.Env = append(os.Environ(), "GOOS="+p.os, "GOARCH="+p.arch, "CGO_ENABLED=0", "GOAMD64=v1", "GOARM64=v8.0",
		"GOFIPS140=off", "GOWORK=off", "GOFLAGS=-mod=readonly")
	cmd.Env = append(cmd.Env, b.env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// common gives what is in every archive, with the help of a program for this machine, which is built into dir.
func (b *builder) common(ctx context.Context, dir string) (files, error) {
	program, err := b.build(ctx, platform{runtime.GOOS, runtime.GOARCH}, dir)
	if err != nil {
		return nil, err
	}
	common, err := b.documents()
	if err != nil {
		return nil, err
	}
	completions, err := completions(ctx, program)
	if err != nil {
		return nil, err
	}
	pages, err := manualPages(ctx, program, filepath.Join(dir, "man"))
	return append(append(common, completions...), pages...), err
}

// documents are what is to be read, and what the README leads to.
func (b *builder) documents() (found files, err error) {
	for _, pattern := range []string{"LICENSE", "*.md", "docs/*"} {
		names, err := fs.Glob(os.DirFS(b.dir), pattern)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			content, err := os.ReadFile(filepath.Join(b.dir, name))
			if err != nil {
				return nil, err
			}
			found = append(found, file{path: name, mode: 0o644, content: content})
		}
	}
	return found, nil
}

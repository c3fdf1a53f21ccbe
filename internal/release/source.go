package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// source is a clean clone of the repository at the commit that is released.
type source struct {
	dir     string
	version string
	time    time.Time // of everything in the archives
}

// clone clones a repository into dir, at the tag of the version or else at its head. There the clone has that
// tag and no other, from which the Go tool stamps the version into the program.
func clone(ctx context.Context, repository, dir, version string) (*source, error) {
	commit, err := git(ctx, repository, "rev-parse", "--verify", "--quiet", "refs/tags/"+version+"^{commit}")
	if err != nil {
		commit, err = git(ctx, repository, "rev-parse", "--verify", "HEAD^{commit}")
	}
	if err != nil {
		return nil, err
	}
	for _, args := range [][]string{
		{"clone", "--quiet", "--no-checkout", "--no-tags", ".", dir},
		{"-C", dir, "checkout", "--quiet", "--detach", commit},
		{"-C", dir, "tag", "--no-sign", version},
	} {
		if _, err := git(ctx, repository, args...); err != nil {
			return nil, err
		}
	}
	s := &source{dir: dir, version: version}
	s.time, err = epoch(ctx, dir)
	return s, err
}

// git runs git in a directory, and gives what it prints.
func git(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", append([]string{"-c", "core.autocrlf=false"}, args...)...)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w%s", strings.Join(args, " "), err, stderrOf(err))
	}
	return strings.TrimSpace(string(out)), nil
}

// stderrOf is what a program that failed has said about it.
func stderrOf(err error) string {
	var exit *exec.ExitError
	if errors.As(err, &exit) && len(exit.Stderr) > 0 {
		return ": " + strings.TrimSpace(string(exit.Stderr))
	}
	return ""
}

// epoch is the time that files get: SOURCE_DATE_EPOCH (reproducible-builds.org/specs/source-date-epoch), or
// the commit's.
func epoch(ctx context.Context, dir string) (time.Time, error) {
	text, from := os.Getenv("SOURCE_DATE_EPOCH"), "SOURCE_DATE_EPOCH"
	if text == "" {
		var err error
		if text, err = git(ctx, dir, "log", "-1", "--format=%ct"); err != nil {
			return time.Time{}, err
		}
		from = "the commit's time"
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("read %s: %w", from, err)
	}
	return time.Unix(seconds, 0).UTC(), nil
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// target is one fuzz target.
type target struct {
	pkg
	name   string
	binary string // its package's tests, made for fuzzing
	cache  string // where inputs that cover more are kept
}

// pkg is what `go list -json` tells of a package.
type pkg struct {
	ImportPath, Dir           string
	TestGoFiles, XTestGoFiles []string
}

// find builds the tests of the packages that have fuzz targets, in dir, and asks them.
func find(ctx context.Context, dir string, packages []string) (targets []target, err error) {
	all, err := list(ctx, packages)
	if err != nil {
		return nil, err
	}
	cache, err := output(ctx, "", "go", "env", "GOCACHE")
	if err != nil {
		return nil, err
	}
	for i, p := range all {
		has, err := p.mayFuzz()
		if err != nil {
			return nil, err
		}
		if !has {
			continue
		}
		t := target{
			pkg: p, binary: filepath.Join(dir, fmt.Sprint(i)),
			cache: filepath.Join(strings.TrimSpace(cache), "fuzz", p.ImportPath),
		}
		names, err := t.build(ctx)
		if err != nil {
			return nil, err
		}
		for _, t.name = range names {
			targets = append(targets, t)
		}
	}
	if len(targets) == 0 {
		return nil, errors.New("there are no fuzz targets")
	}
	return targets, nil
}

func list(ctx context.Context, packages []string) (all []pkg, err error) {
	if len(packages) == 0 {
		packages = []string{"./..."}
	}
	text, err := output(ctx, "", "go", slices.Concat([]string{"list", "-json=ImportPath,Dir,TestGoFiles,XTestGoFiles"}, packages)...)
	if err != nil {
		return nil, err
	}
	for d := json.NewDecoder(strings.NewReader(text)); ; {
		var p pkg
		if err := d.Decode(&p); err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return all, err
		}
		all = append(all, p)
	}
}

// mayFuzz saves the build of a package whose tests do not look as if they had a target.
func (p *pkg) mayFuzz() (bool, error) {
	for _, name := range slices.Concat(p.TestGoFiles, p.XTestGoFiles) {
		b, err := os.ReadFile(filepath.Join(p.Dir, name))
		if err != nil || bytes.Contains(b, []byte("\nfunc Fuzz")) {
			return true, err
		}
	}
	return false, nil
}

// build makes the package's tests and gives the names of the targets.
func (t *target) build(ctx context.Context) (names []string, err error) {
	if _, err := output(ctx, "", "go", "test", "-c", "-fuzz=.", "-o", t.binary, t.ImportPath); err != nil {
		return nil, err
	}
	text, err := output(ctx, t.Dir, t.binary, "-test.list=^Fuzz")
	return strings.Fields(text), err
}

// fuzz runs the target on one processor, and gives a line about it or all that it said.
func (t *target) fuzz(ctx context.Context, limit time.Duration) (text string, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, t.binary,
		"-test.run=^$", "-test.fuzz=^"+t.name+"$", "-test.parallel=1", "-test.fuzzminimizetime=10x",
		"-test.fuzzcachedir="+t.cache)
	var out bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = t.Dir, &out, &out
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = time.Minute
	err = cmd.Run()
	name := t.ImportPath + "." + t.name
	if err != nil && !interrupted(err) {
		return out.String() + t.input(out.String()), fmt.Errorf("%s: %w", name, err)
	}
	return name + ": " + progress(out.String()), nil
}

// interrupted reports whether a target failed in nothing: it ended well when it was told to.
func interrupted(err error) bool {
	var failed *exec.ExitError
	return errors.Is(err, context.DeadlineExceeded) && !errors.As(err, &failed)
}

// progress is what was said last of executions and coverage.
func progress(out string) string {
	said := regexp.MustCompile(`execs: (\d+) .*new interesting: (\d+)`).FindAllStringSubmatch(out, -1)
	if len(said) == 0 {
		return "ended before it had begun"
	}
	last := said[len(said)-1]
	return fmt.Sprintf("%s executions, %s inputs that cover more", last[1], last[2])
}

// input is the input that failed, as go test wrote it down.
func (t *target) input(out string) string {
	at := regexp.MustCompile(`testdata/fuzz/\S+`).FindString(out)
	if at == "" {
		return ""
	}
	b, err := os.ReadFile(filepath.Join(t.Dir, at))
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%s:\n%s", filepath.Join(t.Dir, at), b)
}

// output runs a program and gives what it printed.
func output(ctx context.Context, dir, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	var stderr bytes.Buffer
	cmd.Dir, cmd.Stderr = dir, &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", filepath.Base(program), strings.Join(args, " "), err, &stderr)
	}
	return string(out), nil
}

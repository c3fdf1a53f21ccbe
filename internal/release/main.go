// Command release makes what a release consists of: for each platform an archive with the program,
// its licences, man pages and completions; SHA256SUMS of the archives; and a Homebrew formula.
//
//	go run ./internal/release -version v0.1.0 -out dist/release
//
// It takes nothing but what is committed, from a clean clone: at the tag of the version, or at the
// head where there is no such tag. Whoever does so elsewhere with the same Go gets the same
// bytes: paths, clocks, users and the environment do not get into them (SOURCE_DATE_EPOCH is
// heeded, else the commit's time is taken), and a test compares.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// run makes a release as the command line says.
func run(ctx context.Context, args []string, stdout io.Writer) error {
	r := release{platforms: platforms()}
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	flags.StringVar(&r.version, "version", "", "the release's `VERSION`, such as v0.1.0")
	out := flags.String("out", filepath.Join("dist", "release"), "`DIR` that gets a directory of the version's name")
	flags.StringVar(&r.repository, "repository", ".", "git repository `DIR`")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := checkVersion(r.version); err != nil {
		return err
	}
	dir := filepath.Join(*out, r.version)
	if _, err := os.Lstat(dir); err == nil {
		return fmt.Errorf("%s is there already: remove it first", dir)
	}
	archives, err := r.archives(ctx)
	if err != nil {
		return err
	}
	sums := sumsOf(archives)
	formula, err := formulaOf(r.version, sums)
	if err != nil {
		return err
	}
	archives["SHA256SUMS"], archives["nixnfsd.rb"] = []byte(sums), formula
	if err := writeAll(dir, archives); err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "%s\n%s", dir, sums)
	return err
}

// checkVersion refuses what is no version that the Go tool would take from a tag.
func checkVersion(version string) error {
	semantic := regexp.MustCompile(`^v(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}(-[0-9A-Za-z.-]+)?$`)
	if !semantic.MatchString(version) {
		return fmt.Errorf("-version %q is no semantic version: give one like v0.1.0", version)
	}
	return nil
}

// release is what is to be made.
type release struct {
	version    string // with its v
	repository string
	platforms  []platform
	env        []string // for the Go tool, beyond the process's own
}

// archives makes the archives, by their names.
func (r *release) archives(ctx context.Context) (made map[string][]byte, err error) {
	dir, err := os.MkdirTemp("", "release")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	src, err := clone(ctx, r.repository, filepath.Join(dir, "src"), r.version)
	if err != nil {
		return nil, err
	}
	b := builder{source: src, env: r.env}
	common, err := b.common(ctx, filepath.Join(dir, "host"))
	if err != nil {
		return nil, err
	}
	made = map[string][]byte{}
	for _, p := range r.platforms {
		name := p.name(r.version)
		particular, err := b.files(ctx, p, filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		if made[name+".tar.gz"], err = append(particular, common...).archive(name, src.time); err != nil {
			return nil, err
		}
	}
	return made, nil
}

// writeAll writes files into a directory, which it makes.
func writeAll(dir string, content map[string][]byte) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, c := range content {
		if err := os.WriteFile(filepath.Join(dir, name), c, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// platform is an operating system on a processor, as the Go tool names them.
type platform struct{ os, arch string }

func platforms() []platform {
	return []platform{{"darwin", "amd64"}, {"darwin", "arm64"}, {"linux", "amd64"}, {"linux", "arm64"}}
}

// name is what an archive for the platform is called, without its ending.
func (p platform) name(version string) string {
	return strings.Join([]string{"nixnfsd", version, p.os, p.arch}, "-")
}

package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"

	"github.com/spf13/pflag"

	"github.com/nixnfsd/nixnfsd/internal/xdg"
	"github.com/nixnfsd/nixnfsd/mount"
)

// dirOptions are the flags that name the server's directories.
type dirOptions struct {
	upper, work, state string
	lowers             []string
}

func (o *dirOptions) add(flags *pflag.FlagSet) {
	flags.Var((*dirFlag)(&o.upper), "upper", "writable `DIR` that is served (default: in the user's data directory)")
	flags.StringArrayVar(&o.lowers, "lower", nil, "read-only `DIR` beneath it; may be repeated, the first wins")
	flags.Var((*dirFlag)(&o.work), "work", "`DIR` for what is half-made, on the upper's file system and for nothing else: it has to be empty at first (default: beside the upper)")
	flags.Var((*dirFlag)(&o.state), "state", "`DIR` for what keeps file handles valid after a restart (default: in the user's state directory, one for each upper)")
}

// addState adds the flags that a running server is found by.
func (o *dirOptions) addState(flags *pflag.FlagSet) {
	flags.Var((*dirFlag)(&o.upper), "upper", "the `DIR` that the server has as its upper, as it was given")
	flags.Var((*dirFlag)(&o.state), "state", "the `DIR` that it has for its state, where it was given one")
}

// dirFlag is a directory that is given with a flag: "" would be taken for none.
type dirFlag string

// Set takes the flag's value.
func (f *dirFlag) Set(s string) error {
	if s == "" {
		return errors.New("give a directory, or leave the flag out")
	}
	*f = dirFlag(s)
	return nil
}

// String is the flag's value.
func (f *dirFlag) String() string { return string(*f) }

// Type is what help calls a value where the flag's own text does not say.
func (f *dirFlag) Type() string { return "DIR" }

// places gives the places of the user's, which need no home where all is given.
func (o *dirOptions) places() (places, error) {
	home, err := userHome()
	if err != nil && (o.upper == "" || o.state == "") {
		return places{}, fmt.Errorf("find the home directory: %w; give --upper and --state", err)
	}
	return userPlaces(runtime.GOOS, home, os.Getenv), nil
}

// userHome is the user's home. What a relative path names changes with the working directory.
func userHome() (string, error) {
	home, err := os.UserHomeDir()
	if err == nil && !filepath.IsAbs(home) {
		err = fmt.Errorf("$HOME is %q, which is no absolute path", home)
	}
	return home, err
}

// refuseSudo refuses root the home of another user: what root made there would be nobody's but root's,
// and links in it lead root wherever that user likes. sudo(8) leaves HOME as it is on macOS.
func refuseSudo() error {
	home, err := userHome()
	if err != nil || os.Geteuid() != 0 {
		return nil // what needs a home says so
	}
	info, err := os.Stat(home)
	if err != nil {
		return nil // it is nobody's yet
	}
	if uid := info.Sys().(*syscall.Stat_t).Uid; uid != 0 {
		return fmt.Errorf("this is run by root, and the home %s belongs to uid %d: run it as that user, without sudo", home, uid)
	}
	return nil
}

// stateDir is the state directory of the server that was given the same flags.
func (o *dirOptions) stateDir() (string, error) {
	if o.state != "" {
		return o.state, nil
	}
	p, err := o.places()
	return o.layout(defaultExport, p).State, err
}

// places are where a system keeps a user's data and state.
type places struct{ data, state string }

// userPlaces are beneath the XDG base directories, and on macOS in ~/Library.
func userPlaces(goos, home string, getenv func(string) string) places {
	if goos == "darwin" {
		library := filepath.Join(home, "Library")
		return places{data: filepath.Join(library, "nixnfsd"), state: filepath.Join(library, "Application Support", "nixnfsd")}
	}
	dirs := xdg.Of(home, getenv)
	return places{data: filepath.Join(dirs.Data, "nixnfsd"), state: filepath.Join(dirs.State, "nixnfsd")}
}

// layout fills in what no flag says.
func (o *dirOptions) layout(export string, p places) mount.Layout {
	l := mount.Layout{MountPoint: export, Upper: o.upper, Work: o.work, State: o.state, Lowers: o.lowers}
	standard := filepath.Join(p.data, "upper")
	if l.Upper == "" {
		l.Upper = standard
	}
	if l.Work == "" {
		l.Work = workBeside(l.Upper)
	}
	if l.State == "" {
		l.State = p.state
		if filepath.Clean(l.Upper) != standard {
			l.State = filepath.Join(p.state, stateName(l.Upper))
		}
	}
	return l
}

// resolve gives the directories with every symbolic link followed.
func (o *dirOptions) resolve(export string) (mount.Layout, error) {
	if slices.Contains(o.lowers, "") {
		return mount.Layout{}, usage(errors.New("--lower is given without a directory: give one, or leave the flag out"))
	}
	p, err := o.places()
	if err != nil {
		return mount.Layout{}, err
	}
	return o.layout(export, p).Resolve()
}

// stateName names the state of an upper that is not the standard one. Each has
// its own: two servers with one state would lose each other's file handles.
func stateName(upper string) string {
	if abs, err := filepath.Abs(upper); err == nil {
		upper = abs
	}
	const enough = 8 // bytes of the hash to tell a user's directories apart
	sum := sha256.Sum256([]byte(upper))
	return fmt.Sprintf("upper-%x", sum[:enough])
}

// workBeside is the work directory of an upper: named after it, so that two
// uppers in one directory do not share theirs.
func workBeside(upper string) string {
	if dir, name := filepath.Split(filepath.Clean(upper)); name == "upper" {
		return filepath.Join(dir, "work")
	}
	return filepath.Clean(upper) + ".work"
}

// makeDirs makes what is not there. Only the upper may be open to others: the
// rights in it are the user's business. The overlay makes the work directory,
// which it does not need to read.
func makeDirs(l mount.Layout) error { return eachDir(l, makeDir) }

// checkDirs says which of these are there and no directories.
func checkDirs(l mount.Layout) error {
	return eachDir(l, func(path string, _ fs.FileMode) error {
		err := isDir(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
}

func eachDir(l mount.Layout, do func(path string, mode fs.FileMode) error) error {
	for _, d := range []struct {
		flag, path string
		mode       fs.FileMode
	}{{"--upper", l.Upper, 0o755}, {"--state", l.State, 0o700}} {
		if err := do(d.path, d.mode); err != nil {
			return fmt.Errorf("%s: %w: choose a directory of yours", d.flag, err)
		}
	}
	return nil
}

func makeDir(path string, mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	err := os.Mkdir(path, mode)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	return isDir(path)
}

func isDir(path string) error {
	info, err := os.Stat(path)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is no directory", path)
	}
	return err
}

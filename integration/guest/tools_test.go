//go:build linux

package guest

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/testenv"
)

// How many files the trees have that tar and cp handle, and git.
const (
	toolTreeFiles = 3000
	gitTreeFiles  = 2100
)

// A tool runs programs in one directory, with an environment that holds
// nothing of the user's.
type tool struct {
	*testing.T
	dir string
	env []string
}

// newTool skips the test where a program is missing.
func newTool(t *testing.T, dir string, programs ...string) *tool {
	t.Helper()
	for _, program := range programs {
		_, err := exec.LookPath(program)
		testenv.Require(t, err == nil, program+" is not installed")
	}
	env := []string{
		"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "HOME=" + t.TempDir(), "TMPDIR=" + t.TempDir(),
		"GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=test", "GIT_AUTHOR_EMAIL=test@example.org",
		"GIT_COMMITTER_NAME=test", "GIT_COMMITTER_EMAIL=test@example.org",
	}
	return &tool{T: t, dir: dir, env: env}
}

// run runs a program and returns what it printed.
func (w *tool) run(name string, args ...string) string {
	w.Helper()
	cmd := exec.CommandContext(w.Context(), name, args...)
	cmd.Dir, cmd.Env = w.dir, w.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.Fatalf("%s: %v\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// copied reads a tree to compare it with a copy of it: inode numbers go, and
// the link counts of directories, which file systems count in their own ways.
func copied(t *testing.T, root string) tree {
	t.Helper()
	tr := readTree(t, root)
	for name, e := range tr {
		e.Ino = 0
		if e.Mode.IsDir() {
			e.Nlink = 0
		}
		tr[name] = e
	}
	return tr
}

// toolTree makes a tree with hard links, read-only files and directories.
func toolTree(t *testing.T, root string) {
	t.Helper()
	writeTree(t, root, "tools", toolTreeFiles)
	names, err := filepath.Glob(root + "/d00/s0/f*0")
	try(t, err)
	for i, name := range names {
		if fi, err := os.Lstat(name); err == nil && fi.Mode().IsRegular() {
			try(t, os.Link(name, filepath.Join(root, fmt.Sprint("hard link ", i))))
			try(t, os.Chmod(name, 0o444))
		}
	}
	try(t, os.Mkdir(root+"/read-only", 0o755))
	try(t, os.WriteFile(root+"/read-only/f", nil, 0o444))
	try(t, os.Chmod(root+"/read-only", 0o555))
	t.Cleanup(func() { makeWritable(t, root) })
}

// makeWritable opens directories to those who remove the tree.
func makeWritable(t *testing.T, root string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			err = os.Chmod(path, 0o755)
		}
		return err
	})
	if err != nil {
		t.Errorf("make %s writable: %v", root, err)
	}
}

// TestTar unpacks a tree, compares it, copies it and removes it.
func TestTar(t *testing.T) {
	w := newTool(t, Dir(t), "tar", "cp", "diff", "rm")
	source := filepath.Join(Plain(t), "tree")
	toolTree(t, source)
	want := copied(t, source)
	archive := filepath.Join(t.TempDir(), "tree.tar")
	w.run("tar", "--format=posix", "-cf", archive, "-C", source, ".")

	unpacked, copy := filepath.Join(w.dir, "unpacked"), filepath.Join(w.dir, "copy")
	try(t, os.Mkdir(unpacked, 0o755))
	w.run("tar", "-xpf", archive, "-C", unpacked)
	t.Cleanup(func() { makeWritable(t, unpacked) })
	w.run("tar", "-df", archive, "-C", unpacked)
	if d := diff(copied(t, unpacked), want); d != "" {
		t.Errorf("unpacked tree:\n%s", d)
	}
	w.run("cp", "-a", unpacked, copy)
	t.Cleanup(func() { makeWritable(t, copy) })
	w.run("diff", "-r", "--no-dereference", source, copy)
	if d := diff(copied(t, copy), want); d != "" {
		t.Errorf("copied tree:\n%s", d)
	}
}

// TestGit takes a repository of a few thousand files through its life.
func TestGit(t *testing.T) {
	w := newTool(t, Dir(t), "git", "diff")
	repo := &tool{T: t, dir: filepath.Join(w.dir, "repo"), env: w.env}
	w.run("git", "init", "-q", "-b", "main", "repo")
	for i := range 3 {
		writeTree(t, fmt.Sprintf("%s/part-%d", repo.dir, i), fmt.Sprint("git ", i), gitTreeFiles/3)
		if i > 0 {
			changeTree(t, fmt.Sprintf("%s/part-%d", repo.dir, i-1))
		}
		repo.run("git", "add", "--all")
		repo.run("git", "commit", "-q", "-m", fmt.Sprint("part ", i))
	}
	repo.clean()
	for _, how := range [][]string{{"--local"}, {"--no-local"}} {
		name := "clone" + how[0]
		w.run("git", "clone", "-q", how[0], "repo", name)
		clone := &tool{T: t, dir: filepath.Join(w.dir, name), env: w.env}
		clone.clean()
	}
	w.run("diff", "-r", "--no-dereference", "-x", ".git", "-x", "*.empty", "repo", "clone--no-local")
	repo.run("git", "checkout", "-q", "-b", "old", "HEAD~2")
	repo.clean()
	repo.run("git", "checkout", "-q", "main")
	repo.run("git", "gc", "-q", "--prune=now")
	repo.clean()
	if got := repo.run("git", "log", "--format=%s"); got != "part 2\npart 1\npart 0" {
		t.Errorf("log: got %q", got)
	}
}

// clean checks a repository and its working tree.
func (w *tool) clean() {
	w.Helper()
	w.run("git", "fsck", "--full", "--strict")
	if got := w.run("git", "status", "--porcelain"); got != "" {
		w.Errorf("status: got %q, want nothing", got)
	}
}

// changeTree changes, renames and removes some files of a tree of writeTree.
func changeTree(t *testing.T, root string) {
	t.Helper()
	names, err := filepath.Glob(root + "/d*/s0/f*5")
	try(t, err)
	slices.Sort(names)
	for i, name := range names {
		switch i % 3 {
		case 0:
			try(t, os.WriteFile(name, []byte("changed\n"), 0o644))
		case 1:
			try(t, os.Rename(name, name+"-renamed"))
		default:
			try(t, os.Remove(name))
		}
	}
}

// TestFio writes through several jobs at once and reads it back, comparing
// checksums.
func TestFio(t *testing.T) {
	tests := []struct {
		name string
		args []string
	}{
		{"random", []string{"--rw=randrw", "--bs=4k", "--ioengine=psync"}},
		{"odd-sizes", []string{"--rw=randwrite", "--bsrange=512-100k", "--bs_unaligned=1", "--ioengine=psync"}},
		{"sequential", []string{"--rw=write", "--bs=128k", "--ioengine=psync", "--end_fsync=1"}},
		{"mmap", []string{"--rw=randrw", "--bs=4k", "--ioengine=mmap"}},
		{"direct", []string{"--rw=randwrite", "--bs=16k", "--direct=1", "--ioengine=psync"}},
		{"fsync", []string{"--rw=randwrite", "--bs=8k", "--fsync=32", "--ioengine=psync"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newTool(t, Dir(t), "fio")
			common := []string{
				"--name=" + tt.name, "--directory=" + w.dir, "--thread", "--numjobs=3", "--size=4m", "--minimal",
				"--verify=crc32c", "--verify_fatal=1", "--do_verify=1", "--randrepeat=1", "--fallocate=none",
			}
			w.run("fio", append(common, tt.args...)...)
		})
	}
}

// TestOverFio has eight jobs write to files of the lower layers and of the upper, each
// to its own and all to one, and read back, comparing checksums.
func TestOverFio(t *testing.T) {
	const size = 2 << 20 // of a job's part
	fio := func(dir, name string, args ...string) {
		t.Helper()
		common := []string{
			"--name=" + name, "--directory=" + dir, "--thread", "--numjobs=8", fmt.Sprint("--size=", size), "--minimal",
			"--ioengine=psync", "--verify=crc32c", "--verify_fatal=1", "--fallocate=none",
		}
		newTool(t, dir, "fio").run("fio", append(common, args...)...)
	}
	shared := []string{"--filename=shared", fmt.Sprint("--offset_increment=", size)}
	l := layered(t, func(lowers []string) {
		fio(lowers[0], "first", "--rw=write", "--bs=64k", "--do_verify=0")
		fio(lowers[1], "second", "--rw=write", "--bs=64k", "--do_verify=0")
		fio(lowers[1], "shared", append(shared, "--rw=write", "--bs=64k", "--do_verify=0")...)
	})
	before := []tree{readTree(t, l.lowers[0]), readTree(t, l.lowers[1])}
	for _, name := range []string{"first", "second"} {
		fio(l.merged, name, "--rw=write", "--bs=64k", "--verify_only")
		fio(l.merged, name, "--rw=randrw", "--bs=4k", "--do_verify=1")
		fio(l.merged, name, "--rw=randwrite", "--bsrange=512-100k", "--bs_unaligned=1", "--do_verify=1")
	}
	fio(l.merged, "shared", append(shared, "--rw=write", "--bs=64k", "--verify_only")...)
	fio(l.merged, "shared", append(shared, "--rw=randwrite", "--bs=4k", "--do_verify=1")...)
	fio(l.merged, "new", "--rw=randwrite", "--bs=16k", "--fsync=32", "--do_verify=1")
	for i, lower := range l.lowers {
		if d := diff(readTree(t, lower), before[i]); d != "" {
			t.Errorf("lower layer %d changed:\n%s", i, d)
		}
	}
}

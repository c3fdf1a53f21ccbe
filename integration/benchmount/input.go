package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
)

const (
	filesPerDir   = 8  // as in a typical store path
	packagesShare = 20 // one package to evaluate for so many files of the tree
)

// makeInput makes in the user's home what the operations take: a tree, the same as a tar file and as a
// git repository, and something to evaluate.
func (g *guest) makeInput(ctx context.Context) error {
	if err := writeTree(filepath.Join(g.home, "tree"), g.files); err != nil {
		return err
	}
	if err := writePackages(filepath.Join(g.home, "packages"), max(g.files/packagesShare, 2)); err != nil {
		return err
	}
	if err := command(ctx, "chown", "-R", fmt.Sprint(user, ":", user), g.home); err != nil {
		return err
	}
	return g.shell(ctx, "tar -cf tree.tar tree && cp -r tree repository && cd repository && git init -q && "+
		"git add . && git commit -qm all && git repack -adq && mv .git ../tree.git && rm -r ../repository")
}

// writeTree makes a tree of n files whose sizes are spread as a store's are: half have less than
// 2 KB, a tenth 18 KB or more. One in ten has the contents of others.
func writeTree(root string, n int) error {
	r := rand.New(rand.NewPCG(1, 2))
	for i := range n {
		dir := filepath.Join(root, fmt.Sprintf("part-%02d", i/filesPerDir%40), fmt.Sprintf("directory-%03d", i/filesPerDir/40))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("file-%05d", i)), contents(r, i), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// contents are those of the i-th file of the tree.
func contents(r *rand.Rand, i int) []byte {
	b := make([]byte, r.IntN(3600))
	switch i % 10 {
	case 0:
		b = make([]byte, 18<<10+r.IntN(12<<10))
	case 5:
		return fmt.Appendf(nil, "the same as others: %d\n", i%100)
	}
	for k := range b {
		b[k] = byte(' ' + r.IntN(64))
	}
	return b
}

// callAll applies each file of a directory of packages to all packages, as nixpkgs does.
const callAll = `let
  names = builtins.attrNames (builtins.readDir ./by-name);
  all = builtins.listToAttrs (map (name: {
    inherit name;
    value = import (./by-name + "/${name}/package.nix") all;
  }) names);
in all
`

// aPackage needs two others, and reads a file beside it.
const aPackage = `all: derivation {
  name = "package-%[1]d";
  system = "x86_64-linux";
  builder = ./builder.sh;
  settings = builtins.readFile ./settings;
  inputs = [ %[2]s ];
}
`

// writePackages makes n packages, each of which needs two of those before it.
func writePackages(root string, n int) error {
	for i := range n {
		inputs := ""
		if i > 0 {
			inputs = fmt.Sprintf("all.package-%d all.package-%d", i/2, i-1)
		}
		dir := filepath.Join(root, "by-name", fmt.Sprint("package-", i))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		for name, text := range map[string]string{
			"package.nix": fmt.Sprintf(aPackage, i, inputs),
			"builder.sh":  fmt.Sprintf("echo %d >$out\n", i%50),
			"settings":    fmt.Sprintf("number = %d\n", i),
		} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				return err
			}
		}
	}
	return os.WriteFile(filepath.Join(root, "default.nix"), []byte(callAll), 0o644)
}

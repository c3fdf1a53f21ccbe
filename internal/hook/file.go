package hook

import (
	"os"
	"path/filepath"

	"github.com/nixnfsd/nixnfsd/internal/shell"
)

// File is a start-up file, and the shell that reads it.
type File struct {
	Path  string
	Shell shell.Kind
}

// Files are the start-up files of the shells that a user of the system goos has, by what is in his
// home and in his configuration directory, where fish has its own. Nothing but names is looked at.
//
// Zsh reads ~/.zshenv always, and no update of macOS replaces it. But a login shell of macOS then runs
// path_helper(8), which puts the system's directories first: ~/.zprofile, which comes after it,
// puts that right. Bash reads the first of three files as a login shell, and others of
// the POSIX shells the last of them.
func Files(goos, home, configs string) []File {
	at := func(name string) string { return filepath.Join(home, name) }
	files := []File{{at(".profile"), shell.Bash}}
	for _, name := range []string{".bash_profile", ".bash_login"} {
		if there(at(name)) {
			files = append(files, File{at(name), shell.Bash})
			break
		}
	}
	if goos == "darwin" || there(at(".zshenv")) || there(at(".zshrc")) || there(at(".zprofile")) {
		files = append(files, File{at(".zshenv"), shell.Zsh})
	}
	if goos == "darwin" {
		files = append(files, File{at(".zprofile"), shell.Zsh})
	}
	if fish := filepath.Join(configs, "fish"); there(fish) {
		files = append(files, File{filepath.Join(fish, "conf.d", "nixnfsd.fish"), shell.Fish})
	}
	return files
}

func there(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

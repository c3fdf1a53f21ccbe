package overlay_test

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/nixnfsd/nixnfsd/internal/testenv"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// sameAsKernel mounts the layers with the kernel's overlayfs and compares.
func (tr *tree) sameAsKernel() {
	t := tr.t
	t.Helper()
	point := t.TempDir()
	err := syscall.Mount("overlay", point, "overlay", 0, "redirect_dir=follow,lowerdir="+strings.Join(tr.trusted(), ":"))
	testenv.Require(t, err == nil, fmt.Sprintf("cannot mount the kernel's overlayfs: %v", err))
	defer func() {
		if err := syscall.Unmount(point, 0); err != nil {
			t.Error(err)
		}
	}()
	got, want := map[string]string{}, map[string]string{}
	tr.describe(tr.Root(), "", got)
	err = filepath.WalkDir(point, func(path string, d os.DirEntry, err error) error {
		if err != nil || path == point {
			return err
		}
		i, err := d.Info()
		if err != nil {
			return err
		}
		st := i.Sys().(*syscall.Stat_t)
		data := ""
		switch st.Mode & overlay.ModeType {
		case overlay.ModeRegular:
			b, _ := os.ReadFile(path)
			data = string(b)
		case overlay.ModeSymlink:
			data, _ = os.Readlink(path)
		}
		want[path[len(point):]] = fmt.Sprintf("%o %q %d", st.Mode, data, i.ModTime().UnixNano())
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	for path := range got { // of the other names of a copy the kernel knows nothing
		if _, ok := want[path]; ok && got[path] == copyOfSeveral {
			want[path] = copyOfSeveral
		}
	}
	if !maps.Equal(got, want) {
		for path := range want {
			if got[path] != want[path] {
				t.Errorf("%s is %q, and to the kernel %q", path, got[path], want[path])
			}
		}
		for path := range got {
			if want[path] == "" {
				t.Errorf("%s is %q, and not there to the kernel", path, got[path])
			}
		}
	}
}

// trusted copies the layers and gives the copies their marks as trusted.overlay: under
// user.overlay the kernel follows no redirect.
func (tr *tree) trusted() (layers []string) {
	dir := tr.t.TempDir()
	for i, layer := range append([]string{tr.options.Upper}, tr.options.Lowers...) {
		to := filepath.Join(dir, fmt.Sprint(i))
		if out, err := exec.CommandContext(tr.t.Context(), "cp", "-a", layer, to).CombinedOutput(); err != nil {
			tr.t.Fatalf("copy a layer: %v: %s", err, out)
		}
		err := filepath.WalkDir(to, func(path string, d os.DirEntry, err error) error {
			if err == nil && (d.IsDir() || d.Type().IsRegular()) {
				err = trustMarks(path)
			}
			return err
		})
		testenv.Require(tr.t, err == nil, fmt.Sprintf("cannot set trusted marks: %v", err))
		layers = append(layers, to)
	}
	return layers
}

func trustMarks(path string) error {
	for _, mark := range []string{"whiteout", "opaque", "redirect", "impure"} {
		b := make([]byte, 1<<16)
		n, err := syscall.Getxattr(path, "user.overlay."+mark, b)
		if err == syscall.ENODATA {
			continue
		}
		if err == nil {
			err = syscall.Setxattr(path, "trusted.overlay."+mark, b[:n], 0)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// copyOfSeveral describes a file that was copied up with several names.
const copyOfSeveral = "a copy with several names"

func (tr *tree) describe(dir overlay.ID, path string, into map[string]string) {
	for _, name := range tr.list(dir) {
		var a, d overlay.Attr
		if _, err := tr.Lookup(worker, dir, []byte(name), &a, &d); err != nil {
			tr.t.Errorf("%s/%s: %v", path, name, err)
			continue
		}
		data := ""
		switch a.Mode & overlay.ModeType {
		case overlay.ModeRegular:
			data = tr.read(a.ID)
		case overlay.ModeSymlink:
			b, _ := tr.Readlink(a.ID, nil, &a)
			data = string(b)
		}
		into[path+"/"+name] = fmt.Sprintf("%o %q %d", a.Mode, data, a.Mtime.Sec*1e9+int64(a.Mtime.Nsec))
		if _, err := os.Lstat(fmt.Sprintf("%s.work/index/%016x%016x", tr.options.Upper, a.ID.Fileid, a.ID.Gen)); err == nil {
			into[path+"/"+name] = copyOfSeveral
		}
		if a.IsDir() {
			tr.describe(a.ID, path+"/"+name, into)
		}
	}
}

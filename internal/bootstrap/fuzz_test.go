package bootstrap

import (
	"archive/tar"
	"path"
	"strings"
	"testing"
)

// FuzzEntry has no entry of a tarball lead out of its store path.
func FuzzEntry(f *testing.F) {
	const folder = "nix-2.0-x86_64-linux"
	base := folder + "/store/" + strings.Repeat("0", 32) + "-a"
	f.Add(folder+"/install", "", byte(tar.TypeReg), int64(0o755))
	f.Add(base+"/", "", byte(tar.TypeDir), int64(0o755))
	f.Add(base+"/link", "../..", byte(tar.TypeSymlink), int64(0))
	f.Add(base+"/../x", "", byte(tar.TypeReg), int64(0))
	f.Fuzz(func(t *testing.T, name, link string, flag byte, mode int64) {
		r := &reader{folder: folder}
		e, err := r.check(&tar.Header{Name: name, Linkname: link, Typeflag: flag, Mode: mode})
		if err != nil || e == nil {
			return
		}
		inside := path.Join("/store", e.base, e.name)
		below := inside == "/store/"+e.base || strings.HasPrefix(inside, "/store/"+e.base+"/")
		switch {
		case e.base != "" && (!isStoreName(e.base) || !below || strings.Contains("/"+e.name+"/", "/../")):
			t.Errorf("%q of %q leads elsewhere", e.name, e.base)
		case e.base == "" && (e.name == "" || strings.ContainsAny(e.name, "/\x00")):
			t.Errorf("%q is beside the store", e.name)
		case strings.ContainsRune(e.name+e.target, 0):
			t.Errorf("%q, %q cannot be made", e.name, e.target)
		}
	})
}

// FuzzRegistration has what is read of a registration be store paths.
func FuzzRegistration(f *testing.F) {
	p := storeDir + "/" + strings.Repeat("0", 32) + "-a\n"
	f.Add(p + "sha256:" + strings.Repeat("0", 64) + "\n120\n\n1\n" + p)
	f.Fuzz(func(t *testing.T, text string) {
		all, err := parseRegistration(text)
		for _, r := range all {
			if err != nil || !isStoreName(r.base) || r.size < 0 {
				t.Errorf("%+v, %v", r, err)
			}
		}
	})
}

func TestIsStoreName(t *testing.T) {
	const hash = "0123456789abcdfghijklmnpqrsvwxyz"
	long := strings.Repeat("x", 211)
	for name, want := range map[string]bool{
		hash + "-nix-2.30.1":    true,
		hash + "-a":             true,
		hash + "-+_?=.-Z9":      true,
		hash + "-" + long:       true,
		hash + "-" + long + "x": false,
		hash + "-":              false,
		hash + "-.a":            false,
		hash + "-a/b":           false,
		hash + "-a b":           false,
		hash + "-a\n":           false,
		hash + "-\u00e4":        false,
		hash:                    false,
		hash[1:] + "-a":         false,
		hash + "0-a":            false,
		strings.Replace(hash, "a", "e", 1) + "-a":    false,
		strings.Replace(hash, "a", "A", 1) + "-a":    false,
		strings.Replace(hash, "a", "\x00", 1) + "-a": false,
		"": false,
	} {
		if got := isStoreName(name); got != want {
			t.Errorf("%q: got %t", name, got)
		}
	}
}

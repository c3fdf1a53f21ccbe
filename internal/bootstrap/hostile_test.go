package bootstrap_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/nixnfsd/nixnfsd/integration/nixtarball"
	"github.com/nixnfsd/nixnfsd/internal/bootstrap"
)

const storeOf = "nix-2.0-x86_64-linux/store/"

// instead has another entry come in the place of the one of that name.
func instead(name string, change func(h *tar.Header, content []byte) []byte) edit {
	return func(h *tar.Header, content []byte, put func(*tar.Header, []byte)) {
		if strings.TrimSuffix(h.Name, "/") == "nix-2.0-x86_64-linux/"+name {
			content = change(h, content)
		}
		put(h, content)
	}
}

// program has the entry of bin/nix be something else.
func program(change func(h *tar.Header)) edit {
	return instead("store/"+nixtarball.Base("nix-2.0")+"/bin/nix", func(h *tar.Header, _ []byte) []byte {
		change(h)
		return nil
	})
}

func named(name string) edit { return program(func(h *tar.Header) { h.Name = name }) }

func typed(flag byte) edit {
	return program(func(h *tar.Header) { h.Typeflag, h.Linkname = flag, storeOf+nixtarball.Base("nix-2.0")+"/same" })
}

func linked(name, target string) edit {
	return program(func(h *tar.Header) { *h = tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: target} })
}

func directory(name string) edit {
	return program(func(h *tar.Header) { *h = tar.Header{Name: name, Typeflag: tar.TypeDir} })
}

// more has another entry come last.
func more(name string) edit {
	return func(h *tar.Header, content []byte, put func(*tar.Header, []byte)) {
		put(h, content)
		if strings.HasSuffix(h.Name, "/ca-bundle.crt") {
			put(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644}, nil)
		}
	}
}

func text(name, old, new string) edit {
	return instead(name, func(_ *tar.Header, b []byte) []byte { return []byte(strings.Replace(string(b), old, new, 1)) })
}

// moved has an entry be under another name.
func moved(name, to, content string) edit {
	return instead(name, func(h *tar.Header, _ []byte) []byte {
		h.Name = to
		return []byte(content)
	})
}

func without(part string) edit {
	return func(h *tar.Header, content []byte, put func(*tar.Header, []byte)) {
		if !strings.Contains(h.Name, part) {
			put(h, content)
		}
	}
}

// hostile is a tarball, and what is said of it.
type hostile struct {
	name string
	edit edit
	want string
}

// hostileEntries have an entry that is wrong.
func hostileEntries() []hostile {
	nix := nixtarball.Base("nix-2.0")
	return []hostile{
		{"up", named(storeOf + nix + "/../../../../../etc/passwd"), "is no name in a folder"},
		{"up at the end", named(storeOf + nix + "/bin/.."), "is no name in a folder"},
		{"absolute", named("/etc/passwd"), "is no name in a folder"},
		{"dot", named(storeOf + nix + "/./bin/nix"), "is no name in a folder"},
		{"another folder", named("nix-2.1-x86_64-linux/install"), "is beside its folder"},
		{"beside the store", named("nix-2.0-x86_64-linux/var/nix"), "is neither in its store nor a file beside it"},
		{"no store path", named(storeOf + ".links/x"), "is no name of a store path"},
		{"no hash", named(storeOf + "nix-2.0/bin"), "is no name of a store path"},
		{"not registered", more(storeOf + nixtarball.Base("other")), "is not in its registration"},
		{"too long", named(storeOf + nix + "/" + strings.Repeat("n", 256)), "is no name in a folder"},
		{"too deep", named(storeOf + nix + strings.Repeat("/d", 2500)), "is no name in a folder"},
		{"hard link", typed(tar.TypeLink), "is neither a file nor a directory nor a symbolic link"},
		{"device", typed(tar.TypeChar), "is neither a file"},
		{"block device", typed(tar.TypeBlock), "is neither a file"},
		{"FIFO", typed(tar.TypeFifo), "is neither a file"},
		{"link without a target", linked(storeOf+nix+"/bin/nix", ""), "without a proper target"},
		{"store that is a link", program(func(h *tar.Header) {
			*h = tar.Header{Name: "nix-2.0-x86_64-linux/store", Typeflag: tar.TypeSymlink, Linkname: "/etc"}
		}), "is no directory"},
		{"top that is a link", program(func(h *tar.Header) {
			*h = tar.Header{Name: "nix-2.0-x86_64-linux/x", Typeflag: tar.TypeSymlink, Linkname: "/etc"}
		}), "is neither in its store"},
		// Behind the link of that name, which leads elsewhere.
		{"through a link", named(storeOf + nix + "/bin/nix-store/x"), "comes before its directory"},
		{"a directory for a file", directory(storeOf + nix + "/Same"), "comes twice"},
		{"twice", named(storeOf + nix + "/Same"), "comes twice"},
		{"a directory twice", directory(storeOf + nix + "/bin"), "comes twice"},
		{"a path again", more(storeOf + nixtarball.Base("lib-1") + "/x"), "comes again"},
		{"a file too many", more(storeOf + nixtarball.Base("nss-cacert") + "/x"), "is not what it is registered as"},
		{"no directory", without("/bin/"), "is not what it is registered as"},
		{"other bytes", instead("store/"+nix+"/same", func(*tar.Header, []byte) []byte { return []byte("hostile") }), "is not what it is registered as"},
		{"other mode", program(func(h *tar.Header) { h.Mode = 0o644 }), "is not what it is registered as"},
	}
}

// hostileWholes lack something, or their registration or script is wrong.
func hostileWholes() []hostile {
	nix := nixtarball.Base("nix-2.0")
	return []hostile{
		{"a path too few", without(nixtarball.Base("nss-cacert")), "is registered, and not in its store"},
		{"no registration", without(".reginfo"), "its store comes before its registration"},
		{"no script", without("/install"), "its store comes before"},
		{"no store", without("/store/"), "is registered, and not in its store"},
		{"nothing", without(""), "it is empty"},
		{"another folder's name", moved("install", "evil/install", ""), "and not nix-VERSION-SYSTEM"},
		{"registration of elsewhere", text(".reginfo", "/nix/store/", "/etc/"), "where a store path has to be"},
		{"registration with a bad hash", text(".reginfo", "sha256:", "sha256:x"), "is no SHA-256"},
		{"registration that is cut", text(".reginfo", "\n\n0\n", "\n\n99\n"), "cannot be read"},
		{"registration that is negative", text(".reginfo", "\n\n0\n", "\n\n-1\n"), "cannot be read"},
		{"reference that is not there", text(".reginfo", "\n\n0\n", "\n\n1\n/nix/store/"+nixtarball.Base("gone")+"\n"), "is referred to, and not in it"},
		{"two registrations", moved("install-multi-user", "nix-2.0-x86_64-linux/.reginfo", "x"), "where a store path has to be"},
		{"script with another path", text("install", nix, nixtarball.Base("other")), "is to be installed, and not in its registration"},
	}
}

// TestHostile refuses tarballs, and leaves nothing of them.
func TestHostile(t *testing.T) {
	for _, tt := range append(hostileEntries(), hostileWholes()...) {
		t.Run(tt.name, func(t *testing.T) {
			s := newScene(t)
			_, err := s.unpack(t.Context(), bytes.NewReader(packed(t, tarball(), tt.edit)))
			var format *bootstrap.FormatError
			if !errors.As(err, &format) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if names := s.names(); len(names) > 0 {
				t.Errorf("%q are left", names)
			}
		})
	}
}

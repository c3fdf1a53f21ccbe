package mount

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/procnet"
)

// FuzzTables reads anything as each of the texts in which a system tells of mounts and
// sockets, and a line that the kernel would write about anything.
func FuzzTables(f *testing.F) {
	f.Add("36 35 0:40 / /nix rw,nosuid shared:1 - nfs 127.0.0.1:/nix rw,vers=3,port=12049\n", "a b", "rw", uint16(1))
	f.Add("   0: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A 0:0 0:0 0 501 0 5 1\n", "a\u00a0b\r\v", "a\tb", uint16(12049))
	f.Add(nfsstat, `a\040b\`, "x=\\134", uint16(2049))
	f.Add("p4711\ncnixnfsd\nu501\n", "é\u2003\u0085", "vers=3", uint16(0))
	f.Fuzz(func(t *testing.T, text, dir, option string, port uint16) {
		lines := strings.Count(text, "\n") + 1
		table, err := parseMountinfo(text)
		sockets := slices.Collect(procnet.Parse(text))
		if err == nil && len(table) > lines || len(sockets) > lines {
			t.Errorf("%d lines are %d mounts or %d sockets", lines, len(table), len(sockets))
		}
		for i := range table {
			table[i].Server()
			table[i].Export()
		}
		parseNfsstat(text)
		parseLsof(text)
		checkMountinfo(t, dir, option)
		checkSocket(t, text, port)
	})
}

// checkMountinfo reads a mount back from the kernel's line (show_mountinfo in
// fs/proc_namespace.c), in which only blanks, newlines, backslashes and # are escaped.
func checkMountinfo(t *testing.T, dir, option string) {
	t.Helper()
	if dir = "/" + dir; strings.ContainsAny(dir+option, "\x00,") || strings.Contains(option, "\n") {
		return
	}
	mangle := strings.NewReplacer(" ", `\040`, "\t", `\011`, "\n", `\012`, `\`, `\134`, "#", `\043`).Replace
	line := fmt.Sprintf("36 35 0:40 / %s rw - nfs 127.0.0.1:%s rw,%s\n", mangle(dir), mangle(dir), mangle(option))
	got, err := parseMountinfo(line)
	if err != nil || len(got) != 1 || got[0].Dir != dir || got[0].From != "127.0.0.1:"+dir || got[0].Export() != dir || option != "" && !slices.Contains(got[0].Options, option) {
		t.Errorf("%q is read as %q, %v", line, got, err)
	}
}

// checkSocket reads a socket back as Linux prints it, addresses word by word.
func checkSocket(t *testing.T, bytes string, port uint16) {
	t.Helper()
	for _, n := range []int{4, 16} {
		if len(bytes) < n {
			return
		}
		addr, _ := netip.AddrFromSlice([]byte(bytes[:n]))
		text := ""
		for i := 0; i < n; i += 4 {
			text += fmt.Sprintf("%08X", binary.LittleEndian.Uint32([]byte(bytes[i:])))
		}
		line := fmt.Sprintf(" 1: %s:%04X %s:0001 0A 0:0 0:0 0 501 0 77 1\n", text, port, text)
		want := procnet.Socket{
			Local: netip.AddrPortFrom(addr.Unmap(), port), Remote: netip.AddrPortFrom(addr.Unmap(), 1),
			State: procnet.Listen, UID: 501, Inode: 77,
		}
		if got := slices.Collect(procnet.Parse(line)); len(got) != 1 || got[0] != want {
			t.Errorf("%q is read as %+v, want %+v", line, got, want)
		}
	}
}

// FuzzLayout follows paths over symbolic links of any kind: where the system gets to, so does
// resolve, and never into the mount point.
func FuzzLayout(f *testing.F) {
	f.Add("d/a", "../b", "d/c", "d")
	f.Add("a/x", "/", "a", "a")
	f.Add("b", "d/../a", "d/c", "c")
	f.Add("d/c/f", "c", "./d//", "../..")
	f.Fuzz(func(t *testing.T, path, a, b, c string) {
		root := t.TempDir()
		if err := errors.Join(os.Mkdir(root+"/d", 0o755), os.Mkdir(root+"/nix", 0o755), os.WriteFile(root+"/f", nil, 0o644)); err != nil {
			t.Fatal(err)
		}
		for name, target := range map[string]string{"a": a, "d/b": b, "d/c": c, "nix/in": "../d", "d/nix": "../nix"} {
			_ = os.Symlink(target, filepath.Join(root, name)) // not all texts are targets
		}
		path = filepath.Join(root, path)
		want, wantErr := filepath.EvalSymlinks(path)
		got, err := resolve(path, "")
		if wantErr == nil && (err != nil || got != want) {
			t.Errorf("%s leads to %s; got %s, %v", path, want, got, err)
		}
		point := filepath.Join(root, "nix")
		got, err = resolve(path, point)
		switch {
		case err == nil && inside(got, point):
			t.Errorf("%s leads into the mount point and is let through", path)
		case wantErr == nil && err == nil && got != want:
			t.Errorf("%s leads to %s; got %s", path, want, got)
		case wantErr == nil && inside(want, point) && !errors.Is(err, errMountPoint):
			t.Errorf("%s leads to %s; got %s, %v", path, want, got, err)
		}
	})
}

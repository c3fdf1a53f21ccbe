package posixtest

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// oddNames are names that a store may hold and a file system may confuse.
func oddNames() map[string][]string {
	return map[string][]string{
		"spaces":         {" ", "  ", " a", "a ", "a b"},
		"control":        {"a\nb", "\n", "\t", "\x01", "\x7f", "a\rb"},
		"punctuation":    {`a\b`, `\`, "*", "?", `"`, "'", "|", "<", ">", ":", "a:b", "~", "$HOME", "%2F", "-rf", "#"},
		"dots":           {"...", ".a", "..a", "a.", "a..", ".DS_Store", "._a", ".git"},
		"unicode":        {"日本語", "ünï", "Ω", "😀", "a\u200bb", "\ufeff", "ß", "ſ"},
		"normal-forms":   {"caf\u00e9", "cafe\u0301", "\u212b", "\u00c5", "A\u030a", "\uac00", "\u1100\u1161"},
		"invalid-utf8":   {"\xff", "\xff\xfe", "a\x80", "\xc3", "\xed\xa0\x80", "\xc0\xaf"},
		"case-pairs":     {"case", "CASE", "Case", "cAsE", "é", "É", "ß", "SS", "ss", "ı", "I", "i", "İ"},
		"windows":        {"con", "NUL", "aux.txt", "a.", "LPT1"},
		"overlay-like":   {".wh.a", ".wh..wh..opq", "#1234", "a.nixnfsd-tmp"},
		"like-nix-store": {"0000000000-hello-2.12.1", "abc.drv", "abc.lock", ".links", "abc.drv.chroot"},
	}
}

func nameCases() []testCase {
	var cases []testCase
	for kind, names := range oddNames() {
		cases = append(cases, testCase{name: kind, run: func(p *place) { keepsNames(p, names) }})
	}
	return append(cases, []testCase{
		{name: "every-byte", run: func(p *place) {
			var names []string
			for b := range 256 {
				if b != 0 && b != '/' {
					names = append(names, "b"+string([]byte{byte(b)}))
				}
			}
			for _, name := range names {
				p.file(name, name)
			}
			p.entries("", names...)
		}},
		{name: "every-length", run: func(p *place) {
			var names []string
			for n := 1; n <= 255; n += 2 {
				names = append(names, strings.Repeat("n", n))
				p.file(names[len(names)-1], fmt.Sprint(n))
			}
			p.entries("", names...)
			for _, name := range names {
				p.content(name, fmt.Sprint(len(name)))
			}
		}},
		{name: "longest-of-every-type", run: func(p *place) {
			name := strings.Repeat("n", 254)
			p.file(name+"f", "x")
			p.mkdir(name + "d")
			p.symlink("x", name+"s")
			p.link(name+"f", name+"l")
			p.rename(name+"f", name+"r")
			p.entries("", name+"d", name+"s", name+"l", name+"r")
		}},
		{name: "longest-in-bytes-not-characters", run: func(p *place) {
			name := strings.Repeat("é", 127)
			p.file(name+"x", "x")
			p.entries("", name+"x")
			p.refused("256 bytes", p.openErr(name+"xx", createNew, 0o644), unix.ENAMETOOLONG)
		}},
		{name: "case-is-kept-and-told-apart", run: func(p *place) {
			p.file("README", "1")
			p.gone("readme")
			p.refused("open", p.openErr("readme", unix.O_RDONLY, 0), unix.ENOENT)
			p.mkdir("readme")
			p.entries("", "README", "readme")
			p.unlink("README")
			p.entries("", "readme")
		}},
		{name: "normal-form-is-kept-and-told-apart", run: func(p *place) {
			p.file("caf\u00e9", "composed")
			p.gone("cafe\u0301")
			p.file("cafe\u0301", "decomposed")
			p.content("caf\u00e9", "composed")
			p.unlink("caf\u00e9")
			p.entries("", "cafe\u0301")
		}},
		{name: "longest-path", run: func(p *place) {
			dir := p.dir
			for i := 0; len(dir)+201 < 4000; i++ {
				dir += "/" + strings.Repeat("p", 200)
			}
			p.try(os.MkdirAll(dir, 0o755))
			p.try(os.WriteFile(dir+"/f", []byte("x"), 0o644))
			_, err := os.Stat(dir + "/f")
			p.try(err)
			err = unix.Access(dir+"/"+strings.Repeat("p/", 300), unix.F_OK)
			p.refused("over 4096 bytes", err, unix.ENAMETOOLONG)
		}},
	}...)
}

// keepsNames makes files of the names, reads them by name and lists them, as
// directories and symlinks too, and removes them.
func keepsNames(p *place, names []string) {
	for _, name := range names {
		p.file(name, "content of "+name)
	}
	p.entries("", names...)
	for _, name := range names {
		p.content(name, "content of "+name)
		p.unlink(name)
		p.try(os.Mkdir(p.path(name), 0o755))
	}
	p.entries("", names...)
	for _, name := range names {
		p.try(unix.Rmdir(p.path(name)))
		p.symlink(name, name)
	}
	p.entries("", names...)
	for _, name := range names {
		p.target(name, name)
		p.unlink(name)
	}
	p.entries("")
}

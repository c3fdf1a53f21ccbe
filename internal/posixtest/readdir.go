package posixtest

import (
	"fmt"
	"io"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

func readdirCases(f Facts) []testCase {
	return []testCase{
		{name: "empty", run: func(p *place) {
			p.mkdir("d")
			p.entries("d")
			same(p, "names", fmt.Sprint(direntNames(p.dirents(p.dirfd("d")))), "[. ..]")
		}},
		{name: "one", run: func(p *place) {
			p.mkdir("d/f")
			p.entries("d", "f")
		}},
		{name: "thousand", run: func(p *place) { p.entries("", p.links(1000)...) }},
		{name: "inode-numbers-and-types", run: func(p *place) {
			p.mkdir("dir")
			p.file("file", "x")
			p.symlink("file", "symlink")
			p.link("file", "link")
			p.try(unix.Mkfifo(p.path("fifo"), 0o644))
			p.checkDirents()
		}},
		{name: "inode-numbers-after-changes", run: func(p *place) {
			p.links(50)
			p.mkdir("d")
			p.file("new", "x")
			p.rename("new", "renamed")
			p.chmod("renamed", 0o400)
			p.rename("0", "d/0")
			p.checkDirents()
		}},
		{name: "sees-each-change-at-once", run: func(p *place) {
			for i := range 20 {
				name := fmt.Sprint(i)
				p.file(name, "x")
				p.entries("", name)
				p.rename(name, name+"b")
				p.entries("", name+"b")
				p.unlink(name + "b")
				p.entries("")
			}
		}},
		{name: "rewind", run: func(p *place) {
			want := p.links(300)
			d := p.open("", unix.O_RDONLY, 0)
			for range 3 {
				got, err := d.Readdirnames(-1)
				p.try(err)
				slices.Sort(got)
				same(p, "equal", slices.Equal(got, slices.Sorted(slices.Values(want))), true)
				_, err = d.Seek(0, io.SeekStart)
				p.try(err)
			}
		}},
		{name: "rewind-sees-changes", run: func(p *place) {
			d := p.open("", unix.O_RDONLY, 0)
			p.file("a", "x")
			names, err := d.Readdirnames(-1)
			p.try(err)
			same(p, "first", fmt.Sprint(names), "[a]")
			p.rename("a", "b")
			_, err = d.Seek(0, io.SeekStart)
			p.try(err)
			names, err = d.Readdirnames(-1)
			p.try(err)
			same(p, "second", fmt.Sprint(names), "[b]")
		}},
		{name: "while-adding", run: func(p *place) {
			before := p.links(1000)
			seen := p.walk("", 50, func(i int, _ []string) {
				p.file(fmt.Sprint("added", i), "x")
			})
			p.sawOnce(seen, before)
		}},
		{name: "while-renaming-others", run: func(p *place) {
			before := p.links(600)
			p.file("x0", "x")
			seen := p.walk("", 20, func(i int, _ []string) {
				p.rename(fmt.Sprint("x", i), fmt.Sprint("x", i+1))
			})
			p.sawOnce(seen, before)
		}},
		{name: "while-removing-half", run: func(p *place) {
			names := p.links(1000)
			var kept []string
			for i, name := range names {
				if i%2 == 0 {
					kept = append(kept, name)
				}
			}
			seen := p.walk("", 64, func(i int, _ []string) {
				for k := i * 64; k < (i+1)*64 && k < len(names); k++ {
					if k%2 == 1 {
						p.unlink(names[k])
					}
				}
			})
			p.sawOnce(seen, kept)
		}},
		{name: "largest", run: func(p *place) {
			p.mkdir("d")
			big := &place{T: p.T, dir: p.path("d"), facts: p.facts}
			want := big.links(f.entries())
			big.sawOnce(big.walk("", 0, func(int, []string) {}), want)
			left := len(want)
			big.walk("", 500, func(_ int, names []string) {
				for _, name := range names {
					big.unlink(name)
				}
				left -= len(names)
			})
			same(p, "left after removing what one pass listed", left, 0)
			p.try(unix.Rmdir(p.path("d")))
		}},
	}
}

// links makes n names for one file, which costs less than n files.
func (p *place) links(n int) []string {
	p.Helper()
	var names []string
	original := p.dir + ".original"
	p.try(os.WriteFile(original, nil, 0o644))
	for i := range n {
		names = append(names, fmt.Sprint(i))
		p.try(unix.Link(original, p.path(names[i])))
	}
	p.try(os.Remove(original))
	return names
}

// walk lists a directory in portions (0: all at once), and has something done
// after each.
func (p *place) walk(name string, portion int, do func(i int, names []string)) []string {
	p.Helper()
	d := p.open(name, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	defer d.Close()
	var seen []string
	for i := 0; ; i++ {
		names, err := d.Readdirnames(portion)
		seen = append(seen, names...)
		do(i, names)
		if err == io.EOF || portion == 0 {
			return seen
		}
		p.try(err)
	}
}

// sawOnce checks that a listing held the names that were there all the time,
// and none twice.
func (p *place) sawOnce(seen, want []string) {
	p.Helper()
	count := make(map[string]int, len(seen))
	for _, name := range seen {
		count[name]++
		if count[name] == 2 {
			p.Errorf("%q was listed twice", name)
		}
	}
	missing := 0
	for _, name := range want {
		if count[name] == 0 {
			missing++
		}
	}
	same(p, "names that were not listed", missing, 0)
}

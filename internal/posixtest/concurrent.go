package posixtest

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// parallel is how many goroutines work against one another.
const parallel = 8

func concurrentCases() []testCase {
	return []testCase{
		{name: "create-different-names", run: func(p *place) {
			p.atOnce(func(w int) error {
				for i := range 40 {
					name := p.path(fmt.Sprintf("%d-%d", w, i))
					if err := os.WriteFile(name, []byte(name), 0o644); err != nil {
						return err
					}
				}
				return nil
			})
			list, err := os.ReadDir(p.dir)
			p.try(err)
			same(p, "entries", len(list), 40*parallel)
			for _, e := range list {
				p.content(e.Name(), p.path(e.Name()))
			}
		}},
		{name: "excl-has-one-winner", run: func(p *place) {
			for i := range 30 {
				p.oneWins(func(int) error { return p.openErr(fmt.Sprint(i), createNew, 0o644) })
			}
		}},
		{name: "mkdir-has-one-winner", run: func(p *place) {
			for i := range 30 {
				p.oneWins(func(int) error { return unix.Mkdir(p.path(fmt.Sprint(i)), 0o755) })
			}
		}},
		{name: "link-has-one-winner", run: func(p *place) {
			for w := range parallel {
				p.file(fmt.Sprint("from", w), fmt.Sprint(w))
			}
			for i := range 30 {
				p.oneWins(func(w int) error { return unix.Link(p.path(fmt.Sprint("from", w)), p.path(fmt.Sprint(i))) })
			}
		}},
		{name: "unlink-has-one-winner", run: func(p *place) {
			for range 30 {
				p.file("f", "x")
				p.oneSucceeds(unix.ENOENT, func(int) error { return unix.Unlink(p.path("f")) })
			}
		}},
		{name: "rename-has-one-winner", run: func(p *place) {
			for range 30 {
				p.file("f", "x")
				p.oneSucceeds(unix.ENOENT, func(w int) error { return unix.Rename(p.path("f"), p.path(fmt.Sprint("to", w))) })
			}
		}},
		{name: "appends-are-whole", run: func(p *place) {
			p.file("f", "")
			p.atOnce(func(w int) error { return appendLines(p.path("f"), w) })
			got, err := os.ReadFile(p.path("f"))
			p.try(err)
			lines := strings.SplitAfter(strings.TrimSuffix(string(got), "\n"), "\n")
			same(p, "lines", len(lines), 25*parallel)
			slices.Sort(lines)
			same(p, "different lines", len(slices.Compact(lines)), 25*parallel)
		}},
		{name: "replaced-file-is-always-there", run: func(p *place) {
			p.file("f", "0000000000")
			p.atOnce(func(w int) error {
				if w%2 == 0 {
					return replace(p, w)
				}
				return readWhole(p.path("f"))
			})
			p.entries("", "f")
		}},
		{name: "renames-in-a-ring", run: func(p *place) {
			p.mkdir("a", "b", "c")
			for w := range parallel {
				p.file(fmt.Sprint("a/", w), fmt.Sprint(w))
			}
			p.atOnce(func(w int) error {
				for i := range 30 {
					from, to := "abc"[i%3], "abc"[(i+1)%3]
					if err := unix.Rename(p.path(fmt.Sprintf("%c/%d", from, w)), p.path(fmt.Sprintf("%c/%d", to, w))); err != nil {
						return err
					}
				}
				return nil
			})
			for w := range parallel {
				p.content(fmt.Sprint("a/", w), fmt.Sprint(w))
			}
			p.entries("b")
		}},
		{name: "directories-renamed-into-one-another", run: func(p *place) {
			// No order of these may lose a directory or make a loop.
			p.mkdir("a", "b")
			p.atOnce(func(w int) error {
				for range 20 {
					from, to := "a", "b/a"
					if w%2 == 1 {
						from, to = "b", "a/b"
					}
					if unix.Rename(p.path(from), p.path(to)) == nil {
						if err := unix.Rename(p.path(to), p.path(from)); err != nil && !errors.Is(err, unix.ENOENT) {
							return err
						}
					}
				}
				return nil
			})
			p.entries("", "a", "b")
		}},
		{name: "make-and-remove-trees", run: func(p *place) {
			p.atOnce(func(w int) error {
				for i := range 5 {
					top := p.path(fmt.Sprintf("%d-%d", w, i))
					if err := os.MkdirAll(top+"/a/b/c", 0o755); err != nil {
						return err
					}
					if err := os.WriteFile(top+"/a/b/f", []byte("x"), 0o444); err != nil {
						return err
					}
					if err := os.RemoveAll(top); err != nil {
						return err
					}
				}
				return nil
			})
			p.entries("")
		}},
		{name: "writers-of-one-file", run: func(p *place) {
			f := p.open("f", createRW, 0o644)
			p.atOnce(func(w int) error {
				for i := w; i < 400; i += parallel {
					if _, err := f.WriteAt([]byte(fmt.Sprintf("%09d\n", i)), int64(i)*10); err != nil {
						return err
					}
				}
				return f.Sync()
			})
			var want strings.Builder
			for i := range 400 {
				fmt.Fprintf(&want, "%09d\n", i)
			}
			p.content("f", want.String())
		}},
		{name: "list-while-others-work", run: func(p *place) {
			kept := p.links(200)
			p.atOnce(func(w int) error {
				if w < parallel-2 {
					return comeAndGo(p.path(fmt.Sprint("tmp", w)), 30)
				}
				for range 5 {
					p.sawOnce(p.walk("", 30, func(int, []string) {}), kept)
				}
				return nil
			})
		}},
	}
}

// atOnce runs a function in parallel and fails the case on any error.
func (p *place) atOnce(do func(worker int) error) {
	p.Helper()
	for _, err := range p.results(do) {
		if err != nil {
			p.Error(err)
		}
	}
}

func (p *place) results(do func(worker int) error) []error {
	errs := make([]error, parallel)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for w := range parallel {
		wg.Go(func() {
			<-start
			errs[w] = do(w)
		})
	}
	close(start)
	wg.Wait()
	return errs
}

// oneWins checks that one of the parallel calls makes a name.
func (p *place) oneWins(do func(worker int) error) {
	p.Helper()
	p.oneSucceeds(unix.EEXIST, do)
}

// oneSucceeds checks that one call succeeds and the others get the error.
func (p *place) oneSucceeds(others unix.Errno, do func(worker int) error) {
	p.Helper()
	winners := 0
	for _, err := range p.results(do) {
		if err == nil {
			winners++
			continue
		}
		p.refused("call that came too late", err, others)
	}
	same(p, "calls that succeeded", winners, 1)
}

func appendLines(name string, worker int) error {
	f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	for i := range 25 {
		if _, err := fmt.Fprintf(f, "worker %d line %d\n", worker, i); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	return f.Close()
}

// replace puts new files of ten equal digits in the place of f.
func replace(p *place, worker int) error {
	tmp := p.path(fmt.Sprint("tmp", worker))
	for i := range 20 {
		if err := os.WriteFile(tmp, []byte(strings.Repeat(fmt.Sprint(i%10), 10)), 0o644); err != nil {
			return err
		}
		if err := unix.Rename(tmp, p.path("f")); err != nil {
			return err
		}
	}
	return nil
}

// readWhole reads what replace puts there, and never something in between.
func readWhole(name string) error {
	for range 40 {
		got, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if len(got) != 10 || strings.Count(string(got), string(got[:1])) != 10 {
			return fmt.Errorf("read %q, want ten equal digits", got)
		}
	}
	return nil
}

// comeAndGo makes and removes a name again and again.
func comeAndGo(name string, times int) error {
	for range times {
		if err := os.WriteFile(name, nil, 0o644); err != nil {
			return err
		}
		if err := os.Remove(name); err != nil {
			return err
		}
	}
	return nil
}

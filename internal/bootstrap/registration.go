package bootstrap

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/nixnfsd/nixnfsd/internal/nar"
)

// storeDir is where Nix looks for store paths, whatever the mount point.
const storeDir = "/nix/store"

// registered is what the registration says of a store path.
type registered struct {
	base string
	hash nar.Hash
	size int64 // of the archive
}

// parseRegistration reads what nix-store --load-db reads (libstore, store-api.cc,
// decodeValidPathInfo): for each path its name, hash, size, deriver and references. All that is referred to
// has to be there.
func parseRegistration(text string) ([]registered, error) {
	p := &lines{strings.Split(strings.TrimSuffix(text, "\n"), "\n")}
	var all []registered
	var references []string
	known := map[string]bool{}
	for len(p.left) > 0 {
		r, refs, err := p.path()
		if err != nil {
			return nil, err
		}
		if known[r.base] {
			return nil, wrong("its registration has %s twice", r.base)
		}
		known[r.base] = true
		all, references = append(all, r), append(references, refs...)
	}
	for _, ref := range references {
		if !known[ref] {
			return nil, wrong("%s is referred to, and not in it", ref)
		}
	}
	return all, nil
}

// lines are those that were not read yet.
type lines struct{ left []string }

func (l *lines) next() string {
	if len(l.left) == 0 {
		return ""
	}
	s := l.left[0]
	l.left = l.left[1:]
	return s
}

func (l *lines) path() (r registered, references []string, err error) {
	if r.base, err = l.base(); err != nil {
		return r, nil, err
	}
	if r.hash, err = nar.ParseHash(l.next()); err != nil {
		return r, nil, wrong("its registration of %s: %v", r.base, err)
	}
	r.size, err = strconv.ParseInt(l.next(), 10, 64)
	l.next() // the deriver, which need not be there
	count, err2 := strconv.Atoi(l.next())
	if err != nil || err2 != nil || r.size < 0 || count < 0 || count > len(l.left) {
		return r, nil, wrong("its registration of %s cannot be read", r.base)
	}
	for range count {
		ref, err := l.base()
		if err != nil {
			return r, nil, err
		}
		references = append(references, ref)
	}
	return r, references, nil
}

func (l *lines) base() (string, error) {
	line := l.next()
	base, ok := strings.CutPrefix(line, storeDir+"/")
	if !ok || !isStoreName(base) {
		return "", wrong("its registration has %.300q where a store path has to be", line)
	}
	return base, nil
}

// script is what the install script says: the path of Nix, and that of the certificates.
type script struct{ nix, cacert string }

var assignment = regexp.MustCompile(`(?m)^(nix|cacert)="` + storeDir + `/([^"/]+)"$`)

// parseScript looks for the two lines that the release process has put into the script.
func parseScript(text string) script {
	var s script
	for _, m := range assignment.FindAllStringSubmatch(text, -1) {
		if m[1] == "nix" {
			s.nix = m[2]
		} else {
			s.cacert = m[2]
		}
	}
	return s
}

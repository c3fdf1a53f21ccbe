package model

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
)

// TestModelConcurrent plays a script in each of several directories at once, while
// another client reads in all of them: the answers stay those of the kernel, and so do the trees.
func TestModelConcurrent(t *testing.T) {
	rounds(t, *minStep/10, *minTime/10, playTogether)
}

// player plays a script in a directory of its own.
type player struct {
	name   string
	served *served
	kernel *kernel
	script []step
}

// withoutLinks are layers in which no file has names in several directories of players.
var withoutLinks = rapid.Map(genLayer(), func(layer []entry) []entry {
	return slices.DeleteFunc(layer, func(e entry) bool { return e.what == aLink })
})

func playTogether(t *rapid.T, at places) int {
	r := &run{T: t, places: at, ids: map[uint64]uint64{}}
	defer r.close()
	r.open(2, withoutLinks)
	var players []*player
	for _, name := range names {
		players = append(players, r.player(name))
	}
	reading := rapid.SliceOfN(genStep(readings), stepsARun, 3*stepsARun).Draw(t, "reader")
	errs := make(chan error, len(players)+1)
	var all sync.WaitGroup
	for _, p := range players {
		all.Go(func() { errs <- p.play() })
	}
	all.Go(func() { errs <- readAlong(*r.served, reading) })
	all.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			r.check(err.Error())
		}
	}
	for _, p := range players {
		r.steps += len(p.script)
		p.served.Close()
		p.kernel.letGo()
	}
	r.check(r.sameTrees())
	r.check(r.stop())
	r.check(r.sameInLayers())
	return r.steps + len(reading)
}

// player makes sure of a player's directory, and draws its script.
func (r *run) player(name string) *player {
	at := where("/" + name)
	r.check(r.do(step{remove{at, false}}))
	r.check(r.do(step{mkdir{at, 0o755}}))
	p := &player{name: name, kernel: newView(filepath.Join(r.kernel.root, name))}
	own := *r.served
	p.served = &own
	must(r, own.connect())
	var err error
	p.served.root, err = r.served.find(at)
	must(r, err)
	p.script = rapid.SliceOfN(genStep(readings, changes), stepsARun/3, stepsARun).Draw(r.T, "script")
	return p
}

func (p *player) play() error {
	for _, s := range p.script {
		o := s.do.(op)
		ours, theirs := o.ours(p.served), o.theirs(p.kernel)
		if ours.err != theirs.err || ours.data != theirs.data {
			return fmt.Errorf("in %s, %v: we say %v, %s, the kernel %v, %s", p.name, s, ours.err, abridge(ours.data), theirs.err, abridge(theirs.data))
		}
		if !slices.Equal(slices.Sorted(maps.Keys(ours.list)), slices.Sorted(maps.Keys(theirs.list))) {
			return fmt.Errorf("in %s, %v: we list %v, the kernel %v", p.name, s, ours.list, theirs.list)
		}
	}
	return nil
}

// readAlong reads where others write. What it finds is theirs to know; that it may have gone
// while it was looked at is all that can go wrong.
func readAlong(s served, script []step) error {
	if err := s.connect(); err != nil {
		return err
	}
	defer s.Close()
	for _, step := range script {
		a := step.do.(op).ours(&s)
		switch a.err {
		case nil, errNothingHeld, nfsclient.ErrNoEnt, nfsclient.ErrNotDir, nfsclient.ErrIsDir, nfsclient.ErrInval, nfsclient.ErrStale:
		default:
			return errors.Join(fmt.Errorf("beside others, %v", step), a.err)
		}
	}
	return nil
}

package nfs_test

import (
	"errors"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
	"github.com/nixnfsd/nixnfsd/internal/oncrpc"
	"github.com/nixnfsd/nixnfsd/internal/xdr"
	"github.com/nixnfsd/nixnfsd/overlay"
)

// FuzzProcedures makes the calls that a script says, by handles that it was given and
// changed ones, with names good and bad, on an overlay of real directories, with restarts in
// between. Each answer is understood and says that all is well or what is not; what is
// outside the upper stays as it is; no handle with a changed bit is good for anything; and
// fsck finds nothing in the end.
func FuzzProcedures(f *testing.F) {
	for seed := range uint64(6) {
		b := make([]byte, 250)
		for i, r := 0, rand.New(rand.NewPCG(seed, 8)); i < len(b); i++ {
			b[i] = byte(r.Uint32())
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		w := newLayered(
			t, []string{"a/", "a/b=1", "out->../secret", "c/", "c/up->../../../secret/s"},
			[]string{"a/", "a/c=2", "b=3", "b2==b", "c/", "c/a/", "d->a"},
		)
		outside := filepath.Join(filepath.Dir(w.o.Upper), "secret")
		layer(t, outside, "s=secret")
		was := describe(t, outside)
		p := &player{world: w, script: script, known: []nfsclient.FH{w.root}}
		for len(p.script) > 0 && !t.Failed() {
			p.step()
		}
		if got := describe(t, outside); got != was {
			t.Errorf("what is outside changed from\n%sto\n%s", was, got)
		}
		p.mustBeSound()
	})
}

// player makes calls.
type player struct {
	*world
	script []byte
	known  []nfsclient.FH
	// Of the present call:
	forged bool // by a handle with a changed bit
	bad    bool // with a name that nothing can have
}

// n takes a number below max from the script; 0 at its end.
func (p *player) n(max int) int {
	if len(p.script) == 0 {
		return 0
	}
	b := p.script[0]
	p.script = p.script[1:]
	return int(b) % max
}

// step makes one call, or starts the server anew.
func (p *player) step() {
	p.t.Helper()
	const nothing = 40 // of so many steps one is a restart
	switch op := p.n(nothing); op {
	case 0:
		p.restart()
	case 1:
		p.corrupt()
	default:
		p.call(nfsclient.NFSProc(uint32(op) % (nfsclient.ProcCommit + 1)))
	}
}

// args gives arguments for a procedure.
func (p *player) args(proc nfsclient.Proc) nfsclient.Args {
	p.forged, p.bad = false, false
	args := nfsclient.NewArgs(proc)
	v := reflect.ValueOf(args).Elem()
	for i := range v.NumField() {
		p.fill(v.Field(i))
	}
	switch a := args.(type) {
	case *nfsclient.WriteArgs:
		a.Count = uint32(len(a.Data))
	case *nfsclient.SymlinkArgs:
		p.bad = a.Target == "" || strings.Contains(a.Target, "\x00") || badName(a.Name)
	}
	return args
}

func (p *player) fill(v reflect.Value) {
	switch to := v.Addr().Interface().(type) {
	case *nfsclient.Proc:
	case *nfsclient.FH:
		*to = p.handle()
	case *string:
		*to = p.name()
	case *[]byte:
		*to = []byte(strings.Repeat("data", p.n(4)))
	case *nfsclient.SetAttr:
		*to = p.attr()
	case *nfsclient.Verf:
		to[0] = byte(p.n(2))
	case **nfsclient.Time:
		if p.n(4) == 0 {
			*to = &nfsclient.Time{Sec: 1}
		}
	default:
		v.SetUint(p.number() & (1<<v.Type().Bits() - 1))
	}
}

// handle gives a handle that the server gave out, changed now and then.
func (p *player) handle() nfsclient.FH {
	fh := p.known[p.n(len(p.known))]
	if p.n(16) != 15 {
		return fh
	}
	p.forged = true
	b := []byte(fh)
	b[p.n(len(b))] ^= 1 << p.n(8)
	return nfsclient.FH(b)
}

func (p *player) name() string {
	good := []string{
		"a", "b", "c", "d", "out", "up", "A", "new", "%41", "^a", "#1", "%~names", ".nfs.00000001.0001",
		strings.Repeat("x", 255), "../secret", "/", "a/b", "a\x00", "", strings.Repeat("x", 256),
	}
	name := good[p.n(len(good))]
	p.bad = p.bad || badName(name)
	return name
}

// badName reports whether nothing can have a name.
func badName(name string) bool {
	return name == "" || len(name) > 255 || strings.ContainsAny(name, "/\x00")
}

func (p *player) number() uint64 {
	numbers := []uint64{0, 1, 2, 3, 0o644, 0o755, 4096, 100, 1 << 16, 1<<31 - 1, 1 << 40, 1<<63 - 1, 1<<64 - 1}
	return numbers[p.n(len(numbers))]
}

func (p *player) attr() (a nfsclient.SetAttr) {
	set := p.n(64)
	for i, to := range []**uint32{&a.Mode, &a.UID, &a.GID} {
		if set&(1<<i) != 0 {
			*to = new(uint32(p.number()))
		}
	}
	if set&8 != 0 {
		a.Size = new(p.number())
	}
	a.Atime.How, a.Mtime.How = nfsclient.TimeHow(set>>4&1), nfsclient.TimeHow(set>>4)
	return a
}

// call makes a call and judges the answer.
func (p *player) call(proc nfsclient.Proc) {
	p.t.Helper()
	args, res := p.args(proc), nfsclient.NewResults(proc)
	err := p.Do(p.t.Context(), args, res)
	status, _ := errors.AsType[nfsclient.Status](err)
	switch {
	case err != nil && status == nfsclient.OK:
		if denied, ok := errors.AsType[*nfsclient.RPCError](err); !ok || denied.Reply.Accept != oncrpc.GarbageArgs {
			p.t.Errorf("%v %+v: %v", proc, args, err)
		}
	case status == nfsclient.ErrIO || status == nfsclient.ErrServerFault:
		p.t.Errorf("%v %+v: %v", proc, args, err)
	case status == nfsclient.OK && p.forged && proc.Num != nfsclient.ProcNull:
		p.t.Errorf("%v %+v: a changed handle is taken", proc, args)
	case status == nfsclient.OK && p.bad:
		p.t.Errorf("%v %+v: a bad name is taken", proc, args)
	case status == nfsclient.OK:
		p.learn(reflect.ValueOf(res).Elem())
	}
}

// learn keeps the handles of results.
func (p *player) learn(v reflect.Value) {
	switch at := v.Interface().(type) {
	case nfsclient.FH:
		if !slices.Contains(p.known, at) {
			p.known = append(p.known, at)
		}
	case *nfsclient.FH:
		if at != nil {
			p.learn(v.Elem())
		}
	case string:
		if strings.ContainsAny(at, "\x00") || v.Len() == 0 {
			p.t.Errorf("got the name or target %q", at)
		}
	case []byte:
	default:
		switch v.Kind() {
		case reflect.Struct:
			for i := range v.NumField() {
				p.learn(v.Field(i))
			}
		case reflect.Slice:
			for i := range v.Len() {
				p.learn(v.Index(i))
			}
		}
	}
}

// corrupt makes a call whose arguments are cut short, or changed in one byte: the answer is
// a reply, whatever it says.
func (p *player) corrupt() {
	p.t.Helper()
	proc := nfsclient.NFSProc(uint32(p.n(nfsclient.ProcCommit + 1)))
	var e xdr.Encoder
	p.args(proc).Encode(&e)
	b := e.B
	if len(b) > 0 {
		at := p.n(len(b))
		if p.n(2) == 0 {
			b = b[:at]
		} else {
			b[at] ^= byte(1 << p.n(8))
		}
	}
	r, results, err := p.Go(proc, b).Wait(p.t.Context())
	p.must("an answer to "+proc.String(), err)
	d := xdr.Decoder{B: results}
	if r.Accepted && r.Accept == oncrpc.Success {
		nfsclient.NewResults(proc).Decode(&d)
	}
	if d.Err != nil || d.Left() > 0 {
		p.t.Errorf("%v with % x: results % x: %v, %d bytes left", proc, b, results, d.Err, d.Left())
	}
}

// mustBeSound looks through the store when the server has stopped.
func (p *player) mustBeSound() {
	p.t.Helper()
	p.stop()
	p.stop = func() {}
	err := overlay.Fsck(p.t.Context(), p.o, false, func(f overlay.Problem) {
		if f.Kind != "needless-mark" {
			p.t.Errorf("fsck finds %s: %s: %s", f.Kind, f.Path, f.What)
		}
	})
	p.must("fsck", err)
}

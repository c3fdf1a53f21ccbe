package nfs_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
	"github.com/nixnfsd/nixnfsd/internal/oncrpc"
	"github.com/nixnfsd/nixnfsd/internal/xdr"
)

var update = flag.Bool("update", false, "write the replies into the golden transcripts")

// TestGolden plays the transcripts in testdata. A line that begins in the first
// column is a call, or a directive of script.play; the indented lines behind it
// are its reply; # begins a comment. What differs from run to run has a name: see
// names. Each file begins with an empty directory.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	seen := map[string]bool{}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := newScript(t, seen).run(want)
			if *update {
				err = os.WriteFile(file, got, 0o644)
			} else if d := cmp.Diff(string(want), string(got)); d != "" {
				t.Errorf("want -, got +:\n%s", d)
			}
			if err != nil {
				t.Fatal(err)
			}
		})
	}
	checkCovered(t, seen)
}

// checkCovered wants a success and a failure of each procedure that has both.
func checkCovered(t *testing.T, seen map[string]bool) {
	t.Helper()
	for num := range uint32(nfsclient.ProcCommit + 1) {
		name := nfsclient.NFSProc(num).String()
		if !seen[name+" OK"] || num > 0 && !seen[name+" failed"] {
			t.Errorf("no transcript has a success and a failure of %s", name)
		}
	}
	for num := range uint32(nfsclient.ProcExport + 1) {
		if name := nfsclient.MountProc(num).String(); !seen[name+" OK"] {
			t.Errorf("no transcript has a success of %s", name)
		}
	}
}

// script plays one transcript.
type script struct {
	w      *world
	client *nfsclient.Client
	names  *names
	seen   map[string]bool // procedures and how they came out
}

func newScript(t *testing.T, seen map[string]bool) *script {
	w := newWorld(t)
	s := &script{w: w, client: w.Client, names: newNames(w), seen: seen}
	return s
}

// run gives the transcript with the replies that came.
func (s *script) run(text []byte) []byte {
	var out bytes.Buffer
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		if strings.HasPrefix(line, "\t") {
			continue
		}
		fmt.Fprintln(&out, line)
		if line == "" || line[0] == '#' {
			continue
		}
		reply, err := s.play(line)
		if err != nil {
			s.w.t.Fatalf("line %d: %v", n, err)
		}
		for _, r := range reply {
			fmt.Fprintf(&out, "\t%s\n", r)
		}
	}
	return out.Bytes()
}

// play carries out a line:
//
//	PROCEDURE field=value …    a call, by the fields of its Args
//	ARGS PROGRAM VERSION PROCEDURE HEX    a call with arguments as they are
//	MESSAGE HEX    a message as it is, behind its xid
//	CRED FLAVOR [UID [GID]]    the credential of what follows
func (s *script) play(line string) ([]string, error) {
	verb, rest, _ := strings.Cut(line, " ")
	switch verb {
	case "CRED":
		cred, err := parseCred(strings.Fields(rest))
		s.client = s.client.As(cred)
		return nil, err
	case "ARGS":
		return s.playArgs(strings.Fields(rest))
	case "MESSAGE":
		b, err := hex.DecodeString(strings.ReplaceAll(rest, " ", ""))
		if err != nil {
			return nil, err
		}
		xid := s.client.XID()
		var e xdr.Encoder
		e.Uint32(xid)
		return s.reply(s.client.Send(xid, append(e.B, b...)), &nfsclient.VoidRes{}, verb), nil
	}
	args, res, err := newCall(verb)
	if err == nil {
		err = s.names.parseArgs(args, rest)
	}
	if err != nil {
		return nil, err
	}
	return s.reply(s.client.Start(args), res, verb), nil
}

func (s *script) playArgs(f []string) ([]string, error) {
	if len(f) < 3 {
		return nil, errors.New("ARGS PROGRAM VERSION PROCEDURE HEX")
	}
	var num [3]uint32
	for i := range num {
		v, err := strconv.ParseUint(f[i], 10, 32)
		if err != nil {
			return nil, err
		}
		num[i] = uint32(v)
	}
	b, err := hex.DecodeString(strings.Join(f[3:], ""))
	if err != nil {
		return nil, err
	}
	p := nfsclient.Proc{Prog: num[0], Vers: num[1], Num: num[2]}
	return s.reply(s.client.Go(p, b), &nfsclient.VoidRes{}, "ARGS"), nil
}

// reply gives a reply's lines.
func (s *script) reply(p *nfsclient.Pending, res nfsclient.Results, verb string) []string {
	err := p.Into(s.w.t.Context(), res)
	if _, ok := errors.AsType[*nfsclient.RPCError](err); ok {
		return []string{err.Error()}
	}
	status, ok := errors.AsType[nfsclient.Status](err)
	if err != nil && !ok {
		return []string{"error: " + err.Error()}
	}
	if status == nfsclient.OK {
		s.seen[verb+" OK"] = true
	} else {
		s.seen[verb+" failed"] = true
	}
	return append([]string{status.String()}, s.names.results(res, status != nfsclient.OK)...)
}

func parseCred(f []string) (c oncrpc.Cred, err error) {
	if len(f) == 0 {
		return c, errors.New("CRED none, owner, or a flavor, uid and gid")
	}
	switch f[0] {
	case "none":
		return c, nil
	case "owner":
		return owner(), nil
	}
	for i, to := range []*uint32{&c.Flavor, &c.UID, &c.GID} {
		if i < len(f) {
			v, err := strconv.ParseUint(f[i], 10, 32)
			if err != nil {
				return c, err
			}
			*to = uint32(v)
		}
	}
	return c, nil
}

// newCall makes the arguments and results that belong to a procedure's name.
func newCall(name string) (nfsclient.Args, nfsclient.Results, error) {
	for num := range uint32(nfsclient.ProcCommit + 1) {
		if p := nfsclient.NFSProc(num); p.String() == name {
			return nfsclient.NewArgs(p), nfsclient.NewResults(p), nil
		}
	}
	for num := range uint32(nfsclient.ProcExport + 1) {
		if p := nfsclient.MountProc(num); p.String() == name {
			return nfsclient.NewArgs(p), nfsclient.NewResults(p), nil
		}
	}
	if name == "UMNT1" {
		return &nfsclient.PathArgs{P: nfsclient.Proc{Prog: nfsclient.MountProgram, Vers: 1, Num: nfsclient.ProcUmnt}}, &nfsclient.VoidRes{}, nil
	}
	return nil, nil, fmt.Errorf("unknown procedure %s", name)
}

package oncrpc_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"testing"

	"github.com/buildbarn/go-xdr/pkg/protocols/rpcv2"

	"github.com/nixnfsd/nixnfsd/internal/oncrpc"
	"github.com/nixnfsd/nixnfsd/internal/xdr"
)

// FuzzRecords cuts a stream into records, which arrives in pieces of any size: both readers
// give what a plain reading of RFC 5531 §11 gives, and end as it does. The stream is
// plan: three bytes a fragment, of which the first are a mark's, with as many bytes behind
// it as it says, as long as there are any.
func FuzzRecords(f *testing.F) {
	f.Add([]byte{0x80, 0, 9, 0, 0, 0, 0, 0, 5, 0x80, 0, 1}, []byte{1, 255})
	f.Add([]byte{0, 1, 0, 0x80, 1, 0, 0x80, 0, 1, 0x80, 4, 128}, []byte{255, 3, 90}) // larger than the buffer
	f.Add([]byte{0x80, 6, 0}, []byte{200})                                           // too long
	f.Add([]byte{0, 4, 0, 0x80, 4, 0}, []byte{200})                                  // too long by its second fragment
	f.Add([]byte{0x7f, 255, 255}, []byte{4})
	f.Add(bytes.Repeat([]byte{0, 0, 0}, 1100), []byte{250})
	f.Fuzz(func(t *testing.T, plan, cuts []byte) {
		b := planned(plan)
		want, wantErr := plainRecords(b)
		plain, cut := newCutReader(b, cuts), newCutReader(b, cuts)
		m := &memory{}
		reader := oncrpc.NewReader(cut, m, fuzzLimit)
		for i := range len(want) + 1 {
			rec, err := oncrpc.ReadRecord(plain, nil, fuzzLimit)
			checkRecord(t, "ReadRecord", i, rec, err, want, wantErr)
			if cap(rec) > 2*len(b)+(128<<10) {
				t.Errorf("ReadRecord %d has memory for %d bytes of %d", i, cap(rec), len(b))
			}
			rec, err = next(reader)
			checkRecord(t, "Reader", i, rec, err, want, wantErr)
		}
		if m.lent > len(want)+1 {
			t.Errorf("memory for %d records was lent for %d", m.lent, len(want))
		}
	})
}

// fuzzLimit bounds FuzzRecords' records. It is above what a Reader has room for.
const fuzzLimit = 320 << 10

// planned makes FuzzRecords' stream, of no more than is worth the time.
func planned(plan []byte) (b []byte) {
	const most = 2 * fuzzLimit
	for ; len(plan) >= 3 && len(b) < most; plan = plan[3:] {
		mark := binary.BigEndian.Uint32([]byte{plan[0], plan[1], plan[2], plan[2]})
		b = binary.BigEndian.AppendUint32(b, mark)
		n := min(int(mark&^(1<<31)), most)
		b = append(b, bytes.Repeat([]byte{1, 2, 3, 5, 7, 11, 13}, n/7+1)[:n]...)
	}
	return append(b, plan...)
}

// plainRecords reads the records of b, and gives the error of what is behind the last.
func plainRecords(b []byte) (records [][]byte, err error) {
	var rec []byte
	began, empty := false, 0
	for len(b) >= oncrpc.MarkSize {
		mark := binary.BigEndian.Uint32(b)
		n := int(mark &^ (1 << 31))
		b, began = b[oncrpc.MarkSize:], true
		if n > fuzzLimit-len(rec) {
			return records, oncrpc.ErrTooLong
		}
		if n == 0 {
			empty++
		}
		if empty > 1024 {
			return records, oncrpc.ErrFragments
		}
		if n > len(b) {
			return records, io.ErrUnexpectedEOF
		}
		rec, b = append(rec, b[:n]...), b[n:]
		if mark&(1<<31) != 0 {
			records, rec, began, empty = append(records, rec), nil, false, 0
		}
	}
	if began || len(b) > 0 {
		return records, io.ErrUnexpectedEOF
	}
	return records, io.EOF
}

func checkRecord(t *testing.T, what string, i int, rec []byte, err error, want [][]byte, wantErr error) {
	t.Helper()
	if i == len(want) {
		if !errors.Is(err, wantErr) || rec != nil {
			t.Fatalf("%s at the end: got %d bytes and %v, want %v", what, len(rec), err, wantErr)
		}
		return
	}
	if err != nil || !bytes.Equal(rec, want[i]) {
		t.Fatalf("%s %d: got %d bytes and %v, want %d bytes", what, i, len(rec), err, len(want[i]))
	}
}

// cutReader gives a stream in reads of the sizes in cuts, in larger ones the longer it is.
type cutReader struct {
	b, cuts []byte
	unit    int
	reads   int
}

func newCutReader(b, cuts []byte) *cutReader {
	return &cutReader{b: b, cuts: cuts, unit: 1 + len(b)>>12}
}

func (r *cutReader) Read(p []byte) (int, error) {
	if len(r.b) == 0 {
		return 0, io.EOF
	}
	n := len(r.b)
	if len(r.cuts) > 0 {
		n = r.unit * (1 + int(r.cuts[r.reads%len(r.cuts)]))
	}
	r.reads++
	n = copy(p[:min(len(p), n)], r.b)
	r.b = r.b[n:]
	return n, nil
}

// FuzzMessages reads headers of calls and replies beside buildbarn's codec: what one reads
// the other does, alike, and what we make of it is the same message again. Buildbarn's wants
// zeros for padding, which RFC 4506 §3 lets nobody count on.
func FuzzMessages(f *testing.F) {
	for _, cred := range []oncrpc.Cred{{}, {Flavor: oncrpc.AuthSys, UID: 501, GID: 20, Named: true}} {
		if cred.Named {
			cred.SetGroups(1, 2, 3)
		}
		var e xdr.Encoder
		oncrpc.AppendCall(&e, 7, 100003, 3, 1, &cred)
		f.Add(e.B)
	}
	for st := range oncrpc.SystemErr + 1 {
		var e xdr.Encoder
		oncrpc.AppendAccepted(&e, 7, st)
		if st == oncrpc.ProgMismatch {
			e.Uint64(2<<32 | 3)
		}
		f.Add(e.B)
	}
	var mismatch, denied xdr.Encoder
	oncrpc.AppendRPCMismatch(&mismatch, 7)
	oncrpc.AppendAuthError(&denied, 7, oncrpc.AuthTooWeak)
	f.Add(mismatch.B)
	f.Add(denied.B)
	f.Fuzz(func(t *testing.T, b []byte) {
		checkMemory(t, b)
		checkCall(t, b)
		checkReply(t, b)
	})
}

// checkMemory: headers are read without any memory of their own.
func checkMemory(t *testing.T, b []byte) {
	t.Helper()
	var call oncrpc.Call
	got := testing.AllocsPerRun(1, func() {
		oncrpc.DecodeCall(&xdr.Decoder{B: b}, &call)
		_, _ = oncrpc.DecodeReply(&xdr.Decoder{B: b})
	})
	if got != 0 {
		t.Errorf("% x takes %v allocations", b, got)
	}
	runtime.KeepAlive(&call)
}

func checkCall(t *testing.T, b []byte) {
	t.Helper()
	theirs, n := readTheirs[*rpcv2.RpcMsgBody_CALL](b)
	var c oncrpc.Call
	d := xdr.Decoder{B: b}
	ok := oncrpc.DecodeCall(&d, &c) && c.RPCVersion == oncrpc.Version
	if theirs == nil || theirs.Cbody.Rpcvers != oncrpc.Version {
		return // no ASCII in a machine name, padding or less than a header
	}
	body := theirs.Cbody
	if !ok || d.Off != n {
		t.Fatalf("% x is a call of %d bytes, and is read as %v, %d bytes", b, n, ok, d.Off)
	}
	if c.XID != binary.BigEndian.Uint32(b) || c.Prog != body.Prog || c.Vers != body.Vers || c.Proc != body.Proc || c.Cred.Flavor != uint32(body.Cred.Flavor) {
		t.Errorf("got %+v, want %+v", c, body)
	}
	if !c.CredOK || c.Cred.Flavor != oncrpc.AuthSys {
		return
	}
	var sys rpcv2.AuthsysParms
	if _, err := sys.ReadFrom(bytes.NewReader(body.Cred.Body)); err != nil {
		return
	}
	if sys.Uid != c.Cred.UID || sys.Gid != c.Cred.GID || len(sys.Gids) != len(c.Cred.Groups()) || (sys.Machinename != "") != c.Cred.Named {
		t.Errorf("got %+v, want %+v", c.Cred, sys)
	}
}

func checkReply(t *testing.T, b []byte) {
	t.Helper()
	theirs, n := readTheirs[*rpcv2.RpcMsgBody_REPLY](b)
	d := xdr.Decoder{B: b}
	r, err := oncrpc.DecodeReply(&d)
	if theirs == nil {
		return
	}
	if err != nil || d.Off != n {
		t.Fatalf("% x is a reply of %d bytes, and is read as %+v, %v, %d bytes", b, n, r, err, d.Off)
	}
	var e xdr.Encoder
	switch {
	case r.Accepted:
		oncrpc.AppendAccepted(&e, r.XID, r.Accept)
		if r.Accept == oncrpc.ProgMismatch {
			e.Uint32(r.Low)
			e.Uint32(r.High)
		}
	case r.Reject == oncrpc.AuthError:
		oncrpc.AppendAuthError(&e, r.XID, r.Auth)
	default:
		return // ours always speaks of version 2
	}
	again, err := oncrpc.DecodeReply(&xdr.Decoder{B: e.B})
	if err != nil || again != r {
		t.Errorf("%+v is written as % x, which is %+v, %v", r, e.B, again, err)
	}
}

// readTheirs gives a message's body when buildbarn's codec takes it for one of that kind, and
// the length of the message.
func readTheirs[B any](b []byte) (body B, n int) {
	var m rpcv2.RpcMsg
	length, err := m.ReadFrom(bytes.NewReader(b))
	if err == nil {
		body, _ = m.Body.(B)
	}
	return body, int(length)
}

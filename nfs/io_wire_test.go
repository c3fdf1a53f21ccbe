package nfs_test

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
)

func TestRead(t *testing.T) {
	w := newWorld(t)
	fh := w.put(w.root, "f", "0123456789")
	tt := []struct {
		name  string
		off   uint64
		count uint32
		want  string
		eof   bool
	}{
		{"begin", 0, 4, "0123", false},
		{"middle", 3, 4, "3456", false},
		{"up to the end", 6, 4, "6789", true},
		{"over the end", 6, 100, "6789", true},
		{"at the end", 10, 1, "", true},
		{"behind the end", 11, 1, "", true},
		{"far behind the end", math.MaxInt64, 1, "", true},
		{"farther than a file can be", math.MaxUint64, math.MaxUint32, "", true},
		{"nothing", 3, 0, "", false},
		{"huge count", 0, math.MaxUint32, "0123456789", true},
	}
	for _, tt := range tt {
		r, err := w.Read(t.Context(), fh, tt.off, tt.count)
		w.want(tt.name, err, nfsclient.OK)
		if string(r.Data) != tt.want || r.EOF != tt.eof || int(r.Count) != len(tt.want) {
			t.Errorf("%s: got %q, count %d, eof %v, want %q, eof %v", tt.name, r.Data, r.Count, r.EOF, tt.want, tt.eof)
		}
		a := w.attr(fh)
		w.same(tt.name, r.Attr, &a)
	}
}

// TestReadSizes reads what the server says it can, and every odd length around.
func TestReadSizes(t *testing.T) {
	w := newWorld(t)
	info, err := w.Fsinfo(t.Context(), w.root)
	w.must("fsinfo", err)
	data := make([]byte, info.Rtmax+5)
	for i := range data {
		data[i] = byte(i * 7 >> 3)
	}
	fh := w.create(w.root, "f")
	for off := 0; off < len(data); off += int(info.Wtmax) {
		r, err := w.Write(t.Context(), fh, uint64(off), nfsclient.Unstable, data[off:min(len(data), off+int(info.Wtmax))])
		w.must("write", err)
		if want := min(len(data)-off, int(info.Wtmax)); int(r.Count) != want {
			t.Fatalf("write of %d bytes: %d taken", want, r.Count)
		}
	}
	for _, n := range []uint32{1, 2, 3, 4095, 4096, 4097, 65535, 65537, info.Rtpref, info.Rtmax - 1, info.Rtmax} {
		r, err := w.Read(t.Context(), fh, 1, n)
		w.must("read", err)
		if !bytes.Equal(r.Data, data[1:1+n]) || r.EOF {
			t.Errorf("read of %d bytes: got %d, eof %v", n, len(r.Data), r.EOF)
		}
	}
	r, err := w.Read(t.Context(), fh, 0, info.Rtmax+5)
	w.must("read more than rtmax", err)
	if !bytes.Equal(r.Data, data[:len(r.Data)]) || r.EOF != (len(r.Data) == len(data)) || len(r.Data) == 0 {
		t.Errorf("read of more than rtmax: got %d bytes, eof %v", len(r.Data), r.EOF)
	}
}

func TestWrite(t *testing.T) {
	w := newWorld(t)
	fh := w.create(w.root, "f")
	want, verf := "", nfsclient.Verf{}
	for how := range nfsclient.FileSync + 1 {
		data := strings.Repeat(string(rune('a'+how)), 1000)
		w.change("write", []nfsclient.FH{fh}, func() ([]nfsclient.Wcc, error) {
			r, err := w.Write(t.Context(), fh, uint64(len(want)), how, []byte(data))
			if r.Committed < how || r.Committed > nfsclient.FileSync || r.Count != 1000 {
				t.Errorf("asked for %d, got %d bytes committed %d", how, r.Count, r.Committed)
			}
			if verf == (nfsclient.Verf{}) {
				verf = r.Verf
			}
			if r.Verf != verf {
				t.Errorf("the verifier became %x from %x", r.Verf, verf)
			}
			return []nfsclient.Wcc{r.Wcc}, err
		}, nfsclient.OK)
		want += data
	}
	if got := w.content(fh); got != want {
		t.Errorf("got %d bytes, want %d", len(got), len(want))
	}
	for _, c := range []struct {
		off   uint64
		count uint32
	}{{0, 0}, {5, 10}, {1 << 40, 1}, {math.MaxUint64, math.MaxUint32}} {
		r, err := w.Commit(t.Context(), fh, c.off, c.count)
		w.want("commit", err, nfsclient.OK)
		if r.Verf != verf {
			t.Errorf("COMMIT's verifier is %x, WRITE's %x", r.Verf, verf)
		}
		a := w.attr(fh)
		w.same("commit", r.Wcc.After, &a)
	}
	w.restart()
	r, err := w.Commit(t.Context(), fh, 0, 0)
	w.must("commit after a restart", err)
	if r.Verf == verf {
		t.Error("the verifier is the same after a restart")
	}
	if got := w.content(fh); got != want {
		t.Errorf("after a restart: got %d bytes, want %d", len(got), len(want))
	}
}

// TestWriteHoles writes behind the end.
func TestWriteHoles(t *testing.T) {
	w := newWorld(t)
	fh := w.put(w.root, "f", "ab")
	_, err := w.Write(t.Context(), fh, 6, nfsclient.Unstable, []byte("c"))
	w.must("write", err)
	if got := w.content(fh); got != "ab\x00\x00\x00\x00c" {
		t.Errorf("got %q", got)
	}
	const far = 1 << 40
	_, err = w.Write(t.Context(), fh, far, nfsclient.Unstable, []byte("end"))
	w.must("write far out", err)
	a := w.attr(fh)
	if a.Size != far+3 || a.Used > 1<<20 {
		t.Errorf("got size %d, %d used, want %d and little", a.Size, a.Used, far+3)
	}
	for _, off := range []uint64{math.MaxInt64, math.MaxUint64} {
		_, err := w.Write(t.Context(), fh, off, nfsclient.Unstable, []byte("x"))
		w.want("write beyond every file", err, nfsclient.ErrFBig, nfsclient.ErrInval)
	}
}

// TestWriteCount: WRITE's count has to be the data's length.
func TestWriteCount(t *testing.T) {
	w := newWorld(t)
	fh := w.put(w.root, "f", "0123456789")
	err := w.Do(t.Context(), &nfsclient.WriteArgs{FH: fh, Count: 3, Data: []byte("abcde")}, &nfsclient.WriteRes{})
	if err == nil {
		t.Error("a WRITE of 3 bytes with 5 succeeds")
	}
	if got := w.content(fh); got != "0123456789" {
		t.Errorf("it wrote %q", got)
	}
}

func TestIOOfOtherTypes(t *testing.T) {
	w := newWorld(t)
	fifo, err := w.Mknod(t.Context(), nfsclient.MknodArgs{Dir: w.root, Name: "p", Type: nfsclient.FIFO, Attr: mode(0o600)})
	w.must("mknod", err)
	sock, err := w.Mknod(t.Context(), nfsclient.MknodArgs{Dir: w.root, Name: "s", Type: nfsclient.Sock, Attr: mode(0o600)})
	w.must("mknod", err)
	tt := []struct {
		name string
		fh   nfsclient.FH
		want nfsclient.Status
	}{
		{"directory", w.mkdir(w.root, "d"), nfsclient.ErrIsDir},
		{"symlink", w.symlink(w.root, "l", "p"), nfsclient.ErrInval},
		// To open one must never wait for somebody at the other end.
		{"FIFO", *fifo.FH, nfsclient.ErrInval},
		{"socket", *sock.FH, nfsclient.ErrInval},
	}
	for _, tt := range tt {
		_, err := w.Read(t.Context(), tt.fh, 0, 10)
		w.want("read of a "+tt.name, err, tt.want, nfsclient.ErrInval)
		_, err = w.Write(t.Context(), tt.fh, 0, nfsclient.FileSync, []byte("x"))
		w.want("write to a "+tt.name, err, tt.want, nfsclient.ErrInval)
		_, err = w.Setattr(t.Context(), tt.fh, size(0), nil)
		w.want("truncation of a "+tt.name, err, tt.want, nfsclient.ErrInval)
	}
}

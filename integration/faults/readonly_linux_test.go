package faults

import (
	"bytes"
	"strings"
	"testing"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
)

// An upper whose file system has turned read-only, as ext4 does upon an error, refuses
// changes with EROFS and goes on being read; `nixnfsd layers` tells, and nothing takes over. When it was mended and
// the server started again, everything acknowledged is there.
func TestUpperTurnsReadOnly(t *testing.T) {
	d := ext4(t)
	s := newServer(t, d.point)
	c := newClient(t, s)
	data := bytes.Repeat([]byte("data"), 1000)
	fh := c.put("file", data)
	sub, err := c.mkdir(c.root, "sub")
	must(t, err)
	d.corrupt()
	wantStatus(t, "write", c.write(fh, 0, []byte("x"), nfsclient.FileSync), nfsclient.ErrROFS)
	_, err = c.create(c.root, "new")
	wantStatus(t, "create", err, nfsclient.ErrROFS)
	wantStatus(t, "remove", c.remove(c.root, "file"), nfsclient.ErrROFS)
	wantStatus(t, "rename", c.rename(c.root, "file", "other"), nfsclient.ErrROFS)
	_, err = c.mkdir(sub, "new")
	wantStatus(t, "mkdir", err, nfsclient.ErrROFS)
	c.holds("the file meanwhile", fh, data)
	if _, err := c.lookup(c.root, "sub"); err != nil {
		t.Errorf("look up meanwhile: %v", err)
	}
	s.hasProblem("cannot be written to: read-only file system")
	if out, err := s.verb("restart"); err == nil || !strings.Contains(out, "nothing was restarted") {
		t.Errorf("restart meanwhile: %v\n%s", err, out)
	}
	c.holds("the file after a restart that was refused", fh, data)
	s.Kill()
	d.unmount()
	d.mend()
	d.mount()
	s.start()
	fh, err = c.lookup(c.root, "file") // which a disk's failure can take back to before it was known
	must(t, err)
	c.holds("the file afterwards", fh, data)
	must(t, c.write(fh, 0, []byte("DATA"), nfsclient.FileSync))
	c.holds("the file that is written again", fh, append([]byte("DATA"), data[4:]...))
	s.checkStore()
}

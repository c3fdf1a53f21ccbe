package bootstrap

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"syscall"
)

// maxDownload is the largest tarball that is taken, in bytes. Official ones have some 30 MB.
const maxDownload = 1 << 30

// Source is where a tarball comes from.
type Source struct {
	file string
	url  *url.URL // nil: it is a file
}

// ParseSource reads a path or a URL. What the network could change on its way is refused.
func ParseSource(s string) (Source, error) {
	if !strings.Contains(s, "://") {
		return Source{file: s}, nil
	}
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return Source{}, err
	case u.Scheme == "file":
		return Source{file: u.Path}, nil
	}
	return Source{url: u}, safe(u)
}

// Remote reports whether the tarball comes over the network.
func (s Source) Remote() bool { return s.url != nil }

// safe refuses a URL that is not https, but for this machine's.
func safe(u *url.URL) error {
	addr, err := netip.ParseAddr(u.Hostname())
	local := err == nil && addr.IsLoopback()
	if u.Scheme == "https" || u.Scheme == "http" && local {
		return nil
	}
	return fmt.Errorf("%s is not taken: whoever is on the way could change it; give an https URL, or a file", u.Redacted())
}

// Open opens the tarball, and tells its size in bytes. A remote one is downloaded first, into a file in
// dir that has no name; begun is told how many bytes will come, or -1, and gives what counts them.
func (s Source) Open(ctx context.Context, dir string, begun func(size int64, r io.Reader) io.Reader) (*os.File, int64, error) {
	var f *os.File
	var err error
	if s.url == nil {
		f, err = os.OpenFile(s.file, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe would wait
	} else {
		f, err = s.download(ctx, dir, begun)
	}
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no file", s.file)
	}
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, info.Size(), nil
}

func (s Source) download(ctx context.Context, dir string, begun func(int64, io.Reader) io.Reader) (*os.File, error) {
	body, size, err := s.get(ctx)
	if err != nil {
		return nil, fmt.Errorf("download the tarball: %w", err)
	}
	defer body.Close()
	f, err := os.CreateTemp(dir, "download-")
	if err == nil {
		err = os.Remove(f.Name()) // nobody has to tidy up
	}
	if err != nil {
		return nil, err
	}
	n, err := io.Copy(f, io.LimitReader(begun(size, body), maxDownload+1))
	switch {
	case err != nil:
		err = fmt.Errorf("download the tarball: %w", err)
	case n > maxDownload:
		err = fmt.Errorf("%s is of more than %d MiB, which no tarball of Nix is", s.url.Redacted(), maxDownload>>20)
	default:
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (s Source) get(ctx context.Context) (io.ReadCloser, int64, error) {
	const most = 10
	client := &http.Client{CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if len(via) >= most {
			return errors.New("it is sent on and on")
		}
		return safe(r.URL)
	}}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url.String(), nil)
	if err != nil {
		return nil, 0, err
	}
	answer, err := client.Do(r)
	if err != nil {
		return nil, 0, err
	}
	if answer.StatusCode != http.StatusOK {
		answer.Body.Close()
		return nil, 0, fmt.Errorf("%s: %s", s.url.Redacted(), answer.Status)
	}
	return answer.Body, answer.ContentLength, nil
}

// Sum gives the SHA-256 of a tarball, which is read from its beginning on and left there.
func Sum(f io.ReadSeeker) (string, error) {
	h := sha256.New()
	_, err := io.Copy(h, f)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	return fmt.Sprintf("%x", h.Sum(nil)), err
}

// Held reads a tarball that has to have a SHA-256 still: one that is somebody else's file may change after
// it was summed. Its end is a *FormatError where it did, and by then nothing has come into the store.
func Held(r io.Reader, sum string) io.Reader { return &held{r, sha256.New(), sum} }

type held struct {
	r    io.Reader
	hash hash.Hash
	sum  string
}

func (h *held) Read(b []byte) (int, error) {
	n, err := h.r.Read(b)
	h.hash.Write(b[:n])
	if errors.Is(err, io.EOF) && fmt.Sprintf("%x", h.hash.Sum(nil)) != h.sum {
		err = wrong("it was changed while it was read")
	}
	return n, err
}

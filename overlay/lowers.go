package overlay

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// lowersName is the file in the work directory that tells over which lower directories the
// upper was served last, a quoted path a line: Fsck has to be given the same ones. With
// others it would take whiteouts for orphans, and names that were removed would come back.
const lowersName = "lowers"

func encodeLowers(lowers []string) []byte {
	var b []byte
	for _, path := range lowers {
		b = fmt.Appendf(b, "%q\n", path)
	}
	return b
}

// loadLowers reads the lower directories; none: there were none, or they were not noted.
func loadLowers(work string) (lowers []string, err error) {
	b, err := readRegular(filepath.Join(work, lowersName))
	if err != nil {
		return nil, fmt.Errorf("read which lower directories there were: %w", err)
	}
	return decodeLowers(b), nil
}

func decodeLowers(b []byte) (lowers []string) {
	for line := range strings.Lines(string(b)) {
		if path, err := strconv.Unquote(strings.TrimSpace(line)); err == nil {
			lowers = append(lowers, path)
		}
	}
	return lowers
}

// keepLowers notes the lower directories. On a full disk the note can wait.
func (fs *FS) keepLowers(o *Options) error {
	if fs.readOnly {
		return nil
	}
	was, err := loadLowers(o.Work)
	if err != nil || slices.Equal(was, o.Lowers) {
		return err
	}
	if err := fs.keepFile(o.Work, lowersName, encodeLowers(o.Lowers)); err != nil {
		return fmt.Errorf("note the lower directories: %w", err)
	}
	return nil
}

// LowersError says that a store was served last over other lower directories than those
// that it is to be looked through with.
type LowersError struct {
	Upper  string
	Lowers []string // of the last server
}

func (e *LowersError) Error() string {
	return fmt.Sprintf("%s was last served over the lower directories %s", e.Upper, strings.Join(e.Lowers, ", "))
}

// lowersHold refuses a lower directory that holds nothing: as a rule what belongs there is
// not mounted. To mend over it would bring removed names back, and lose moved ones.
func (c *checker) lowersHold() error {
	for _, dir := range c.o.Lowers {
		entries, err := os.Open(dir)
		if err != nil {
			return err
		}
		_, err = entries.Readdirnames(1)
		entries.Close()
		if errors.Is(err, io.EOF) {
			return &UnfitError{
				Dir: dir, Reason: "is empty, so that nothing can be mended over it",
				Mend: "mount what belongs there, or serve the upper once without it and leave it out",
			}
		}
		if err != nil {
			return &UnfitError{Dir: dir, Reason: "cannot be listed", Err: err}
		}
	}
	return nil
}

// sameLowers refuses other lower directories than the last server had, or none.
func (c *checker) sameLowers() error {
	was, err := loadLowers(c.o.Work)
	if err != nil || len(was) == 0 || slices.Equal(was, c.o.Lowers) {
		return err
	}
	return &LowersError{Upper: c.o.Upper, Lowers: was}
}

//go:build linux

package guest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
)

// ackLog is a file beside the mount, of a line for each thing that was acknowledged.
type ackLog struct {
	x *torture
	f *os.File
}

func (x *torture) newLog(name string) *ackLog {
	x.t.Helper()
	f, err := os.Create(filepath.Join(x.home, name))
	try(x.t, err)
	x.t.Cleanup(func() { f.Close() })
	return &ackLog{x, f}
}

func (l *ackLog) add(line string) error {
	_, err := fmt.Fprintln(l.f, line)
	return errors.Join(err, l.f.Sync())
}

func (l *ackLog) lines() []string {
	l.x.t.Helper()
	b, err := os.ReadFile(l.f.Name())
	try(l.x.t, err)
	return strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
}

// block is a part of a file that was synced.
type block struct {
	file     string
	off, len int
	sum      [sha256.Size]byte
}

const blockFormat = "%s %d %d %x"

func (b block) String() string { return fmt.Sprintf(blockFormat, b.file, b.off, b.len, b.sum[:]) }

// blockWriter writes files of blocks, syncs each block and then notes its checksum; when a file
// has all of them it gets another name. Afterwards each block that was noted is there.
func (x *torture) blockWriter() func(context.Context, int) error {
	const blocks = 8
	dir := filepath.Join(nixRoot, "torture-blocks")
	try(x.t, os.Mkdir(dir, 0o755))
	acknowledged := x.newLog("blocks")
	x.reports = append(x.reports, func() {
		lines := acknowledged.lines()
		for _, line := range lines {
			x.checkBlock(dir, line)
		}
		x.t.Logf("blocks: %d synced", len(lines))
	})
	return func(_ context.Context, round int) error {
		rnd := rand.New(rand.NewPCG(x.seed, uint64(round)))
		name := fmt.Sprint("f", round)
		path := filepath.Join(dir, name)
		f, err := os.Create(path + ".new")
		if err != nil {
			return err
		}
		for off := 0; off < blocks*blockSize; off += blockSize {
			b := randomBlock(rnd, name, off)
			if _, err := f.WriteAt(b.data, int64(off)); err != nil {
				return err
			}
			if err := errors.Join(f.Sync(), acknowledged.add(b.String())); err != nil {
				return err
			}
			x.done.Add(1)
		}
		return errors.Join(f.Close(), os.Rename(path+".new", path))
	}
}

// blockSize is the room for a block, which is shorter by some bytes.
const blockSize = 40_000

type randomData struct {
	block
	data []byte
}

func randomBlock(rnd *rand.Rand, file string, off int) randomData {
	data := make([]byte, 1+rnd.IntN(blockSize))
	for i := range data {
		data[i] = byte(rnd.Uint32())
	}
	return randomData{block{file, off, len(data), sha256.Sum256(data)}, data}
}

// checkBlock reads a block that was noted.
func (x *torture) checkBlock(dir, line string) {
	x.t.Helper()
	var b block
	var sum []byte
	if _, err := fmt.Sscanf(line, blockFormat, &b.file, &b.off, &b.len, &sum); err != nil {
		x.t.Fatalf("note %q: %v", line, err)
	}
	f, err := os.Open(filepath.Join(dir, b.file))
	if err != nil {
		x.t.Errorf("%s was synced: %v", line, err)
		return
	}
	defer f.Close()
	data := make([]byte, b.len)
	if _, err := f.ReadAt(data, int64(b.off)); err != nil {
		x.t.Errorf("%s was synced: %v", line, err)
		return
	}
	if got := sha256.Sum256(data); string(got[:]) != string(sum) {
		x.t.Errorf("%s was synced, and is now %x", line, got)
	}
}

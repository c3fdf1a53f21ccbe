package nfs

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync/atomic"

	"github.com/dchest/siphash"
	"golang.org/x/sys/unix"

	"github.com/nixnfsd/nixnfsd/internal/bootid"
)

const (
	repliesName = "replies"
	// slotSize is an entry in the file: slotHead and the reply.
	slotSize = slotHead + maxReply
	slotHead = 60
	// The file is a slot for its head, and one for each entry.
	replySlots    = replySets * replyWays
	replyFileSize = (1 + replySlots) * slotSize
	// replyBuffer is how much of the file is read or made at once: all of it would be a
	// tenth of an idle server's memory.
	replyBuffer = 32 << 10
	// maxTurn is more than calls can ever be numbered.
	maxTurn = 1 << 62
)

// Where a slot has what, in big-endian.
const (
	slotBegan = 0 // 0: the slot is free
	slotEnded = 8 // 0: there is no reply
	slotWhole = 16
	slotArgs  = 24
	slotSince = 32
	slotXID   = 40
	slotCall  = 44 // bytes of the call
	slotReply = 48 // bytes of the reply
	slotAt    = 52
)

// replyFile is where the entries are kept for the next server, in a shared mapping of
// a file: what is stored there is safe from the end of the process, kill -9 too, without
// a system call. A nil replyFile keeps nothing.
//
// Nothing closes it. No descriptor is open, nothing is to be synced, and the mapping goes with
// the last who can reach it: a call may still be on its way when Shutdown has lost
// patience, and would store into whatever has the addresses by then.
type replyFile struct {
	win []byte
	// lost says that the file was cut short: nothing is kept any more.
	lost atomic.Bool
}

// OpenReplies gives the Replies of the last server from the directory dir, which has to
// be there and in no other server's use. They are worthless after another boot, and
// under another key. It never fails: with an error, for an administrator to read, they are
// kept in memory only. They have not to be closed.
func OpenReplies(dir string, key Key) (*Replies, error) {
	r := newReplies(key)
	path := filepath.Join(dir, repliesName)
	boot, err := bootid.Get()
	head := r.head(boot)
	if err == nil {
		err = r.readFile(path, head)
	}
	if err != nil {
		return r, fmt.Errorf("read the replies to calls that may be sent again: %w", err)
	}
	if r.file, err = r.newFile(path, head); err != nil {
		return r, fmt.Errorf("keep the replies to calls that may be sent again: %w", err)
	}
	return r, nil
}

// head is what the file starts with.
func (r *Replies) head(boot string) []byte {
	b := []byte("nfsreply")
	return binary.BigEndian.AppendUint64(b, siphash.Hash(r.k0, r.k1, []byte("2\n"+boot)))
}

// readFile takes in what is in a file, or nothing if it is not there or of another size.
func (r *Replies) readFile(path string, head []byte) error {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", path)
	}
	if info.Size() != replyFileSize {
		return nil
	}
	return r.load(head, bufio.NewReaderSize(f, replyBuffer))
}

// load takes in what a file of the right size holds, as far as it is of use.
func (r *Replies) load(head []byte, file io.Reader) error {
	b := make([]byte, slotSize)
	if _, err := io.ReadFull(file, b); err != nil || !bytes.HasPrefix(b, head) {
		return err
	}
	for i := range replySlots {
		if _, err := io.ReadFull(file, b); err != nil {
			return err
		}
		s := &r.sets[i/replyWays]
		t := &s.entries[i%replyWays]
		if !t.load(b) || r.set(t.whole) != s {
			continue
		}
		t.slot = i
		s.keys[i%replyWays], s.turns[i%replyWays] = t.whole, t.began
		r.turn.Store(max(r.turn.Load(), t.began, t.ended))
	}
	return nil
}

func slotOf(b []byte, i int) []byte { return b[(i+1)*slotSize:][:slotSize] }

// load reads a slot. It reports false for what no server has written.
func (t *entry) load(b []byte) bool {
	u32, u64 := binary.BigEndian.Uint32, binary.BigEndian.Uint64
	if u64(b[slotBegan:]) == 0 {
		return false // and an entry that was never in use stays untouched: it takes no memory
	}
	t.began, t.ended = u64(b[slotBegan:]), u64(b[slotEnded:])
	t.at, t.since = int64(u64(b[slotAt:])), int64(u64(b[slotSince:]))
	t.identity = identity{whole: u64(b[slotWhole:]), args: u64(b[slotArgs:]), xid: u32(b[slotXID:]), size: u32(b[slotCall:])}
	t.doubt = t.ended == 0
	if max(t.began, t.ended) > maxTurn {
		return false
	}
	if t.doubt {
		t.n = 0
		return true
	}
	n, reply := u32(b[slotReply:]), b[slotHead:]
	if n > maxReply || n < replyStatusAt || u32(reply) != 1<<31|(n-4) || u32(reply[replyXIDAt:]) != t.xid {
		return false
	}
	t.n = copy(t.reply[:], reply[:n])
	return true
}

// newFile makes the file anew and maps it. Nothing is synced: after a power cut it is of no
// use.
func (r *Replies) newFile(path string, head []byte) (*replyFile, error) {
	next := path + ".new"
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	f, err := mapNew(next, head)
	if err == nil {
		r.store(f)
		err = os.Rename(next, path)
	}
	if err != nil {
		_ = os.Remove(next)
		return nil, err
	}
	return f, nil
}

// store puts all entries into their slots.
func (r *Replies) store(f *replyFile) {
	for i := range replySlots {
		if s := &r.sets[i/replyWays]; s.turns[i%replyWays] != 0 {
			f.begin(&s.entries[i%replyWays])
			f.end(&s.entries[i%replyWays])
		}
	}
}

// mapNew makes a file of free slots, and maps it until nobody uses the mapping any more. Its
// blocks are there from the start: a store into a hole on a full disk would be a fault.
func mapNew(path string, head []byte) (*replyFile, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	free := make([]byte, replyBuffer)
	for at := 0; at < replyFileSize && err == nil; at += len(free) {
		_, err = f.Write(free[:min(len(free), replyFileSize-at)])
	}
	if err == nil {
		_, err = f.WriteAt(head, 0)
	}
	if err != nil {
		return nil, err
	}
	win, err := unix.Mmap(int(f.Fd()), 0, replyFileSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", path, err)
	}
	rf := &replyFile{win: win}
	runtime.AddCleanup(rf, func(win []byte) { _ = unix.Munmap(win) }, win)
	return rf, nil
}

// begin stores that a call is about to run.
func (f *replyFile) begin(t *entry) { f.store(t, (*entry).storeBegin) }

// end stores its reply.
func (f *replyFile) end(t *entry) { f.store(t, (*entry).storeEnd) }

// drop forgets it.
func (f *replyFile) drop(t *entry) { f.store(t, (*entry).storeDrop) }

// store has an entry put into its slot. That the file was cut short behind our back is
// a fault, which would end the process if it were not expected.
func (f *replyFile) store(t *entry, put func(*entry, []byte)) {
	if f == nil || f.lost.Load() {
		return
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if recover() != nil {
			f.lost.Store(true)
		}
	}()
	put(t, slotOf(f.win, t.slot))
}

// storeBegin puts what made the slot a valid one last.
func (t *entry) storeBegin(b []byte) {
	be := binary.BigEndian
	be.PutUint64(b[slotBegan:], 0)
	be.PutUint64(b[slotEnded:], 0)
	be.PutUint64(b[slotWhole:], t.whole)
	be.PutUint64(b[slotArgs:], t.args)
	be.PutUint64(b[slotSince:], uint64(t.since))
	be.PutUint64(b[slotAt:], uint64(t.at))
	be.PutUint32(b[slotXID:], t.xid)
	be.PutUint32(b[slotCall:], t.size)
	be.PutUint64(b[slotBegan:], t.began)
}

func (t *entry) storeEnd(b []byte) {
	binary.BigEndian.PutUint32(b[slotReply:], uint32(t.n))
	copy(b[slotHead:], t.reply[:t.n])
	binary.BigEndian.PutUint64(b[slotEnded:], t.ended)
}

func (t *entry) storeDrop(b []byte) { binary.BigEndian.PutUint64(b[slotBegan:], 0) }

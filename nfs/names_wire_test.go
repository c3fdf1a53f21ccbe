package nfs_test

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nixnfsd/nixnfsd/internal/nfsclient"
)

// names turns calls and replies into text and back. What differs from run to run
// and from one file system to the next has a name there:
//
//	$root, $fh1, …  file handles, in the order in which they were first seen
//	#1, #2, …       fileids, likewise
//	$verf1, …       verifiers, likewise
//	$last           the cookie of the last entry of the last listing
//	$uid, $gid      of who runs the test, and of the root directory
//	now             a time within the run
//	any             a number that depends on the file system below
//
// The size and the link count of directories, the mode of symlinks, space used
// and the fsid are left out. A listing is sorted by name.
type names struct {
	w       *world
	start   int64
	fhs     []nfsclient.FH
	fileids []uint64
	verfs   []nfsclient.Verf
	last    uint64
	gid     uint32
}

func newNames(w *world) *names {
	return &names{w: w, start: time.Now().Unix() - 1, gid: w.attr(w.root).GID, fhs: []nfsclient.FH{w.root}}
}

// index gives v's place in s, to which it is added when it is new.
func index[T comparable](s *[]T, v T) int {
	i := slices.Index(*s, v)
	if i < 0 {
		i = len(*s)
		*s = append(*s, v)
	}
	return i
}

// enums are the names of small numbers.
var enums = map[string]uint64{
	"UNCHECKED": 0, "GUARDED": 1, "EXCLUSIVE": 2, "UNSTABLE": 0, "DATA_SYNC": 1, "FILE_SYNC": 2,
	"REG": 1, "DIR": 2, "BLK": 3, "CHR": 4, "LNK": 5, "SOCK": 6, "FIFO": 7,
}

// parseArgs fills in the fields of args, a pointer to a struct.
func (n *names) parseArgs(args any, text string) error {
	v := reflect.ValueOf(args).Elem()
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimSpace(text) {
		key, rest, ok := strings.Cut(text, "=")
		f := v.FieldByNameFunc(func(name string) bool { return strings.EqualFold(name, key) })
		if !ok || !f.IsValid() {
			return fmt.Errorf("%T has no field %q", args, key)
		}
		value, after, err := token(rest)
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		if err := n.set(f, value); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		text = after
	}
	if w, ok := args.(*nfsclient.WriteArgs); ok && w.Count == 0 {
		w.Count = uint32(len(w.Data))
	}
	return nil
}

// token cuts a value off: up to a blank, or a string in quotes, which *N repeats.
func token(s string) (value, rest string, err error) {
	if !strings.HasPrefix(s, `"`) {
		value, rest, _ = strings.Cut(s, " ")
		return value, rest, nil
	}
	q, err := strconv.QuotedPrefix(s)
	if err != nil {
		return "", "", err
	}
	if value, err = strconv.Unquote(q); err != nil {
		return "", "", err
	}
	times, rest, _ := strings.Cut(s[len(q):], " ")
	if times == "" {
		return value, rest, nil
	}
	count, err := strconv.Atoi(strings.TrimPrefix(times, "*"))
	return strings.Repeat(value, count), rest, err
}

func (n *names) set(f reflect.Value, s string) error {
	switch p := f.Addr().Interface().(type) {
	case *nfsclient.FH:
		return n.setFH(p, s)
	case *string:
		*p = s
	case *[]byte:
		*p = []byte(s)
	case *nfsclient.Verf:
		return n.setVerf(p, s)
	case *nfsclient.SetAttr:
		return n.setAttr(p, strings.Trim(s, "{}"))
	case **nfsclient.Time:
		return n.setGuard(p, s)
	default:
		v, err := n.number(s)
		f.SetUint(v)
		return err
	}
	return nil
}

func (n *names) setFH(p *nfsclient.FH, s string) error {
	if s == "$root" {
		*p = n.w.root
		return nil
	}
	if !strings.HasPrefix(s, "$fh") {
		*p = nfsclient.FH(s)
		return nil
	}
	i, err := strconv.Atoi(s[3:])
	if err != nil || i >= len(n.fhs) {
		return fmt.Errorf("no handle %s", s)
	}
	*p = n.fhs[i]
	return nil
}

func (n *names) setVerf(p *nfsclient.Verf, s string) error {
	b, err := hex.DecodeString(s)
	copy(p[:], b)
	return err
}

func (n *names) number(s string) (uint64, error) {
	if v, ok := enums[s]; ok {
		return v, nil
	}
	switch s {
	case "$last":
		return n.last, nil
	case "$uid":
		return uint64(os.Getuid()), nil
	case "$gid":
		return uint64(n.gid), nil
	}
	return strconv.ParseUint(s, 0, 64)
}

// setAttr reads {mode=0644,size=0,atime=server,mtime=@5.6}.
func (n *names) setAttr(a *nfsclient.SetAttr, s string) error {
	for _, field := range strings.Split(s, ",") {
		key, value, _ := strings.Cut(field, "=")
		var err error
		switch key {
		case "atime":
			err = setTime(&a.Atime, value)
		case "mtime":
			err = setTime(&a.Mtime, value)
		case "size":
			a.Size = new(uint64)
			*a.Size, err = n.number(value)
		case "mode", "uid", "gid":
			var v uint64
			v, err = n.number(value)
			*map[string]**uint32{"mode": &a.Mode, "uid": &a.UID, "gid": &a.GID}[key] = new(uint32(v))
		case "":
		default:
			err = fmt.Errorf("no attribute %q", key)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func setTime(t *nfsclient.SetTime, s string) error {
	if s == "server" {
		t.How = nfsclient.ServerTime
		return nil
	}
	t.How = nfsclient.ClientTime
	return parseTime(&t.Time, s)
}

// setGuard reads a time, or @$fh1: the present ctime of that object.
func (n *names) setGuard(p **nfsclient.Time, s string) error {
	*p = &nfsclient.Time{}
	if !strings.HasPrefix(s, "@$") {
		return parseTime(*p, s)
	}
	var fh nfsclient.FH
	err := n.setFH(&fh, s[1:])
	if err == nil {
		**p = n.w.attr(fh).Ctime
	}
	return err
}

func parseTime(t *nfsclient.Time, s string) error {
	_, err := fmt.Sscanf(s, "@%d.%d", &t.Sec, &t.Nsec)
	return err
}

// results gives a line for each field of res, a pointer to a struct. Of a failure
// only what was sent along shows.
func (n *names) results(res any, failed bool) (lines []string) {
	v := reflect.ValueOf(res).Elem()
	for i := range v.NumField() {
		if failed && v.Field(i).IsZero() {
			continue
		}
		name := strings.ToLower(v.Type().Field(i).Name)
		lines = append(lines, n.field(name, v.Field(i))...)
	}
	return lines
}

// unstable are the numbers that depend on the file system below.
var unstable = []string{
	"totalbytes", "freebytes", "availbytes", "totalfiles", "freefiles", "availfiles", "maxfilesize", "linkmax",
}

func (n *names) field(name string, f reflect.Value) []string {
	line := func(text string) []string { return []string{name + ": " + text} }
	switch v := f.Interface().(type) {
	case nfsclient.Wcc:
		return []string{name + ".before: " + n.before(&v), name + ".after: " + n.attr(v.After)}
	case []nfsclient.Entry:
		return n.entries(v)
	case []nfsclient.EntryPlus:
		return n.entriesPlus(v)
	case nfsclient.Attr:
		return line(n.attr(&v))
	case *nfsclient.Attr:
		return line(n.attr(v))
	case nfsclient.FH:
		return line(n.fh(&v))
	case *nfsclient.FH:
		return line(n.fh(v))
	case nfsclient.Verf:
		return line(n.verf(v))
	case nfsclient.Time:
		return nil // of FSINFO: the file system's resolution
	case []byte:
		return line(quote(string(v)))
	case string:
		return line(quote(v))
	}
	if slices.Contains(unstable, name) {
		return line("any")
	}
	if name == "access" || name == "properties" {
		return line(fmt.Sprintf("%#x", f.Uint()))
	}
	return line(fmt.Sprint(f.Interface()))
}

func quote(s string) string {
	if len(s) > 64 && strings.Count(s, s[:1]) == len(s) {
		return fmt.Sprintf("%q*%d", s[:1], len(s))
	}
	return strconv.Quote(s)
}

func (n *names) fh(fh *nfsclient.FH) string {
	if fh == nil {
		return "none"
	}
	if i := index(&n.fhs, *fh); i > 0 {
		return fmt.Sprintf("$fh%d", i)
	}
	return "$root"
}

func (n *names) verf(v nfsclient.Verf) string {
	if v == (nfsclient.Verf{}) {
		return "0000000000000000"
	}
	return fmt.Sprintf("$verf%d", index(&n.verfs, v)+1)
}

func (n *names) fileid(id uint64) string { return fmt.Sprintf("#%d", index(&n.fileids, id)+1) }

var types = [...]string{"0", "REG", "DIR", "BLK", "CHR", "LNK", "SOCK", "FIFO"}

func (n *names) attr(a *nfsclient.Attr) string {
	if a == nil {
		return "none"
	}
	var b bytes.Buffer
	typ := strconv.Itoa(int(a.Type))
	if int(a.Type) < len(types) {
		typ = types[a.Type]
	}
	b.WriteString(typ)
	if a.Type != nfsclient.Lnk {
		fmt.Fprintf(&b, " %04o", a.Mode)
	}
	if a.Type != nfsclient.Dir {
		fmt.Fprintf(&b, " nlink=%d size=%d", a.Nlink, a.Size)
	}
	if a.Major != 0 || a.Minor != 0 {
		fmt.Fprintf(&b, " dev=%d:%d", a.Major, a.Minor)
	}
	fmt.Fprintf(&b, " uid=%s gid=%s fileid=%s", owned(a.UID, uint32(os.Getuid()), "$uid"), owned(a.GID, n.gid, "$gid"), n.fileid(a.Fileid))
	fmt.Fprintf(&b, " atime=%s mtime=%s ctime=%s", n.time(a.Atime), n.time(a.Mtime), n.time(a.Ctime))
	return b.String()
}

func owned(id, mine uint32, name string) string {
	if id == mine {
		return name
	}
	return strconv.FormatUint(uint64(id), 10)
}

func (n *names) time(t nfsclient.Time) string {
	if s := int64(t.Sec); s >= n.start && s <= time.Now().Unix()+1 {
		return "now"
	}
	return fmt.Sprintf("@%d.%d", t.Sec, t.Nsec)
}

func (n *names) before(w *nfsclient.Wcc) string {
	b := w.Before
	if b == nil {
		return "none"
	}
	times := fmt.Sprintf("mtime=%s ctime=%s", n.time(b.Mtime), n.time(b.Ctime))
	if w.After != nil && w.After.Type == nfsclient.Dir {
		return times
	}
	return fmt.Sprintf("size=%d %s", b.Size, times)
}

func (n *names) entries(list []nfsclient.Entry) (lines []string) {
	for _, e := range list {
		n.last = e.Cookie
	}
	slices.SortFunc(list, func(a, b nfsclient.Entry) int { return cmp.Compare(a.Name, b.Name) })
	for _, e := range list {
		lines = append(lines, fmt.Sprintf("%s fileid=%s", quote(e.Name), n.fileid(e.Fileid)))
	}
	return lines
}

func (n *names) entriesPlus(list []nfsclient.EntryPlus) (lines []string) {
	for _, e := range list {
		n.last = e.Cookie
	}
	slices.SortFunc(list, func(a, b nfsclient.EntryPlus) int { return cmp.Compare(a.Name, b.Name) })
	for _, e := range list {
		lines = append(lines, fmt.Sprintf("%s fileid=%s fh=%s attr=%s", quote(e.Name), n.fileid(e.Fileid), n.fh(e.FH), n.attr(e.Attr)))
	}
	return lines
}

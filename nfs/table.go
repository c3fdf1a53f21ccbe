package nfs

// access says who may call a procedure and what it does.
type access uint8

const (
	open    access = iota // for everybody, without a credential too
	reads                 // for the owner and root, and for others with Options.ShareRead
	changes               // for the owner and root
)

// traits are what is particular to a procedure's calls and replies.
type traits uint8

const (
	slow     traits = 1 << iota // goes to a worker at once
	large                       // the reply may be large
	plain                       // the result is no union: there is no status, and ok always follows
	searches                    // others have to have the right to search the directory
	contents                    // others have to have the right to read the object
	apart                       // must not run twice either, and is remembered apart: see Server.writes
	anybodys                    // for others too, where the object is the root: see permit
)

// procedure is a row of the tables below. A call's way is decode, run, and ok or
// fail, which append the result union's arm behind the status.
//
// One that must not run twice has settle, or is apart. settle is asked about such a call that failed, and
// may have been carried out already, in a server that was killed: it reports whether it
// was, and then the results are those of a success.
type procedure struct {
	name   string
	access access
	traits traits
	decode func(*request)
	run    func(*request) error
	ok     func(*request)
	fail   func(*request)
	settle func(*request, status) bool
}

func (p *procedure) is(t traits) bool { return p.traits&t != 0 }

// once reports whether it must not run twice.
func (p *procedure) once() bool { return p.settle != nil || p.is(apart) }

// program is an RPC program, in all the versions that are served.
type program struct {
	num       uint32
	low, high uint32
	slot      int // of the first procedure, among those of all programs
	procs     []procedure
	// newest are procedures that only version high has.
	newest uint32
}

// find gives a procedure, or nil.
func (p *program) find(vers, proc uint32) *procedure {
	if proc >= uint32(len(p.procs)) || (vers != p.high && p.newest&(1<<proc) != 0) {
		return nil
	}
	return &p.procs[proc]
}

const (
	progNFS   = 100003
	progMount = 100005
)

// The numbers of procedures that are told from others by it.
const (
	numRead  = 6
	numWrite = 7
)

func findProgram(num uint32) *program {
	switch num {
	case progNFS:
		return &nfsProgram
	case progMount:
		return &mountProgram
	}
	return nil
}

// nfsProgram is NFS version 3 (RFC 1813 §3.3), in the order of the numbers.
var nfsProgram = program{
	num: progNFS, low: 3, high: 3,
	procs: []procedure{
		{"NULL", open, plain, nothing, noRun, nothing, nothing, nil},
		{"GETATTR", reads, anybodys, decodeHandle, runGetattr, okGetattr, nothing, nil},
		{"SETATTR", changes, 0, decodeSetattr, runSetattr, putWcc, putWcc, settleSetattr},
		{"LOOKUP", reads, searches, decodeLookup, runLookup, okLookup, failLookup, nil},
		{"ACCESS", reads, 0, decodeAccess, runGetattr, okAccess, putPostOp, nil},
		{"READLINK", reads, 0, decodeHandle, runReadlink, okReadlink, putPostOp, nil},
		{"READ", reads, large | contents, decodeRead, runRead, okRead, putPostOp, nil},
		{"WRITE", changes, apart, decodeWrite, runWrite, okWrite, putWcc, nil},
		{"CREATE", changes, 0, decodeCreate, runCreate, okMade, putWcc, settleCreate},
		{"MKDIR", changes, 0, decodeMkdir, runMkdir, okMade, putWcc, settleMkdir},
		{"SYMLINK", changes, 0, decodeSymlink, runSymlink, okMade, putWcc, settleSymlink},
		{"MKNOD", changes, 0, decodeMknod, runMknod, okMade, putWcc, settleMknod},
		{"REMOVE", changes, 0, decodeRemove, runRemove, putWcc, putWcc, settleRemove},
		{"RMDIR", changes, 0, decodeRemove, runRmdir, putWcc, putWcc, settleRemove},
		{"RENAME", changes, 0, decodeRename, runRename, putWcc2, putWcc2, settleRename},
		{"LINK", changes, 0, decodeLink, runLink, putLink, putLink, settleLink},
		{"READDIR", reads, large | contents, decodeReaddir, runReaddir, okReaddir, putPostOp, nil},
		{"READDIRPLUS", reads, large | contents, decodeReaddirplus, runReaddir, okReaddir, putPostOp, nil},
		{"FSSTAT", reads, 0, decodeHandle, runStat, okFsstat, putPostOp, nil},
		{"FSINFO", reads, 0, decodeHandle, runStat, okFsinfo, putPostOp, nil},
		{"PATHCONF", reads, 0, decodeHandle, runStat, okPathconf, putPostOp, nil},
		{"COMMIT", changes, slow, decodeCommit, runCommit, okCommit, putWcc, nil},
	},
}

// mountProgram is MOUNT version 3 (RFC 1813 §5.2), and of versions 1 and 2 what
// looks the same on the wire: Apple's client says UMNT in version 1.
var mountProgram = program{
	num: progMount, low: 1, high: 3, slot: firstMount, newest: 1 << 1,
	procs: []procedure{
		{"MOUNT NULL", open, plain, nothing, noRun, nothing, nothing, nil},
		{"MNT", open, 0, decodePath, runMnt, okMnt, nothing, nil},
		{"DUMP", open, plain, nothing, noRun, okDump, nothing, nil},
		{"UMNT", open, plain, decodePath, noRun, nothing, nothing, nil},
		{"UMNTALL", open, plain, nothing, noRun, nothing, nothing, nil},
		{"EXPORT", open, plain, nothing, noRun, okExport, nothing, nil},
	},
}

func nothing(*request) {}

func noRun(*request) error { return nil }

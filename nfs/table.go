package nfs

// access says who may call a procedure and what it does.
type access uint8

const (
	open    access = iota // for everybody, without a credential too
	reads                 // for the owner and root, and for others with Options.ShareRead
	changes               // for the owner and root; repeating it may do harm
)

// traits are what is particular to a procedure's calls and replies.
type traits uint8

const (
	slow     traits = 1 << iota // goes to a worker at once
	large                       // the reply may be large
	plain                       // the result is no union: there is no status, and ok always follows
	searches                    // others have to have the right to search the directory
	contents                    // others have to have the right to read the object
)

// procedure is a row of the tables below. A call's way is decode, run, and ok or
// fail, which append the result union's arm behind the status.
type procedure struct {
	name   string
	access access
	traits traits
	decode func(*request)
	run    func(*request) error
	ok     func(*request)
	fail   func(*request)
}

func (p *procedure) is(t traits) bool { return p.traits&t != 0 }

// program is an RPC program, in all the versions that are served.
type program struct {
	num       uint32
	low, high uint32
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
		{"NULL", open, plain, nothing, noRun, nothing, nothing},
		{"GETATTR", reads, 0, decodeHandle, runGetattr, okGetattr, nothing},
		{"SETATTR", changes, 0, decodeSetattr, runSetattr, putWcc, putWcc},
		{"LOOKUP", reads, searches, decodeLookup, runLookup, okLookup, failLookup},
		{"ACCESS", reads, 0, decodeAccess, runGetattr, okAccess, putPostOp},
		{"READLINK", reads, 0, decodeHandle, runReadlink, okReadlink, putPostOp},
		{"READ", reads, large | contents, decodeRead, runRead, okRead, putPostOp},
		{"WRITE", changes, 0, decodeWrite, runWrite, okWrite, putWcc},
		{"CREATE", changes, 0, decodeCreate, runCreate, okMade, putWcc},
		{"MKDIR", changes, 0, decodeMkdir, runMkdir, okMade, putWcc},
		{"SYMLINK", changes, 0, decodeSymlink, runSymlink, okMade, putWcc},
		{"MKNOD", changes, 0, decodeMknod, runMknod, okMade, putWcc},
		{"REMOVE", changes, 0, decodeRemove, runRemove, putWcc, putWcc},
		{"RMDIR", changes, 0, decodeRemove, runRmdir, putWcc, putWcc},
		{"RENAME", changes, 0, decodeRename, runRename, putWcc2, putWcc2},
		{"LINK", changes, 0, decodeLink, runLink, putLink, putLink},
		{"READDIR", reads, slow | large | contents, decodeReaddir, runReaddir, okReaddir, putPostOp},
		{"READDIRPLUS", reads, slow | large | contents, decodeReaddirplus, runReaddir, okReaddir, putPostOp},
		{"FSSTAT", reads, 0, decodeHandle, runStat, okFsstat, putPostOp},
		{"FSINFO", reads, 0, decodeHandle, runStat, okFsinfo, putPostOp},
		{"PATHCONF", reads, 0, decodeHandle, runStat, okPathconf, putPostOp},
		{"COMMIT", changes, slow, decodeCommit, runCommit, okCommit, putWcc},
	},
}

// mountProgram is MOUNT version 3 (RFC 1813 §5.2), and of versions 1 and 2 what
// looks the same on the wire: Apple's client says UMNT in version 1.
var mountProgram = program{
	num: progMount, low: 1, high: 3, newest: 1 << 1,
	procs: []procedure{
		{"MOUNT NULL", open, plain, nothing, noRun, nothing, nothing},
		{"MNT", open, 0, decodePath, runMnt, okMnt, nothing},
		{"DUMP", open, plain, nothing, noRun, okDump, nothing},
		{"UMNT", open, plain, decodePath, runUmnt, nothing, nothing},
		{"UMNTALL", open, plain, nothing, runUmnt, nothing, nothing},
		{"EXPORT", open, plain, nothing, noRun, okExport, nothing},
	},
}

func nothing(*request) {}

func noRun(*request) error { return nil }

package nfs

// access says who may call a procedure and what it does.
type access uint8

const (
	open    access = iota // for everybody, without a credential too
	reads                 // for the owner and root
	changes               // for the owner and root; repeating it may do harm
)

// procedure is a row of the tables below. A call's way is decode, run, and ok or
// fail, which append the result union's arm behind the status.
type procedure struct {
	name   string
	access access
	slow   bool // goes to a worker at once
	large  bool // the reply may be large
	plain  bool // the result is no union: there is no status, and ok always follows
	decode func(*request)
	run    func(*request) error
	ok     func(*request)
	fail   func(*request)
}

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
		{"NULL", open, false, false, true, nothing, noRun, nothing, nothing},
		{"GETATTR", reads, false, false, false, decodeHandle, runGetattr, okGetattr, nothing},
		{"SETATTR", changes, false, false, false, decodeSetattr, runSetattr, putWcc, putWcc},
		{"LOOKUP", reads, false, false, false, decodeLookup, runLookup, okLookup, failLookup},
		{"ACCESS", reads, false, false, false, decodeAccess, runGetattr, okAccess, putPostOp},
		{"READLINK", reads, false, false, false, decodeHandle, runReadlink, okReadlink, putPostOp},
		{"READ", reads, false, true, false, decodeRead, runRead, okRead, putPostOp},
		{"WRITE", changes, false, false, false, decodeWrite, runWrite, okWrite, putWcc},
		{"CREATE", changes, false, false, false, decodeCreate, runCreate, okMade, putWcc},
		{"MKDIR", changes, false, false, false, decodeMkdir, runMkdir, okMade, putWcc},
		{"SYMLINK", changes, false, false, false, decodeSymlink, runSymlink, okMade, putWcc},
		{"MKNOD", changes, false, false, false, decodeMknod, runMknod, okMade, putWcc},
		{"REMOVE", changes, false, false, false, decodeRemove, runRemove, putWcc, putWcc},
		{"RMDIR", changes, false, false, false, decodeRemove, runRmdir, putWcc, putWcc},
		{"RENAME", changes, false, false, false, decodeRename, runRename, putWcc2, putWcc2},
		{"LINK", changes, false, false, false, decodeLink, runLink, putLink, putLink},
		{"READDIR", reads, true, true, false, decodeReaddir, runReaddir, okReaddir, putPostOp},
		{"READDIRPLUS", reads, true, true, false, decodeReaddirplus, runReaddir, okReaddir, putPostOp},
		{"FSSTAT", reads, false, false, false, decodeHandle, runStat, okFsstat, putPostOp},
		{"FSINFO", reads, false, false, false, decodeHandle, runStat, okFsinfo, putPostOp},
		{"PATHCONF", reads, false, false, false, decodeHandle, runStat, okPathconf, putPostOp},
		{"COMMIT", changes, true, false, false, decodeCommit, runCommit, okCommit, putWcc},
	},
}

// mountProgram is MOUNT version 3 (RFC 1813 §5.2), and of versions 1 and 2 what
// looks the same on the wire: Apple's client says UMNT in version 1.
var mountProgram = program{
	num: progMount, low: 1, high: 3, newest: 1 << 1,
	procs: []procedure{
		{"MOUNT NULL", open, false, false, true, nothing, noRun, nothing, nothing},
		{"MNT", open, false, false, false, decodePath, runMnt, okMnt, nothing},
		{"DUMP", open, false, false, true, nothing, noRun, okDump, nothing},
		{"UMNT", open, false, false, true, decodePath, runUmnt, nothing, nothing},
		{"UMNTALL", open, false, false, true, nothing, runUmnt, nothing, nothing},
		{"EXPORT", open, false, false, true, nothing, noRun, okExport, nothing},
	},
}

func nothing(*request) {}

func noRun(*request) error { return nil }

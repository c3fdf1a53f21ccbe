package nfsclient

// NewArgs gives empty arguments for a procedure, to be filled. Those of a procedure that is
// not known are VoidArgs.
func NewArgs(p Proc) Args {
	if p.Prog == MountProgram && (p.Num == ProcMnt || p.Num == ProcUmnt) {
		return &PathArgs{P: p}
	}
	if p.Prog != NFSProgram {
		return &VoidArgs{P: p}
	}
	switch p.Num {
	case ProcGetattr, ProcReadlink, ProcFsstat, ProcFsinfo, ProcPathconf:
		return &HandleArgs{P: p}
	case ProcLookup, ProcRemove, ProcRmdir:
		return &NameArgs{P: p}
	case ProcSetattr:
		return &SetattrArgs{}
	case ProcAccess:
		return &AccessArgs{}
	case ProcRead:
		return &ReadArgs{}
	case ProcWrite:
		return &WriteArgs{}
	case ProcReaddir:
		return &ReaddirArgs{}
	case ProcReaddirplus:
		return &ReaddirplusArgs{}
	case ProcCommit:
		return &CommitArgs{}
	}
	return newNamingArgs(p)
}

// newNamingArgs gives those of the procedures that give names.
func newNamingArgs(p Proc) Args {
	switch p.Num {
	case ProcCreate:
		return &CreateArgs{}
	case ProcMkdir:
		return &MkdirArgs{}
	case ProcSymlink:
		return &SymlinkArgs{}
	case ProcMknod:
		return &MknodArgs{}
	case ProcRename:
		return &RenameArgs{}
	case ProcLink:
		return &LinkArgs{}
	}
	return &VoidArgs{P: p}
}

// NewResults gives what a procedure's results decode into. Those of a procedure that is
// not known are VoidRes.
func NewResults(p Proc) Results {
	if p.Prog == MountProgram {
		return newMountResults(p)
	}
	switch p.Num {
	case ProcGetattr:
		return &GetattrRes{}
	case ProcSetattr, ProcRemove, ProcRmdir:
		return &WccRes{}
	case ProcLookup:
		return &LookupRes{}
	case ProcAccess:
		return &AccessRes{}
	case ProcReadlink:
		return &ReadlinkRes{}
	case ProcRead:
		return &ReadRes{}
	case ProcWrite:
		return &WriteRes{}
	case ProcCreate, ProcMkdir, ProcSymlink, ProcMknod:
		return &CreateRes{}
	case ProcRename:
		return &RenameRes{}
	case ProcLink:
		return &LinkRes{}
	}
	return newWholeResults(p)
}

// newWholeResults gives those of the procedures from READDIR on, which tell of a whole
// directory, file system or file.
func newWholeResults(p Proc) Results {
	switch p.Num {
	case ProcReaddir:
		return &ReaddirRes{}
	case ProcReaddirplus:
		return &ReaddirplusRes{}
	case ProcFsstat:
		return &FsstatRes{}
	case ProcFsinfo:
		return &FsinfoRes{}
	case ProcPathconf:
		return &PathconfRes{}
	case ProcCommit:
		return &CommitRes{}
	}
	return &VoidRes{}
}

func newMountResults(p Proc) Results {
	switch p.Num {
	case ProcMnt:
		return &MntRes{}
	case ProcDump:
		return &DumpRes{}
	case ProcExport:
		return &ExportRes{}
	}
	return &VoidRes{}
}

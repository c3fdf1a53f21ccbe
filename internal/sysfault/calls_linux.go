package sysfault

import "golang.org/x/sys/unix"

// Call is a system call that is about to be made.
type Call struct {
	N       int    // its number, from 0
	Name    string // as in its manual page
	Mutates bool   // it may change the file system
}

// kind is what is known of a system call by its number.
type kind struct {
	name    string
	mutates bool
}

// kinds are the calls that are decided upon: all that can reach a file system but
// close(2), whose failure nobody can do anything about, and read(2) and write(2): Go's
// runtime and race detector make these where nothing else may run, the supervisor either.
var kinds = map[uint32]kind{
	unix.SYS_OPENAT:          {"openat", false}, // see mutates
	unix.SYS_IOCTL:           {"ioctl", false},  // see mutates
	unix.SYS_STATX:           {"statx", false},
	unix.SYS_FSTAT:           {"fstat", false},
	unix.SYS_FACCESSAT:       {"faccessat", false},
	unix.SYS_FSTATFS:         {"fstatfs", false},
	unix.SYS_GETDENTS64:      {"getdents64", false},
	unix.SYS_READLINKAT:      {"readlinkat", false},
	unix.SYS_LSEEK:           {"lseek", false},
	unix.SYS_PREAD64:         {"pread64", false},
	unix.SYS_PREADV2:         {"preadv2", false},
	unix.SYS_GETXATTR:        {"getxattr", false},
	unix.SYS_LGETXATTR:       {"lgetxattr", false},
	unix.SYS_FGETXATTR:       {"fgetxattr", false},
	unix.SYS_LLISTXATTR:      {"llistxattr", false},
	unix.SYS_FLISTXATTR:      {"flistxattr", false},
	unix.SYS_FSYNC:           {"fsync", false},
	unix.SYS_FDATASYNC:       {"fdatasync", false},
	unix.SYS_SYNC_FILE_RANGE: {"sync_file_range", false},
	unix.SYS_MKDIRAT:         {"mkdirat", true},
	unix.SYS_MKNODAT:         {"mknodat", true},
	unix.SYS_LINKAT:          {"linkat", true},
	unix.SYS_SYMLINKAT:       {"symlinkat", true},
	unix.SYS_UNLINKAT:        {"unlinkat", true},
	unix.SYS_RENAMEAT:        {"renameat", true},
	unix.SYS_RENAMEAT2:       {"renameat2", true},
	unix.SYS_LSETXATTR:       {"lsetxattr", true},
	unix.SYS_FSETXATTR:       {"fsetxattr", true},
	unix.SYS_LREMOVEXATTR:    {"lremovexattr", true},
	unix.SYS_FREMOVEXATTR:    {"fremovexattr", true},
	unix.SYS_FTRUNCATE:       {"ftruncate", true},
	unix.SYS_FALLOCATE:       {"fallocate", true},
	unix.SYS_PWRITE64:        {"pwrite64", true},
	unix.SYS_COPY_FILE_RANGE: {"copy_file_range", true},
	unix.SYS_FCHMOD:          {"fchmod", true},
	unix.SYS_FCHMODAT:        {"fchmodat", true},
	unix.SYS_FCHOWN:          {"fchown", true},
	unix.SYS_FCHOWNAT:        {"fchownat", true},
	unix.SYS_UTIMENSAT:       {"utimensat", true},
}

// mutates tells it of the calls of which it takes an argument to know.
func mutates(nr uint32, args *[6]uint64) bool {
	switch nr {
	case unix.SYS_OPENAT:
		return args[2]&(unix.O_CREAT|unix.O_TRUNC) != 0
	case unix.SYS_IOCTL:
		return args[1] == unix.FICLONE
	}
	return kinds[nr].mutates
}

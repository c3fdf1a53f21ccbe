// Command benchmount measures what people do in /nix on the Linux kernel's NFS client: over
// nixnfsd, over the kernel's own server, over nfs-ganesha, and on ext4 without any NFS.
//
//	make bench-mount [BENCH='-rounds 5 -only tar,status']
//
// Each round boots a guest (see package uml), which makes an ext4 for each contender, with all
// of the machine's own defaults, starts all servers, and then has each operation done in turn
// on every one of them, so that a ratio compares what ran at about the same time. The order of
// the contenders is another one in each round. All are mounted with the options that nixnfsd
// tells people to use, and anew before each operation: the client knows nothing then, while
// the servers' files are in memory, as are those of ext4 without NFS.
//
// # Contenders
//
//	ext4         the directory itself, bound to /nix: what no server can reach
//	knfsd        the kernel's server, exported sync, the default: what was made, renamed or
//	             removed is on the disk before the reply
//	knfsd-async  the kernel's server, exported async: it syncs nothing at all, not even what
//	             a client asks to have synced
//	ganesha      nfs-ganesha with its VFS back end
//	nixnfsd      run by an ordinary user: data is synced as NFSv3 has it, names are not
//
// Programs run as an ordinary user. A guest's system call takes some 8 µs, and to go from one
// process to another more: servers in the kernel, which do neither, stand better there than on
// a machine of its own.
package main

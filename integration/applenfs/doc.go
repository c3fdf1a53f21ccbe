// Package applenfs is an NFSv3 client that behaves as the one in macOS's kernel does: what it
// caches and for how long, what makes it throw a cache away, which calls it makes of a
// program's, and what it sends again. It is for tests on systems that are no macOS, whose own
// clients hide what only Apple's shows.
//
// It follows Apple's published sources, in its own words: the NFS kext (release NFS-339, files
// in kext/) and, for what the kernel does above it, xnu's bsd/vfs. A Mount is what one kernel
// keeps of one mount; its methods are system calls on paths and open files.
//
// # What follows which rule
//
//	options.go    mount options and their defaults        mountnfs in nfs_vfsops.c
//	mount.go      NULL, MNT, GETATTR, FSINFO, PATHCONF,    nfs3_mount, nfs3_mount_rpc, nfs3_fsinfo
//	              FSSTAT, all as uid 0; UMNT in version 1  nfs3_umount_rpc
//	wire.go       transaction ids                          nfs_get_xid in nfs_subs.c
//	              a ping as uid 0 on each connection, and  nfs_connect_search_ping, nfs_reconnect
//	              all calls again with the same ids        in nfs_socket.c
//	              JUKEBOX: 4, 8, 16, 30 seconds, a new id  nfs_request_finish
//	node.go       one node for each handle                 nfs_nget in nfs_node.c
//	              attributes of late replies are dropped,  nfs_loadattrcache in nfs_subs.c
//	              an object of another type is ESTALE
//	              wcc_data: its mtime before, and its      nfsm_chain_get_wcc_data_f
//	              attributes after
//	attr.go       how long attributes count                nfs_attrcachetimeout, nfs_getattrcache
//	              a change is a change of mtime            NFS_CHANGED, NFS_CHANGED_NC in nfsnode.h,
//	                                                       nfs_getattr_internal in nfs_vnops.c
//	              a stale file is looked up once more      nfs_refresh_fh
//	              rights: all asked at once, refusals are  nfs_vnop_access, nfs3_access_rpc
//	              never cached
//	names.go      name cache, with names that are not      nfs_vnop_lookup, nfs_lookitup,
//	              there                                    nfs_negative_cache_purge
//	listing.go    READDIRPLUS in buffers of 4 KiB, cookies nfs_vnop_readdir, nfs3_readdir_rpc,
//	              and their lower halves, the verifier     nfs_dir_cookie_to_lbn
//	              names and attributes from listings       nfs_dir_buf_cache_lookup
//	data.go       reads                                    nfs_bioread in nfs_bio.c
//	              delayed writes, UNSTABLE, then COMMIT;   nfs_vnop_write, nfs_flush,
//	              again, FILE_SYNC, after another verifier nfs_flushcommits
//	change.go     CREATE, EXCLUSIVE with SETATTR           nfs3_vnop_create
//	              data is written before times are set     nfs_vnop_setattr
//	              ENOENT and EEXIST that count as success  nfs_vnop_remove, nfs_vnop_rename, …
//	silly.go      open files that are removed              nfs_sillyrename, nfs_vnop_inactive
//	companion.go  look-ups of ._ files beside calls        nfs_dulookup_start
//	              and what the kernel does to them         kpi_vfs.c in xnu
//	path.go       paths, and what opening asks             vfs_lookup.c in xnu, nfs_vnop_open
//
// Attributes are compared by type alone, as there: Apple's client takes no offence at a
// fileid that changes. It notes what it only hides or suffers from, though, and so that; see
// [Mount.Notes].
//
// # What is not there
//
// Memory mapping, locks, extended attributes, ACLs, several users, read-ahead, NFSv2 and v4,
// soft mounts, and the removal of ._ files that alone keep a directory from being removed.
// Calls of programs are carried out one after the other; a WRITE of a flush and a look-up of a
// companion are under way beside others. A node is kept until the mount ends, unless
// Options.Forgetful has the kernel short of memory.
//
// Nothing waits for time to pass but a JUKEBOX: caches go by a clock that whoever mounts may
// hold in hand.
package applenfs

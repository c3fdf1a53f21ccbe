// Command bench measures nixnfsd beside others, and prints how they compare:
//
//	make bench
//	make bench BENCH='-only getattr,eval -rounds 5 -time 2s -peers limit'
//
// The contenders are nixnfsd without, with one and with five lower directories; go-nfs over
// billy's osfs; nfs-ganesha, where the machine has it and rpcbind; the limit, which is the least
// NFSv3 server in Go that makes the real system calls (package yardstick); these system calls
// themselves ("direct"); and an RPC echo.
//
// # Figures
//
// All contenders run at once, and in each round each of them has each workload, one after
// the other and another one first each time. A machine's speed changes by a factor of two
// or more while others use it, so what counts is the ratio of two contenders within a
// round, of which the median over the rounds is printed, and the server's processor time
// for each call. Client and server share the processors: the client (link) costs as little
// as it can.
//
// Replies are checked: sizes, contents, counts, verifiers. What failed has no figures.
//
// # Workloads
//
//	getattr  one file's attributes, 1 and 32 calls at once
//	lookup   10,000 names of a directory at random, likewise
//	eval     reads of a tree like nixpkgs as a client does that knows none of it: LOOKUP,
//	         ACCESS and READ of each file; 1 and 8 walkers
//	list     READDIRPLUS of 10,000 and of 100,000 names
//	read     a large file, 8 READs at once
//	handles  getattr, when the server has given out handles of all that is there
//	write    a large file UNSTABLE, 8 WRITEs at once, and COMMIT
//	sync     4 KiB, FILE_SYNC, one after the other
//	beside   GETATTRs while a COMMIT of 1 GiB is under way on the same connection
//	unpack   files as Nix adds them to a store (CREATE, WRITE, SETATTR), and their removal
//	restart  an end of the server and a new start, which has to know all these handles
//	walk     a million files, for the memory that nixnfsd has then
//
// Unpack and walk are done in memory, since some file systems make files slower when others
// were removed before. All others are done on a disk, beneath -dir, where the trees stay for
// the next run. Walk takes about 1 GiB of memory for its files. With five lower directories the tree's files are dealt to them, the
// directories of the evaluation whole, as store paths are.
package main

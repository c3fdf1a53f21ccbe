// Package nfs is an NFS version 3 server (RFC 1813) with its MOUNT protocol, over
// ONC RPC (RFC 5531) on TCP, for one file system and one owner.
//
// A Server answers to an FS, which *overlay.FS is. All of NFS version 3 and MOUNT
// version 3 is there; of MOUNT versions 1 and 2 what looks the same on the wire.
// There is no portmapper, NLM or NSM: clients are told the port and keep their
// locks to themselves. Who has mounted is not kept, and DUMP lists nobody.
//
// # The way of a call
//
// The goroutine that reads a connection (conn) cuts what arrives into records,
// finds the procedure in one of two tables (program), and calls it at once. What the
// file system cannot answer without waiting (overlay.ErrWouldBlock), and what
// always waits, it answers as a worker, with a copy of the call, or with the block
// of memory that it came in if it is large. Another goroutine reads on meanwhile (relay), so
// that nothing waits behind such a call: at once when there is more to do, or was during one of
// the last such calls, else as soon as there is (readable), for to wake one up takes longer than
// many such a call. Replies of one batch of calls leave in one write; workers' replies that are
// ready go along (sender).
//
// So calls of one connection are answered in any order, as RFC 1813 §4.6 expects of
// a server: a client that wants an order waits for the reply.
//
// # Calls that are sent again
//
// A client that has no reply after a while, or a new connection, sends its call again: the
// same bytes with the same XID, from the same port (Linux) or another one. What may not
// run twice is all that makes, removes or changes a name, and SETATTR. Of those the latest
// 4096 calls are remembered, for a day at most (Replies). A call is the same if it comes
// from the same address and is the same in XID, length and a keyed hash of all bytes: of the
// credential too, with the client's name, uid and groups. XIDs alone prove nothing: Apple's
// client counts all its mounts' calls together, Linux's each connection's from a
// random number. A call that is sent again
//
//   - gets the first reply, byte for byte. A reply of NFS3ERR_JUKEBOX is no reply: the
//     client asks anew.
//   - does not run while the first one runs: a connection that has sent both gets one reply,
//     and another connection gets the same reply when it is there. No worker waits for that.
//   - runs when the first has been forgotten. None is forgotten that runs, and none earlier
//     because somebody sets the machine's clock.
//
// READ and the like and COMMIT run again: that does no harm. A WRITE that ran again behind a
// later one would bring back what that has overwritten: while it waits for a worker, or is read
// at last from a connection that its client has given up. So the latest 4096 WRITEs are remembered
// too, apart from the other calls, which they would drive out, and by this Server only. Of
// their arguments the first 256 bytes are hashed, with the handle, the offset and the length.
//
// The replies are kept in a mapped file in the state directory (OpenReplies), so a server
// that was killed and started again gives them too, while the kernel runs. It knows also
// of the calls that had begun and got no reply. Such a call, sent again, may have been carried
// out or not. It runs, and when it fails for what its own success would be the cause of, it
// has succeeded, where the layers say so:
//
//   - CREATE GUARDED, MKDIR, SYMLINK and MKNOD, when the object that is there was made since
//     the call began, and by no call that got a reply. (EXCLUSIVE has its own verifier.)
//   - REMOVE and RMDIR of a name that is not there, when the directory changed since.
//   - RENAME of a name that is not there, when the new one is and both directories changed since.
//   - LINK to a name that the object has, and that changed since.
//   - SETATTR with a guard, when the object changed since and is as it should become.
//
// And not when the same was asked by another call that succeeded since. The moment that a call
// began is noted by the clock that file systems stamp objects with, up to 10 ms early, so
// that nothing it did has a stamp from before. What changed behind the server's back,
// between the kill and the second call, can deceive it: then a call is said to have
// succeeded whose outcome is there. So can who sets the clock back between a call's
// beginning and its change: then a call is said to have failed that was carried out. A RENAME,
// REMOVE or truncation that was carried out runs again, to no good, if somebody gave the
// old name to another object or wrote to the file in that moment.
//
// # Bounds
//
// Nothing a client says makes the server hold more memory than this: connections,
// the calls of a connection that are with workers, and blocks for large calls
// and replies are all counted, and a connection that is at a bound is not read until
// one of its calls has been answered. A client that does not read its replies, or
// stops in the middle of a call, is cut off after a while; meanwhile it holds up
// nobody else. A panic ends one call, with NFS3ERR_SERVERFAULT.
//
//	1 MiB              data of a READ or WRITE
//	1 MiB + 64 KiB     a call's record; a longer one ends the connection
//	1024               empty fragments of a record, likewise
//	400 bytes          credential, likewise; 16 groups and 255 bytes of a name are allowed
//	64 bytes           file handle, or the call is garbage
//	64 KiB             name or path, likewise; 255 and 1024 bytes are allowed, and 4095
//	                   of a symbolic link's target
//	256 KiB            results of a READDIR or READDIRPLUS
//	4096 + 4096        calls that are remembered with their replies: others, and WRITEs
//	64                 calls of a connection that are with workers
//	16 or more         calls of all connections that wait for the disk (Options.Workers)
//	8 of 1 MiB         blocks of a connection, for large calls and replies
//	24 + 32 of 1 MiB   blocks of all connections: one each of 32, and 24 among them
//	32                 connections that are being answered; the others wait, a second
//	                   at most while those are stuck
//	16                 connections of which it is found out whose they are; others wait
//	4096               connections, or a quarter of the files that the process may open:
//	                   the one that was silent the longest makes room
//	1 to 2 minutes     for the rest of a call that was begun, however it trickles in
//	30 to 60 seconds   for taking a reply
//	3 minutes          until a client that is gone without a word is found out
//
// limits_test.go says which tests hold this. All clients together cannot have the server hold more than 80 MiB. Of an idle connection
// it keeps some KiB, and 2000 of them do not slow down the one that works.
//
// # Halts
//
// A server can be brought to rest between two calls (Halt) and go on, or leave its
// connections to another Server, in another process too (Detach, Adopt): clients wait for a
// moment and notice nothing, but that what they have not had committed is to be sent again.
//
// # What is counted
//
// Calls, errors, bytes and times are counted (Server.Stats) without making anybody wait: a connection that
// is busy has counters of its own (meter), and reads no clock for them but for one call in 64
// of each procedure. Such a call's time is cut into three: from the last read of the connection
// that brought a part of it until it is begun, behind the calls before it or waiting for a worker; in the file
// system; and until the batch that its reply is in has been written. A call that could not be
// answered without waiting is begun when a worker begins it.
//
// # Who is served
//
// A connection has to be the owner's or root's: Options.PeerUID tells whose it is, before
// anything is read from it. Who is refused is hung up on without a word, and takes
// nobody's place. (Kernels connect as root, for whoever mounts.)
//
// Then each call is judged by its AUTH_SYS credential: those of the owner and of root
// are answered, and with Options.ShareRead the reading ones of others, as far as the mode
// lets them; the rest get NFS3ERR_ACCES. Anybody may call NULL, see the list of exports, and
// the attributes of the root. By itself a credential is a claim (RFC 5531 §14); what makes it
// true is that on a connection of root's it is the kernel who makes it. The owner can claim
// to be root: he gets nothing by that, since the server does everything as the owner. File
// handles carry a message authentication code, so that none can be made up.
//
// The server does what it does as the user that it runs as. ACCESS tells what the
// mode bits say of the caller; a WRITE or READ by the owner is not held to
// them, because NFS has no open files: a descriptor that was opened before a
// chmod must go on working (RFC 1813 §4.4).
//
// # What is promised about stable storage
//
// UNSTABLE data and everything else is as safe as the FS makes it; the write
// verifier is another one for each Server, so that after a restart clients send
// again what they have not had committed (RFC 1813 §4.8). It becomes another one also when a
// COMMIT or a stable WRITE could not put data on disk: the system tells one caller of that,
// and some of the data can be others'.
package nfs

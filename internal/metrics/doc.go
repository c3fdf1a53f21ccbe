// Package metrics tells Prometheus, and whoever else asks, what a running server does.
//
// A Snapshot is what there is to tell, gathered when somebody asks: the server's hot paths know
// nothing of Prometheus (nfs.Server.Stats, overlay.FS.Stats). A Server gives it as text over
// HTTP, on a loopback address or a Unix socket.
//
// # Who may ask
//
// The owner and root, by what the system says of whose the connection is, as for NFS. The socket is 0600
// in a directory that only its owner may write to. A request has to name an address and
// no name, or localhost: a page in a browser of the owner's can have its own name lead here, and
// would be let in otherwise.
//
// # Bounds
//
// 16 connections at once, of which others wait, and two answers; 10 seconds for a request, and 16 KiB; a
// panic ends one answer.
//
// # Times
//
// Of each procedure a connection times one call in 64, so nixnfsd_nfs_call_duration_seconds_count
// is about a 64th of nixnfsd_nfs_calls_total. Everything begins at zero when a program takes over
// from another (`nixnfsd restart`), as Prometheus expects of counters.
package metrics

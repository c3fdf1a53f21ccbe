// Package status is what `nixnfsd status` shows: a Report of the server, its mount, its keeper and
// its layers, as lines of text, once or again and again on a terminal (Watch).
//
// # What is asked
//
// Server and keeper are asked over their sockets (internal/control), each within a time limit, and
// the mount table is read. The mount is never touched: whoever does hangs where its server is gone. To watch
// is not to disturb: with the server's answer it is known that it runs, and no call of NFS is made to
// find out, and what costs the server or the keeper more than to read its own memory is asked seldom.
//
// # Times
//
// Rates are of the time since the look before, latencies of the last ten looks, since only one call in
// 64 is timed. What is shown once is of all the time since the server was started.
package status

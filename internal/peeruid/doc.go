// Package peeruid tells which user has the other end of a TCP connection within this
// machine.
//
// There is no system call for that, as there is for Unix sockets; but both ends are
// sockets of one kernel, and its table of sockets names the user of each. The other end
// is the socket whose local address is our remote one.
//
// # What an answer is worth
//
// The table is looked at after the connection was made, and what is there by then may
// be another socket. So there is an answer only when all of this holds:
//
//   - The socket is connected. One that is still about to be (SYN_SENT) may belong to
//     somebody who is about to get the addresses of a connection that is gone.
//   - Somebody has it. The systems go on listing sockets that were closed while data was
//     on its way, and say of them that they are root's: who sends and closes at once
//     would be taken for root. (Linux: the inode is 0. xnu: there is no socket, nor
//     for connections that Skywalk makes in a process of its own.)
//   - Our end is still connected after the look, for while it is, nobody else's connection
//     can have its addresses.
//
// Linux takes user and inode from the socket one after the other, so an answer that is
// root is asked for twice: what was closed in between stays so.
//
// The user is the one who made the socket. It does not follow the descriptor: who hands
// a connection on, or relays one for others, answers for it.
//
// # Where it is looked up
//
// Linux: sock_diag(7), which finds one socket among many at once, and where that is not
// to be had, /proc/net/tcp and tcp6. macOS: the sysctl net.inet.tcp.pcblist_n
// (bsd/netinet/in_pcblist.c), which takes no privilege; it has not been tried on a Mac.
package peeruid

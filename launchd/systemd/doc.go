// Package systemd has Linux start the server with its owner's session, and the
// keeper when the machine starts: their unit files (systemd.service(5)), the
// command lines of systemctl(1), and what its answers mean. It runs nothing. It is
// to Linux what package launchd is to macOS.
//
// # Who holds the listening socket
//
// systemd could hold it (systemd.socket(5)), so that no other user takes the
// port while the server is down. It does not, yet: macOS cannot do the same, so
// the keeper has to guard against strangers on the port anyway; whoever calls a
// server that does not start would wait for ever, where now the connection is
// refused and everybody sees why; and the environment that passes the socket on
// lives through "nixnfsd restart", which has the successor take its sockets
// another way.
//
// # No sandbox around the keeper
//
// Most protections of systemd.exec(5), from ProtectSystem to PrivateTmp, give a
// service a mount namespace of its own: what the keeper mounts would be seen by
// nobody else. Those that the keeper's unit has do without.
package systemd

// Package launchd has macOS start the server when its owner logs in, and the
// keeper when the machine starts: their property lists (launchd.plist(5)), the
// command lines of launchctl(1), and what its answers mean. It runs nothing.
//
// # Who holds the listening socket
//
// launchd could hold it (the key Sockets) and start the server when somebody
// connects, so that no other user takes the port while the server is down. The
// server does not take it from there: the only way to get the socket is
// launch_activate_socket(3) of the C library, which a program without cgo
// cannot call in a way that Apple promises to keep. Nor would it be enough, as
// launchd gives the port up when the owner logs out. So the keeper mounts nothing
// but a listener of the owner's, and unmounts when the server stays away.
//
// # Caveats
//
// Program and log must not lie in the mount: launchd would wait for a server that
// it is to start. From macOS 13 on the user can forbid a job under "Login Items", and macOS
// says when one is added; macOS 26 may start jobs minutes after the login.
package launchd

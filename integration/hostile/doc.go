// Package hostile has a user of the machine attack another's server, as two real users: the
// server runs as one uid, each attack in a process of another, and a third
// process, of the server's user, goes on working all the while and says how long it had to wait.
//
// An attack prints what it should not have been able to do, so a line of its output
// fails the test. Afterwards the store is as it was. What takes the kernel's
// client, to mount the export in a directory of the attacker's, is in package guest.
//
// All of it takes Linux and root.
package hostile

// Package storeimport takes over a store of Nix that lies in another directory, such as one on
// an APFS volume: store paths with their hard links, the database, profiles and
// garbage collector roots.
//
// # How it goes
//
// Nix is kept out of the old store meanwhile by its own locks, and what is in use is refused. Nothing is
// written there. The copy is made through the server, beside the new store, which has to be empty: each store path
// under a name for what is half-made first. The next run goes on with those that are whole. At last
// the store appears by one rename, and then var.
//
// A file with several names is copied once and linked: its other names are found by the inode number,
// also those that an earlier run has copied.
//
// What Nix makes anew is left out: locks, sockets, the roots of processes that run, the reserve of the database.
// Everything belongs to the user then, whoever it belonged to, and has no extended attributes.
package storeimport

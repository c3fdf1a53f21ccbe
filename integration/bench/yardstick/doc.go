// Package yardstick has servers that are no products: they tell what a server in Go could
// reach on a machine, for the benchmark to hold nixnfsd against.
//
// ServeNFS is the least NFSv3 server that makes the real system calls for each call: an
// lstat for a GETATTR, two for a LOOKUP, a pread for a READ, an fsync for a COMMIT. It has no
// layers, no duplicate-request cache and no security of any kind: a name may be "..", a
// handle is an index, and everything is named by its path. Calls are decoded where they were
// read, replies are joined into one write for all that one read brought, and files stay open
// between READs.
//
// ServeEcho answers like it, and makes no system calls but those of the connection.
package yardstick

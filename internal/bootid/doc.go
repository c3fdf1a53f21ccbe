// Package bootid tells one run of the kernel from the next. What serves clients that
// only live as long as it does, such as the kernel's own NFS client, is of no use after.
package bootid

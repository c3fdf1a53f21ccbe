// Package nfs is an NFS version 3 server (RFC 1813) with its MOUNT protocol, over
// ONC RPC (RFC 5531) on TCP, for one file system and one owner.
package nfs

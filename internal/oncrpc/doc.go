// Package oncrpc encodes and decodes ONC RPC version 2 messages (RFC 5531) and
// the record marking that carries them over TCP (RFC 5531 §11). The server, the
// probe of `nixnfsd check` and the test clients share it.
//
// A record is one or more fragments; each has a four-byte header whose top bit
// marks the last one and whose other bits give its length. Nothing here trusts a
// length before it was compared with a bound.
package oncrpc

// Package nfsclient is an NFSv3 and MOUNT client (RFC 1813) over one TCP
// connection. It is no file system: every method is one call on the wire, and
// gives what the server said, unjudged and uncached. The probe of `nixnfsd
// check` and the wire tests use it.
//
// # Calls
//
// A typed method such as Lookup sends its call and waits. Its error is a Status
// when the server refused, a *RPCError when the call did not get as far as its
// procedure, and else says why the connection or the reply is no good. The
// results are decoded on refusals too: they carry the attributes that the
// server sent along.
//
// Procedures that nobody here calls by a method of their own go through Do, with
// their arguments and results. Start and Go send a call and give a Pending, so that
// many calls can be outstanding; Pending.Order tells in which order the replies
// came. Queue and Flush put many calls into one write. Go and Send take bytes as
// they are, for messages that no proper client sends.
//
// # Trust
//
// The server is not trusted: a record has a bound (Options.MaxReply), memory grows
// with what came and not with what was announced, results must be complete and
// end where they should, and a reply that nobody waits for ends the connection.
//
// # Concurrency
//
// All methods of Client and Pending may be called from any goroutine.
package nfsclient

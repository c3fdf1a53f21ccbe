// Package control is how a running server takes orders: HTTP with JSON over a Unix
// socket in the server's state directory.
//
// Who holds the state directory's lock owns the socket, so what a dead server left there
// is replaced. It takes its name when it is ready, in one step. Only its owner and
// root are let in, by what the system says of the peer and by the mode of the socket,
// 0600 in a directory of the owner's. What a caller can make the server hold is bounded,
// and so is the time for it. A caller gives up on a server that does not answer even what is
// asked beside its order, as one that was stopped by a signal.
//
// An order is a method and a path, such as "POST /v1/layers/refresh". The answer is
// {"schemaVersion": 1, "result": …}, or {"schemaVersion": 1, "error": "…"} with a status
// that is not 200.
package control

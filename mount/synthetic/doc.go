// Package synthetic edits the manifests by which macOS makes empty directories
// and symbolic links in its read-only root: /etc/synthetic.conf, and since
// macOS 11 the files of /etc/synthetic.d as well (synthetic.conf(5)).
//
// # What is promised
//
//   - Lines of others stay as they are, byte for byte, also those that are not
//     understood. Undo gives the very bytes that were there before.
//   - What cannot be ours to write is refused: a symbolic link, as configuration
//     managers make them, and a file that is immutable. Device management that
//     writes the file anew from time to time cannot be seen; on macOS 11 and later
//     it does no harm, since the entry has a file of its own.
//   - One name in two manifests is undefined, so all of them are read before one
//     is written.
//
// The kernel makes the entries when it boots. apfs.util does it in a running
// system (Activate) and has no useful status: look whether the directory is
// there (Owed). An entry goes with the next restart only.
package synthetic

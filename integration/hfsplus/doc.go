// Package hfsplus makes empty HFS+ volumes (Apple Technical Note TN1150), so that tests
// on Linux have a real file system that folds case and normalises Unicode: the
// guest's kernel mounts them with its hfsplus driver.
//
// # Where that driver is no Mac, and deceives a test
//
//   - The name that was looked up first is kept for one of the same folding, until the
//     cache of names is dropped: a file made as "Foo" after a failed look-up of "foo"
//     is "foo".
//   - A listing gives every name composed, whatever was asked to be made, where a Mac
//     gives what is on disk.
//   - Runes beyond U+FFFF and bytes that are no UTF-8 become "?": two emoji are
//     one file. A Mac keeps the former and refuses the latter.
//   - A rename that only changes case does nothing.
//   - Times are whole seconds. There is no RENAME_EXCHANGE, no O_TMPFILE, no fallocate,
//     no hole in a file, and no hard link to a symbolic link.
//   - A listing gives a hard link's own number, not the file's.
//   - A volume that was not unmounted is mounted read-only.
package hfsplus

// Package setup plans what has to be written and run so that a user's server
// starts at login and the keeper mounts it, and what takes that back.
//
// # How it goes
//
// Look says what is there. Obstacles are what nothing must be done beside:
// another Nix, something in /nix, a file of somebody else's. New makes the Plan:
// steps in order, root's first, each with its reason. What is as it should be
// already is no step, so a second plan is empty, and one after a failure, or
// after a restart of the machine, holds what is still to be done. Obstacles, New
// and Plan.Text are pure functions, so that macOS's plans are tested on Linux.
//
// Apply does the steps of one of the two who act, and keeps a receipt of what
// was there before; Undo makes the plan that takes it back. Root and the user
// keep a receipt each, where only they may write, since the receipt decides what is
// written back.
//
// # One at a time, and killed at any moment
//
// A change is in the receipt before it is made. Both happen while the receipt is held, which one process does at
// a time: each step by itself, so that nobody waits for a question, a command or a store that is deleted. A
// file is written under a name beside it that is known, and what a process that was killed leaves there
// is gone with the next step that writes or removes the file. No receipt can tell of the directories that are
// made for itself: of those above its own one may stay that was made just before a kill.
//
// # The store
//
// The user's receipt names the directories that are the server's alone (Receipt.Store): those that held
// nothing when setup took them, the standard ones, and what bootstrap and import made for /nix/var. Only these does an uninstall delete, when it is
// told to, and never what a link in them leads to, nor what is mounted in them, nor what a server
// holds. A store that is kept stays in the receipt, for another uninstall.
//
// # What is set up
//
// On macOS: the synthetic entry that makes the mount point, root's own copy of the program,
// the keeper as a launch daemon, the server as a launch agent. On Linux: the mount
// point, the copy, and two units of systemd.
package setup

// Package model holds the overlay against Linux's overlayfs.
//
// Its test draws layers and a script of operations (pgregory.net/rapid), carries each
// operation out on our overlay, over NFS, and on the kernel's overlayfs over copies of
// the same layers, and compares the answers. Every now and then the overlay is opened
// anew, and both trees are compared whole. At the end the kernel mounts the layers that
// ours wrote, and has to show the same tree.
//
// Where the two may differ is said where the answers are compared (attr.sameAs,
// run.sameTime, kernel.overEmpty, see) and in overlay's documentation. A failure shows
// the smallest layers and script that rapid could find.
//
// Overlayfs needs root. Everything lies on an ext4 in memory: its times behave, as
// those of tmpfs do not, and syncing it costs nothing.
package model

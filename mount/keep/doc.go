// Package keep is root's loop, which makes the mount match the server: one user's server is
// mounted while it runs, and what is left of a mount whose server is gone does not hang anybody
// for longer than the grace time.
//
// # What it does
//
//   - The server of the owner answers and nothing is mounted: it is mounted.
//   - The server of a mount is gone, or silent: for half of the grace time at least the mount
//     stays, so that a restart, an upgrade or a kill goes by unnoticed. At the end of the grace time
//     the mount is gone: gently where nobody uses it, else by force.
//   - Another user has the port: it is not mounted. A mount that is there already sends what is
//     written to him, so it is unmounted by force at once.
//   - The server does not know the mount's handles (ESTALE), since it has another key or another
//     upper: unmounted gently at once, or by force at the end of the grace time, and mounted anew.
//   - One mount of ours lies over another: the upper one is unmounted where nobody uses it.
//   - The owner, or root, asks over the socket: it unmounts, and mounts again only when asked. A
//     mount that is alive and in use is unmounted only when force is asked for.
//   - Something else is mounted there: nothing is touched.
//
// What it decides is in state, which is a pure function of what was seen and of how much time has
// passed; Keeper looks, acts and looks again. Time in which the machine sleeps, or the keeper
// does not run, does not count.
//
// # What it trusts
//
// Its own arguments, and the kernel: the mount table, and whose socket answers at the address. It
// reads no file, and the owner's requests have no argument but force. It does not touch the mount
// point while something is mounted there: commands, and the one look at the mount's root, are
// children, which are killed, or left behind, when they take too long. The mount point has to be a
// directory that only root can put something else in the place of.
package keep

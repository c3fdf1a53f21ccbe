// Package du counts what takes the space in a server's directories: blocks on disk, by name and by
// layer. It reads the layers themselves and never the mount, so it may be told how things are while
// no server runs, and hangs nowhere.
//
// # What counts
//
// A file's blocks count once, however many names it has. Where all of its names are beneath one
// entry, they are that entry's; where not they are nobody's, but shared: removing one of the
// entries would not free them. What Nix keeps in store/.links, a name of every file that its
// optimisation has seen, does not count as a name as long as there is another. So the result
// does not depend on the order in which things are found.
//
// It takes memory for the names of the entries and for each file with several names: 100 MB where
// half a million files have two each.
//
// Other file systems that are mounted within a layer are not entered, and no link is followed.
//
// # Which entries
//
// Those of the directory that is asked for. Of the whole export they are those of its store too,
// which is where the space is, and the store itself is none.
//
// # Caveats
//
// Names are those on the disk: where a file system confuses names, an overlay spells some of them
// differently (overlay's doc), and what is beneath a directory of a lower that was renamed counts
// where the lower has it. What a file system shares between copies of one another, as APFS does
// between clones, counts in each, as it does for du(1). Of what changes meanwhile some may count and
// some not.
package du

// Package overlay is a union file system without privilege: one writable upper
// directory, any number of read-only lower directories merged under it, served by
// the names and rules of Linux's overlayfs.
//
// # Objects, not paths
//
// Everything is named by an ID: the fileid that clients see, and a generation.
// For an object that was never copied up they are the inode number and the time of
// birth of the file under it. A copied-up object keeps the ID it had in the lower
// layer: a regular file or directory carries it as an xattr, of others the journal
// remembers it. So an ID is the same before and after copy-up, and in READDIR as in
// GETATTR, and an inode number that is used again has another generation. (An object
// removed within one tick of its birth is held open past that tick, so that its
// number cannot come back with the same time.)
//
// A node stands for an object that a client was told of. It knows the object's
// places: names in other directories' nodes, all the way to the root. Every
// system call is relative to a directory's descriptor and follows no symbolic link;
// what is found at a place is compared with the node before it is used, and gives
// ESTALE when it is another object. The journal keeps the places of all objects that
// any client was told of, over restarts of the server too: nodes are a cache of it, and
// are made again when they are asked for. So a handle is good for as long as its object
// lives and the machine runs, and memory does not grow with the number of files. See
// journal.go and evict.go.
//
// # Layers
//
// A directory's stack says in which layers it exists; without lower layers it is the
// upper alone, no mark is ever read, and a call costs what it costs on a plain
// directory. With them, the upper is written in overlayfs's userxattr format:
//
//	user.overlay.whiteout    y     on an empty regular file: the name is gone
//	user.overlay.opaque      x     on a directory that holds whiteouts
//	                         y     on a directory that hides the lower layers
//	user.overlay.redirect    path  on a directory that lower layers have under another name
//	user.overlay.impure      y     on a directory that holds copied-up objects
//	user.nixnfsd.origin      ID    the ID from before copy-up: a byte 1, fileid, generation
//	user.nixnfsd.lowerlinks  n     names of a copied-up file that lower layers still show
//	user.nixnfsd.layered     y     on the root of an upper that was once served with lower layers
//	user.nixnfsd.names       escaped
//	                               on the root of an upper that holds stored names
//	user.nixnfsd.hidden      names on a directory in which whiteouts take several steps
//
// Numbers are big-endian, of 8 bytes each in an ID and of 4 in a count. Like overlayfs's
// own, a mark of ours with another value counts for nothing, but for an origin, which
// gives EIO: an object with a wrong ID would be taken for another. In a lower layer, an
// earlier upper's marks of overlayfs count and ours do not, but for names; a character
// device 0/0 is a whiteout, too. What else is on disk is in the sections that follow and in
// "On disk".
//
// A lower file is copied up before it is changed: into the work directory, data
// on disk, then by one rename under its name. Blocks are shared and holes kept where the
// file system can; a file that changes meanwhile, behind the server, is not copied. One
// caller copies (copyUps); others wait, but who comes again on its own does not wait for
// long. A lower file with several names
// is copied up once, and a link in the work directory's index lets its other names
// find the copy; before that the index counts the names that whiteouts hide. The file's link
// count is believed, as by overlayfs: where one lower layer hides a name of another's, or a name
// is outside, the copy stays in the index after all that is seen was removed, until fsck mends
// it. The index stays behind when the upper comes to serve as a lower directory: the other
// names show the lower file again, as they do to the kernel all the time.
//
// A lower directory that is renamed is copied up without what is inside, and given a
// redirect to its path in the layers under the upper, as the upper spells names; the
// nearest redirect above it is where that path begins. Then it is moved, and shows the same
// wherever it is; until then the redirect leads to where it is. Redirects are followed
// where overlayfs follows them, in lower layers too, and never out of a layer. It differs
// from overlayfs in this:
//   - A redirect is always written as a path, never as a bare name: a directory that is
//     moved on needs no other.
//   - A path may have 4096 bytes; the kernel writes 256. A directory whose path is longer,
//     or has no room in an xattr, is copied up whole and made opaque; the kernel gives EXDEV.
//   - A directory with a redirect that overlayfs refuses (EINVAL, EACCES) is there, but what is
//     inside is not to be had: a look-up of the directory itself need not read the mark.
//
// Inode numbers of lower directories on other file systems than the upper's get a number in
// their highest bits, which WORK/spaces remembers by the directory's path: lower directories
// come, go and change places, and IDs stay.
//
// A rename is one step, or two when it leaves a name that lower layers have for one that
// is taken: overlayfs has RENAME_WHITEOUT for that, which not every system has. Then WORK/rename
// says what is about to happen, WORK/rename-whiteout is to take the old name, and a start that
// finds the first step taken takes the second; see intent.go.
//
// # Exact names
//
// Apple's file systems fold case and normalise Unicode, and refuse bytes that are no UTF-8;
// the view is exact all the same. An upper on a volume that confuses names is escaped from its
// first start on: it holds stored names (names.go), which no volume takes for one another,
// and its mark says so for good, on an exact volume too. Every upper of macOS is; on Linux
// the names that matter are tried in the work directory. An upper that is not empty then
// has to hold nothing but names that are stored as themselves, or it is refused. A name that
// would be longer than 255 bytes escaped is stored as a hash, and %~names/HASH in the
// layer's root has the real one, on disk before it is used. What is in an escaped layer
// and is no stored name does not show, and keeps its directory from being removed.
//
// Inside, in places, listings, cookies, redirects and the journal, names are spelt as in the
// upper. A lower layer that is spelt otherwise is asked in its own spelling (onDisk,
// inside). Of a plain lower on a volume that folds, only the names that a listing of it
// gives are there: once a directory's names are looked up, they are read (spellings). That
// a volume folds is told by its kind, and else by names in its root that have letters.
// To the kernel that mounts an escaped layer, its names are the stored ones.
//
// Where a file system's clock stands still between changes of a directory's names, for a tick
// or for whole seconds (HFS+), they are counted in memory and show as fractions of the
// directory's times (coarse.go). Where it cannot exchange
// two names (HFS+ under Linux), a whiteout and an object change places in several steps, with a
// mark on their directories that hides both names should the process end in between
// (exchange.go); what a look-up sees in that moment may be a lower layer's. HFS+ under Linux
// has no hard links to symbolic links, and so has none of its own to show.
//
// # Open files that are removed
//
// NFSv3 has no open state: a client renames a file that is removed while it is open,
// and removes the new name when it is closed. Such a silly rename takes the file out of
// the upper: it moves, in one step, to
//
//	WORK/silly/RUN-DIRECTORY-OBJECT-NAME
//
// where RUN is a hash of the kernel's boot ID, DIRECTORY and OBJECT are IDs in hexadecimal, as
// in the index, and NAME is the client's. A look-up of the name in its directory
// finds it; listings do not show it, and the directory can be removed: its handle is
// then good for nothing but the removal of such names. The names are read again at each
// start. What another run of the kernel left is swept, as no client outlives that. The UMNT
// of a client sweeps nothing: it may have other mounts, or files open after a lazy one.
// An empty file there with user.overlay.whiteout is one half of an exchange that did not
// come about.
//
// Linux's client makes the name of the object's fileid (.nfs, 16 and 8 hexadecimal
// digits), and a rename to that within the directory is silly. Apple's name (.nfs.%08x.%04x)
// proves nothing, and counts only in a rename within a directory by a client whose
// credentials name no host, as Apple's do; what macOS's own programs rename to such a
// name is taken for silly too. Whatever else has a name like that is a file like others.
// A rename onto a silly name makes a name like others; a process that ends in the middle
// of it leaves what was replaced until the next run of the kernel.
// The link count is that of a rename: the silly name counts, for the client itself counts
// it off when it lets go of the file.
//
// # On disk
//
// The upper holds files as clients see them, under their own names or stored ones
// (names.go), and marks. An escaped upper's root also has the dictionary of long names,
// %~names. The work directory, on the same file system, holds nothing but
//
//	#N                     what is half made, or about to be discarded; swept at each start
//	index/ID               a link to each copied-up file that had several lower names
//	index/ID-COUNT         an empty file: of a lower file with several names, how many are
//	                       hidden; of one in the index that carries no lowerlinks, how many
//	                       are shown
//	silly/RUN-DIR-ID-NAME  an open file that was removed
//	rename                 the rename that is under way in two steps: the IDs that the names
//	                       have after the first, in hexadecimal, and both paths, each with a NUL
//	rename-whiteout        what is to take the old name
//	count-FILEID-GENERATION-INDEXED-BEFORE-AFTER
//	                       a link to the name, in the upper, of a file with several lower
//	                       names that is about to go from view, and the count in the
//	                       index before and after
//	mode-INODE-WAS-WIDE    a link to an object whose mode is widened for a moment
//	spaces                 the number of each lower directory's file system
//	lowers                 the lower directories of the last server, a quoted path a line
//	upper                  which upper it is of: its root's ID and its quoted path
//
// where IDs are 32 hexadecimal digits. A server does not start with anything else in it. The state
// directory holds the journal, in the directory places:
//
//	N          a segment of the log: records (see record.go), each from a multiple of 8 on,
//	           up to the first that has no length. At most 8 MiB; the numbers go up.
//	index      a hash table of the newest records (see journalindex.go)
//	index.new  one that is half made
//
// The index's head is "nixnfsd2" and a hash of the kernel's run and of the upper. Another head,
// and the journal begins anew: it only serves clients of the same run of the kernel. A record
// tells of the one before it in its chain, from the index on; what cannot be read is the end
// of a chain.
//
// Fsck knows all of this, and a store in which it finds nothing is as a server would have
// left it; its kinds of problems are in fsckkinds.go.
//
// # Crashes and faults
//
// A process that ends at any system call leaves each operation done or not done, to be seen
// so after the next start: names appear and go in one step, and what takes two is written
// down in the work directory first. An object has the attributes that it was made with
// before it has its name (making.go), but in a directory that hands on its group, and where
// the file system cannot rename without replacing. A SETATTR of several attributes is not
// one operation: each of them is changed or not.
//
// A system call that fails makes the operation fail with its error, and leaves what was; after
// the step that does it nothing makes it fail any more. What could not be tidied up then is
// swept at the next start, and a count of links that could not be kept is off by one until
// fsck mends it. A WRITE whose data did not get to the disk fails, though reads show the
// data. Of power cuts only what COMMIT and copy-up say is promised.
//
// # Concurrency
//
// A node's mu is held while the object is changed, gets a name by LINK or loses one for
// good, a directory's also while names in it change: parents before children, and two
// directories in the order that changeTwo says. So who changes the names of a directory can
// have to wait for a WRITE to the file that is about to lose one.
// Of a lower file with several names one at a time goes from view, or is copied up, whatever
// directory it is in, since all change one count (FS.counts, after the object's mu).
// Look-ups and reads take no lock but the node table's; what is met for the first time or
// made, renamed and removed is written to the journal under a lock of its own, in memory.
// What a listing meets for the first time is written there and gets no node; who makes one of
// the same object at that time looks whether anything was written since he asked the journal
// (found.changes).
// Nothing waits for a disk under a lock but what the lock is for. A caller that others wait
// for says so (Caller.MayBlock) and gets ErrWouldBlock instead of a wait.
//
// A call need not say which nodes it has in hand: none of them is evicted before it ends
// (turns.go). Who keeps a node for longer has to see to it that the node stays
// (dirState.canGo).
//
// Since look-ups take no lock, a name is looked at twice where it matters: an object that
// is being renamed is known by both names for a moment (node.tryPlaces), a name that is
// met for the first time is checked again (metTooLate, meetAgain) and looked up anew when
// it went to another object meanwhile (errReplaced), and a lower
// file's descriptor is cached only while the file has not been copied up (putLower).
// Where the directory's lock is not held, what was found by a name is held by a descriptor
// while its marks or its target are read (withPin, withHeld). Only whether it is a whiteout is asked by
// the name: one that was replaced in between is found out where the origin is read. And on
// macOS times are set by the name, and all attributes of a socket, which it does not open.
// A node is in nobody's hands before it is complete (introduce).
// Where the mode keeps the owner from what the server has to do, it is widened for a
// moment, under a lock of the object's own (FS.modes). A symbolic link mode-INODE-WAS-WIDE
// to the object, in the work directory, has it put back at the next start should the
// process end in that moment.
//
// # Many layers, many names
//
// A look-up has to look into each layer until one has the name. Of a directory in several
// lower layers in which more than a few names are looked up, a belowIndex says where to
// begin; what is added to a lower layer behind the server's back shows a second late then.
// A directory's names are merged into one listing, which all who list it share. A listing with
// attributes makes no nodes but for directories over lower layers: however large it is, what is
// in use stays in memory.
//
// # Layers that change
//
// What changes in a lower layer behind the server's back shows at once or late, and
// never as another object's bytes: a handle of what was replaced reads the old file or
// gives ESTALE, and a copy-up of it fails, also when the file changes while it is copied.
// FS.Refresh makes all of it visible, and so changes of the upper. It numbers the epoch
// anew in which stacks were found: each is looked for again when it is needed next.
//
// The times of a merged directory are those of its uppermost part, which tell clients
// nothing of the parts below, so they have a floor: the ctime is shown as at least that
// of each part, and after a refresh that met a change below, mtime and ctime as at
// least the time of that. Nothing on disk changes, and a client that sets the mtime gets
// what it set. (The kernel's overlayfs leaves changing lowers undefined.)
//
// A lower's root stays the directory that was opened: another one at its path, or a file
// system mounted there since, is told by FS.Layers and not taken. Where a lower's file
// system fails, a name that it could have gives the error, and so does a listing: names
// are never left out.
//
// # What differs from overlayfs
//
// The test of integration/model holds this overlay to the answers of Linux's overlayfs
// (redirect_dir=on, index=on), but for what follows, on purpose:
//
//   - Over lower directories every directory has one link, where overlayfs says so of
//     merged ones only: to find out costs a look at each layer, and would count wrong. On
//     macOS it has 32767, since to macOS one with fewer than 3 has no entries, or 2³² - 1.
//   - A directory's mtime advances with every change of its names, by a nanosecond at
//     least: clients look at nothing else. Its size is that of its uppermost part.
//   - The ctime of a merged directory can move on without a change, when all its parts
//     have been looked at for the first time; see above.
//   - A whiteout in a lower directory that hides nothing is never shown and never stops
//     an RMDIR. Overlayfs lists it where the directory is in one layer alone, and counts
//     it then; a marked file it counts even in merged directories.
//   - An object without names is gone and its handle stale, where a process on overlayfs
//     that has it open goes on: NFS keeps no open state. Silly renames are for that.
//   - A LINK of a directory is refused for that before its new name is looked at.
//   - The device 0:0, overlayfs's older whiteout, cannot be made without lower
//     directories either: with them, one day, it would hide what is under it.
//   - To the kernel that mounts our layers alone, a lower file with several names that was
//     copied up under one of them is the old file under the others: the index that tells
//     is not in a layer. (So it is of overlayfs's own.)
//
// # Caveats
//
// The upper belongs to the server: who removes in it behind the server's back, as Nix's
// local-overlay store does, calls FS.Refresh; other changes there are undefined. The server
// must not touch its own mount. A lower on a file system that keeps no time of birth cannot
// be told from one where an inode number was used again.
package overlay

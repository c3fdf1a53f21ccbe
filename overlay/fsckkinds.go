package overlay

// kind is a kind of problem.
type kind struct {
	name, what, mend string
	harmless         bool
}

// The kinds of problems. A kind without a mend is for somebody to decide.
var (
	// Whiteouts and opaque directories.
	kindOrphanWhiteout = &kind{
		name: "orphan-whiteout", what: "it is a whiteout where no lower directory has the name",
		mend: "remove it", harmless: true,
	}
	kindUnmarkedWhiteouts = &kind{
		name: "unmarked-whiteouts", what: "it holds whiteouts and is not marked for them: they show as empty files",
		mend: "mark it with " + markOpaque + "=x",
	}
	kindNeedlessMark = &kind{
		name: "needless-mark", what: "it is marked for whiteouts and holds none",
		mend: "remove " + markOpaque, harmless: true,
	}
	kindFalseWhiteout = &kind{
		name: "false-whiteout", what: "it is marked as a whiteout and is no empty file: cut to nothing, it would vanish",
		mend: "remove " + markWhiteout,
	}

	// Names, where they are stored so that no volume confuses them.
	kindForeignName = &kind{
		name: "foreign-name", what: "its name is none that is stored, and nobody sees it: it was put there by hand",
	}
	kindLostName = &kind{
		name: "lost-name", what: "what its long name stands for is not in the dictionary: nobody sees it",
	}

	// Marks.
	kindBadOpaque = &kind{
		name: "bad-opaque", what: "its " + markOpaque + " is neither x nor y, or it is no directory: the mark counts for nothing",
		mend: "remove the mark",
	}
	kindBadRedirect = &kind{
		name: "bad-redirect", what: "its " + markRedirect + " is no path: nothing inside can be had",
		mend: "make it opaque, so that what the upper has inside shows",
	}
	kindLostRedirect = &kind{
		name: "lost-redirect", what: "its " + markRedirect + " leads to nothing in the lower directories: what came to be there would show up inside",
		mend: "make it opaque, which shows the same",
	}
	kindBadImpure = &kind{
		name: "bad-impure", what: "its " + markImpure + " is not y",
		mend: "set it to y",
	}
	kindBadOrigin = &kind{
		name: "bad-origin", what: "its " + markOrigin + " is damaged: it cannot be looked up",
		mend: "remove the mark: the object gets a fileid of its own",
	}
	kindBadLayered = &kind{
		name: "bad-layered", what: "its " + markLayered + " is not y: without lower directories no mark would be read",
		mend: "set it to y",
	}
	kindMissingLayered = &kind{
		name: "missing-layered", what: "it has no " + markLayered + ", and marks inside: without lower directories they would not be read",
		mend: "set it to y",
	}
	kindMissingImpure = &kind{
		name: "missing-impure", what: "it holds copied-up objects and is not marked for them: listings show wrong fileids",
		mend: "mark it with " + markImpure + "=y",
	}
	kindStrayMark = &kind{
		name: "stray-mark", what: "it has a mark that means nothing on it",
		mend: "remove the mark", harmless: true,
	}
	kindCutExchange = &kind{
		name: "cut-exchange", what: "the server ended while names in it were to stay hidden",
		mend: "put whiteouts where they are missing, as the next start would",
	}
	kindUnknownMark = &kind{
		name: "unknown-mark", what: "it has a mark that this version does not know: it may be of a later version, or of the kernel's overlayfs",
	}

	kindUnreadable = &kind{
		name: "unreadable", what: "a lower directory of it cannot be read, or has a redirect that leads nowhere: it was not looked through",
	}

	// Origins.
	kindLostOrigin = &kind{
		name: "lost-origin", what: "it has the ID of a lower object that is not there any more, and that another object may get",
		mend: "remove " + markOrigin + ": the object gets a fileid of its own",
	}
	kindSharedOrigin = &kind{
		name: "shared-origin", what: "another object has the same ID: clients take one for the other",
		mend: "remove " + markOrigin + ": the object gets a fileid of its own",
	}

	// The work directory.
	kindLeftover = &kind{
		name: "leftover", what: "it was never finished, or has been removed",
		mend: "remove it", harmless: true,
	}
	kindForeign = &kind{
		name: "foreign", what: "it is not nixnfsd's: no server starts with it in the work directory",
	}
	kindWidened = &kind{
		name: "widened-mode", what: "it notes a mode that was widened when the server ended",
		mend: "put the mode back, if it is still the widened one",
	}
	kindUnfinished = &kind{
		name: "unfinished-rename", what: "it notes a rename that may have been cut short between its two steps",
		mend: "finish the rename, or drop it if it had not begun",
	}
	kindForeignFile = &kind{
		name: "foreign-file", what: "its name is none of a file that was removed while it was open: servers let it be",
	}
	kindBadIndex = &kind{
		name: "bad-index", what: "its name is none of an index entry, and it may hold data",
	}
	kindOrphanIndex = &kind{
		name: "orphan-index", what: "it is in the index and has lost its last name",
		mend: "remove it", harmless: true,
	}
	kindMissingIndex = &kind{
		name: "missing-index", what: "it was copied up, and other names show the lower file still",
		mend: "put it into the index, so that all names show it",
	}
	kindIndexOrigin = &kind{
		name: "index-origin", what: "its " + markOrigin + " is not the ID that the index has for it",
		mend: "set the mark to that ID",
	}
	kindIndexLinks = &kind{
		name: "index-links", what: "its " + markLinks + " is not the number of names that lower directories show: link counts are wrong",
		mend: "set the mark to that number",
	}
	kindHiddenCount = &kind{
		name: "hidden-count", what: "the number of its names that are hidden is noted wrongly: link counts are wrong",
		mend: "note the right number",
	}
	kindHiddenLeftover = &kind{
		name: "hidden-leftover", what: "it counts hidden names of a file that is counted elsewhere, or gone",
		mend: "remove it", harmless: true,
	}

	// The journal.
	kindBadJournal = &kind{
		name: "bad-journal", what: "the rest of it cannot be read: handles that it would have kept go stale",
		mend: "have the server begin another",
	}
	kindForeignJournal = &kind{
		name: "foreign-journal", what: "it is no directory: no server starts with it",
	}
)

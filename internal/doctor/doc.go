// Package doctor finds out what is wrong with a server, its mount and what is around them,
// and what would mend it.
//
// # How it goes
//
// Look gathers a Sight: files are looked at directly, all else is asked through Eyes. Every look is
// bounded in time, and none leads into the mount, which may be dead: a path that does is only
// said to. What could not be looked at in time is in Sight.Unseen, and a problem by itself.
// Diagnose is a pure function of the Sight, so that macOS's problems are tested on Linux. Each problem has a
// name that stays as it is (Kinds, docs/check.md), says what is wrong and how to mend it, and
// has the steps for that where they lose nothing and are nobody else's to decide. Plan puts them together;
// package setup shows and does them, as those of setup.
//
// # What it does not say
//
// What somebody may well have wanted is no problem. A server that was started by hand lacks nothing because
// nothing is set up: files of setup are held against its receipts, and a job is asked after where its file is.
// Directories are looked at where they are. A warning tells of what works, and could be better.
package doctor

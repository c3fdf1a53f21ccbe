// Package integration tests nixnfsd with real clients.
//
// Its kernel tests boot a guest with the Linux kernel's NFS client (package uml),
// start nixnfsd there, mount it at /nix and run the tests of package guest over the
// mount, with a plain ext4 beside it. Each test that ran in the guest shows as a
// subtest here. They skip where no guest can run, and say why; with
// NIXNFSD_REQUIRE=1 they fail there.
//
// Three kinds of tests need no guest: TestBilly puts the conformance cases to
// overlay.Billy, the differential test asks our server and go-nfs the same about one
// tree, and the tests of system calls count ours beside those of a server that is
// nothing but a directory's. Package applenfs has a client that follows the rules of macOS's,
// and its tests need no guest either.
package integration

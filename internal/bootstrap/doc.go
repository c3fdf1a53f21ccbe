// Package bootstrap gets Nix into a store that is empty, from a binary tarball of Nix's
// releases (NixOS/nix, packaging/binary-tarball.nix): store paths, their registration, and
// a script that this package replaces.
//
// # How it goes
//
// Unpack goes through the server, mounted or not. Everything lies beside the store at
// first, in Staging: the store path that is being unpacked under one name, and those that
// are whole under their own. A path is whole when the hash of what the server gives back of it is
// the one that it is registered with. When all of them are, and the tarball was read to its end
// without a fault, each is renamed into the store.
//
// So what is in the store is whole, whenever the process, the server or the machine ends;
// the next run finds in Staging, and in the store, what it need not do again. What a tarball has brought
// that proves to be damaged, or hostile, is removed again, and the store is as it was.
//
// What follows runs programs from the store and takes the mount: Nix's registration and
// the first profile. What an Owner is given outside of the store is in a receipt, and
// "nixnfsd uninstall" takes it back.
//
// # Trust
//
// A tarball is not trusted to be one: its names, kinds, sizes and numbers are checked before anything
// is made of them, and memory is bounded. Who runs Nix trusts who built it; whether that is so, the
// SHA-256 of the tarball says, and nothing in it.
package bootstrap

// Package testserver runs servers for the tests of other packages: the program in a process of
// its own (Start), or a Server of package nfs in the test's (Serve).
//
// Both are ready to be called when they are given. What is served, and where the server's files
// are, is the test's business.
package testserver

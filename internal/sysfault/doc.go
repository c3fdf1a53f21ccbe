// Package sysfault lets a test stand between the code under test and the kernel: it
// runs a function on a thread whose file-system calls are decided upon one by one.
// Each can go on, fail with an error number, or be answered as done without being
// made; a test that ends the process at one has a crash at exactly that call.
//
// It works by seccomp(2)'s user notification on Linux. The filter is on one thread
// alone, which ends with the function, so that the rest of the process is not concerned.
package sysfault

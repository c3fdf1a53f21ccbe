//go:build linux

// Command guestinit is the guest's side of package uml. As process 1 it builds
// the guest's root and then only reaps; as "supervise" it starts server and
// test; with any other word it asks the supervisor to do that to the server.
package main

import (
	"fmt"
	"os"
)

func main() {
	os.Exit(run(os.Args[1:]))
}

// run picks the part to play and returns the exit status.
func run(args []string) int {
	var err error
	switch {
	case os.Getpid() == 1:
		err = firstProcess()
	case len(args) == 1 && args[0] == "supervise":
		err = supervise()
	case len(args) == 1:
		err = ask(args[0])
	default:
		err = fmt.Errorf("usage: guestinit start|stop|kill|restart|mount|umount")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "guestinit:", err)
		return 1
	}
	return 0
}

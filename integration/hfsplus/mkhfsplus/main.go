// Command mkhfsplus makes a file an empty HFS+ volume, for who wants to mount one by hand.
package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/nixnfsd/nixnfsd/integration/hfsplus"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "mkhfsplus:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 {
		return errors.New("usage: mkhfsplus IMAGE MEGABYTES")
	}
	size, err := strconv.ParseInt(args[1], 10, 32)
	if err != nil {
		return err
	}
	return hfsplus.Create(args[0], size<<20, "test", time.Now())
}

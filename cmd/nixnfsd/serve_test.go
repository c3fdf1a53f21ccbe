package main

import (
	"fmt"
	"runtime"
	"testing"
)

func TestTwoAtLeast(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, tt := range []struct{ are, want int }{{1, 2}, {2, 2}, {3, 3}} {
		t.Run(fmt.Sprint(tt.are), func(t *testing.T) {
			runtime.GOMAXPROCS(tt.are)
			twoAtLeast()
			if got := runtime.GOMAXPROCS(0); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

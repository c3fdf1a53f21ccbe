package mount

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestStatInChild(t *testing.T) {
	const shell = "/bin/sh"
	tt := []struct {
		name, script, want string
	}{
		{"well", `test "$0" = /dir`, ""},
		{"fails", "echo nixnfsd: not there >&2; exit 1", "not there"},
		{"fails silently", "exit 1", "exit status 1"},
		{"hangs", "exec sleep 60", context.DeadlineExceeded.Error()},
	}
	for _, tc := range tt {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		err := StatInChild(shell, "-c", tc.script)(ctx, "/dir")
		cancel()
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: got %v, want %q", tc.name, err, tc.want)
		}
	}
	if err := StatInChild("/nonexistent/program")(t.Context(), "/"); err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("got %v for a program that is not there", err)
	}
}

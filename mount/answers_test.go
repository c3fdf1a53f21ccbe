package mount

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"
)

func TestAnswers(t *testing.T) {
	const limit, soon = time.Minute, 200 * time.Millisecond
	self := uint32(os.Getuid())
	server := rpcServer{}.start(t)
	silent := listen(t).Addr().(*net.TCPAddr).AddrPort()
	tt := []struct {
		name  string
		addr  netip.AddrPort
		owner uint32
		limit time.Duration
		want  string // "": it does
	}{
		{"the owner's", server, self, limit, ""},
		{"another user's", server, self + 1, limit, "stranger"},
		{"nobody's", nobody(t), self, limit, "nobody"},
		{"one that keeps silent", silent, self, soon, "nobody"},
		{"another user's that keeps silent", silent, self + 1, soon, "stranger"},
	}
	for _, tc := range tt {
		err := Answers(t.Context(), tc.addr, tc.owner, tc.limit)
		got := ""
		if s, ok := errors.AsType[*StrangerError](err); ok && s.UID == self {
			got = "stranger"
		} else if errors.Is(err, ErrNoAnswer) {
			got = "nobody"
		} else if err != nil {
			got = err.Error()
		}
		if got != tc.want {
			t.Errorf("%s: got %q (%v), want %q", tc.name, got, err, tc.want)
		}
	}
}

package mount

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRevalidate(t *testing.T) {
	ours := Entry{Dir: "/nix", Type: "nfs", From: "127.0.0.1:/nix", Options: []string{"port=12049", "addr=127.0.0.1"}}
	other := ours
	other.Options = []string{"port=12050", "addr=127.0.0.1"}
	tt := []struct {
		name    string
		mounted []Entry
		hangs   bool
		want    []string
		fails   bool
	}{
		{"ours", []Entry{ours}, false, []string{"/nix", "/nix/store"}, false},
		{"not mounted", nil, false, nil, false},
		{"another server's", []Entry{other}, false, nil, false},
		{"dead", []Entry{ours}, true, nil, true},
	}
	for _, tt := range tt {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			c := Checker{
				Addr: netip.MustParseAddrPort("127.0.0.1:12049"), Export: "/nix", Limit: 50 * time.Millisecond,
				table: func() ([]Entry, error) { return tt.mounted, nil },
				Stat: func(ctx context.Context, dirs ...string) error {
					if tt.hangs {
						<-ctx.Done()
						return ctx.Err()
					}
					got = append(got, dirs...)
					return nil
				},
			}
			err := c.Revalidate(t.Context(), []string{"/", "/store"})
			if (err != nil) != tt.fails {
				t.Errorf("error is %v", err)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

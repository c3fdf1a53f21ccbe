package launchd

import (
	"strings"
	"testing"
)

func TestCommands(t *testing.T) {
	me := GUI(501)
	tt := []struct {
		args []string
		want string
	}{
		{me.Bootstrap("/Users/you/Library/LaunchAgents/x.plist"), "bootstrap gui/501 /Users/you/Library/LaunchAgents/x.plist"},
		{me.Bootout(ServerLabel), "bootout gui/501/io.github.nixnfsd.serve"},
		{me.Enable(ServerLabel), "enable gui/501/io.github.nixnfsd.serve"},
		{me.Kickstart(ServerLabel), "kickstart -k gui/501/io.github.nixnfsd.serve"},
		{System.Print(KeeperLabel), "print system/io.github.nixnfsd.keep"},
		{System.PrintDisabled(), "print-disabled system"},
	}
	for _, tc := range tt {
		if got := strings.Join(tc.args, " "); got != "/bin/launchctl "+tc.want {
			t.Errorf("got %s, want /bin/launchctl %s", got, tc.want)
		}
	}
}

package xdg

import "testing"

func TestOf(t *testing.T) {
	standard := Dirs{Config: "/home/u/.config", Data: "/home/u/.local/share", State: "/home/u/.local/state"}
	tt := []struct {
		name string
		env  map[string]string
		want Dirs
	}{
		{"nothing said", nil, standard},
		{"all said", map[string]string{"XDG_CONFIG_HOME": "/c", "XDG_DATA_HOME": "/d", "XDG_STATE_HOME": "/s"}, Dirs{"/c", "/d", "/s"}},
		{"relative", map[string]string{"XDG_CONFIG_HOME": "c", "XDG_DATA_HOME": "./d", "XDG_STATE_HOME": "../s"}, standard},
	}
	for _, tc := range tt {
		if got := Of("/home/u", func(name string) string { return tc.env[name] }); got != tc.want {
			t.Errorf("%s: got %+v, want %+v", tc.name, got, tc.want)
		}
	}
}

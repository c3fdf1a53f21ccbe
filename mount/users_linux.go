package mount

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Users names processes, most at most, that work in the mount at dir: their directory, their
// program or an open file is in it. Of other users' processes only root is told. Only the links of
// /proc are read, never what they lead to.
func Users(dir string, most int) []Holder {
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil
	}
	var users []Holder
	for _, p := range processes {
		if len(users) == most {
			break
		}
		if !usedBy(p, dir) {
			continue
		}
		h := unknownHolder
		h.PID, _ = strconv.Atoi(filepath.Base(p))
		name, _ := os.ReadFile(p + "/comm") // may be gone meanwhile
		h.Name = strings.TrimSpace(string(name))
		users = append(users, h)
	}
	return users
}

// usedBy reports whether one of the links of a process leads to dir or into it.
func usedBy(process, dir string) bool {
	links := []string{process + "/cwd", process + "/root", process + "/exe"}
	fds, _ := os.ReadDir(process + "/fd") // gone, or not ours to see
	for _, fd := range fds {
		links = append(links, process+"/fd/"+fd.Name())
	}
	for _, l := range links {
		target, err := os.Readlink(l)
		if err == nil && (target == dir || strings.HasPrefix(target, strings.TrimSuffix(dir, "/")+"/")) {
			return true
		}
	}
	return false
}

package synthetic

import (
	"fmt"
	"strconv"
	"strings"
)

// Release is a version of macOS.
type Release struct{ Major, Minor int }

// ParseRelease reads a product version, such as "14.6.1".
func ParseRelease(s string) (Release, error) {
	major, rest, _ := strings.Cut(strings.TrimSpace(s), ".")
	minor, _, _ := strings.Cut(rest, ".")
	if minor == "" {
		minor = "0"
	}
	var r Release
	var err error
	if r.Major, err = strconv.Atoi(major); err == nil {
		r.Minor, err = strconv.Atoi(minor)
	}
	if err != nil || r.Major < 0 || r.Minor < 0 {
		return Release{}, fmt.Errorf("read the version of macOS: %q is none", s)
	}
	return r, nil
}

// AtLeast reports whether the release is one of major or a later one. macOS 11
// calls itself 10.16 to some programs.
func (r Release) AtLeast(major int) bool {
	return r.Major >= major || major == 11 && r == Release{10, 16}
}

// String is the version as it is written.
func (r Release) String() string { return fmt.Sprintf("%d.%d", r.Major, r.Minor) }

// ReadsDir reports whether the release reads /etc/synthetic.d: those since Big
// Sur do. The folder is not there until somebody makes it.
func (r Release) ReadsDir() bool { return r.AtLeast(11) }

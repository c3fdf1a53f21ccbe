package keep

// server is who serves at the address.
type server string

// The values of server.
const (
	gone     server = "gone"     // nobody, or what listens keeps silent
	own      server = "own"      // the owner's server, which answers
	stranger server = "stranger" // another user
)

// point is what is mounted at the mount point.
type point string

// The values of point.
const (
	bare    point = "not-mounted"
	ours    point = "mounted"
	stale   point = "stale"   // ours, and the server does not know it
	foreign point = "foreign" // something else
)

// sight is what one look saw.
type sight struct {
	server server
	uid    uint32 // whose program serves, unless it is gone
	point  point
	// stacked is a mount of ours over another one.
	stacked bool
}

// mounted reports whether a mount of ours is there.
func (s sight) mounted() bool { return s.point == ours || s.point == stale }

// well reports whether what is there is as it should be.
func (s sight) well() bool { return s.server == own && s.point == ours }

package keep

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/nixnfsd/nixnfsd/mount"
)

// lookAgain is how often the mount's root is looked at while all is well: that takes a process.
const lookAgain = time.Minute

// look sees what is there, and touches a mount only in a child process and while its server
// answers. An error is only what keeps it from looking at all.
func (k *Keeper) look(ctx context.Context) (sight, error) {
	table, err := k.system.table()
	if err != nil {
		return sight{}, err
	}
	v := k.find(table)
	v.server, v.uid = k.who(ctx)
	switch {
	case !v.well():
		k.known = time.Time{}
	case time.Since(k.known) >= lookAgain:
		v.point = k.ask(ctx)
	}
	return v, nil
}

// find says what the table has at the mount point.
func (k *Keeper) find(table []mount.Entry) sight {
	v := sight{point: bare}
	mine := 0
	for i := range table {
		if e := &table[i]; e.Dir == k.Target.At() {
			v.point = foreign
			if k.Target.Is(e) {
				v.point = ours
				mine++
			}
		}
	}
	v.stacked = v.point == ours && mine > 1
	return v
}

// who says who serves, and which stranger.
func (k *Keeper) who(ctx context.Context) (s server, uid uint32) {
	err := k.system.answers(ctx, k.Target.Server, k.Owner, k.state.times.look)
	if other, ok := errors.AsType[*mount.StrangerError](err); ok {
		return stranger, other.UID
	}
	if err != nil {
		return gone, 0
	}
	return own, k.Owner
}

// notice reports what an administrator has to see to.
func (k *Keeper) notice(v sight) {
	switch {
	case v.server == stranger:
		k.report("look", fmt.Errorf("uid %d has taken the address %s, which is to be uid %d's", v.uid, k.Target.Server, k.Owner))
	case v.point == foreign:
		k.report("look", fmt.Errorf("something else is mounted on %s", k.Target.At()))
	default:
		delete(k.said, "look")
	}
}

// ask has the server say whether it knows the mount. What takes too long has not been answered:
// a client needs some time to connect anew.
func (k *Keeper) ask(ctx context.Context) point {
	ctx, cancel := context.WithTimeout(ctx, k.state.times.look)
	defer cancel()
	err := k.Stat(ctx, k.Target.At())
	switch {
	case err == nil:
		k.known = time.Now()
	case strings.HasSuffix(err.Error(), syscall.ESTALE.Error()): // a child only says it in words
		return stale
	}
	return ours
}

package keep

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Status is what the keeper sees and wants.
type Status struct {
	Owner      uint32 `json:"owner"` // uid
	Address    string `json:"address"`
	Export     string `json:"export"`
	MountPoint string `json:"mountPoint"`
	// Server is "own", "gone", or "stranger": another user has the address.
	Server string `json:"server"`
	// Mount is "mounted", "not-mounted", "stale", or "foreign": something else is there.
	Mount string `json:"mount"`
	// Away says that the owner has had it unmounted.
	Away bool `json:"away"`
}

// Up reports whether the owner's server answers.
func (s Status) Up() bool { return s.Server == string(own) }

// Mount has the server mounted from now on, and waits until it is.
func (k *Keeper) Mount(ctx context.Context) (Status, error) { return k.order(ctx, orderMount) }

// Unmount has the mount be gone until Mount, and waits until it is. One that is in use stays,
// unless with force, and is an error.
func (k *Keeper) Unmount(ctx context.Context, force bool) (Status, error) {
	if force {
		return k.order(ctx, orderForce)
	}
	return k.order(ctx, orderUnmount)
}

// Status looks.
func (k *Keeper) Status(ctx context.Context) (Status, error) { return k.order(ctx, noOrder) }

// order waits for its turn, and for its end.
func (k *Keeper) order(ctx context.Context, o order) (Status, error) {
	r := request{o, make(chan outcome, 1)}
	select {
	case k.orders <- r:
	case <-ctx.Done():
		return Status{}, ctx.Err()
	}
	select {
	case end := <-r.done:
		return end.status, end.err
	case <-ctx.Done():
		return Status{}, ctx.Err()
	}
}

func (k *Keeper) status(v sight) Status {
	return Status{
		Owner: k.Owner, Address: k.Target.Server.String(), Export: k.Target.Export, MountPoint: k.Target.At(),
		Server: string(v.server), Mount: string(v.point), Away: k.state.away,
	}
}

// result says why an order has not come about.
func (k *Keeper) result(o order, v sight) error {
	at := k.Target.At()
	switch {
	case o == noOrder || o == orderMount && v.well() || o >= orderUnmount && v.point == bare:
		return nil
	case v.point == foreign:
		return fmt.Errorf("something else is mounted on %s, which is left alone", at)
	case o >= orderUnmount:
		return fmt.Errorf("%s stays mounted: %s: %s, or use --force", at, strings.TrimSuffix(k.why().Error(), "."), k.endUsers())
	case v.server == gone:
		return fmt.Errorf("no server of uid %d's answers at %s: start it, and %s will be mounted", k.Owner, k.Target.Server, at)
	case v.server == stranger:
		return fmt.Errorf("uid %d has taken the address %s: have that program stopped", v.uid, k.Target.Server)
	}
	return fmt.Errorf("%s does not get mounted: %w", at, k.why())
}

// mostUsers is how many processes are named that use a mount.
const mostUsers = 5

// endUsers says what has to end for the mount to go.
func (k *Keeper) endUsers() string {
	users := k.system.users(k.Target.At(), mostUsers)
	if len(users) == 0 {
		return "end what uses it"
	}
	names := make([]string, len(users))
	for i, u := range users {
		names[i] = u.String()
	}
	return "end " + strings.Join(names, ", ")
}

// why is the last failure.
func (k *Keeper) why() error {
	if k.failure != nil {
		return k.failure
	}
	return errors.New("it did not come about")
}

package notary

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"
)

// A tenant's wrap key is rotated while deposits go on (rewrap.go has the work). What all
// processes on one ledger must agree on stands in that ledger: which generation is in force,
// which one is offered, and which processes run and have it.
//
// Nobody seals under a generation before every process that runs has it. And nobody commits
// under one that is no longer in force: what a process knows of it is three seconds old at
// most when it builds a batch under the lock of the head, and a row that was prepared
// before is sealed anew there.

// KeyState is what the ledger keeps of one tenant's rotation.
type KeyState struct {
	Tenant  ID
	State   []byte // a Rotation; opaque to the ledger
	Version uint64 // how often it was replaced; 0: there is none yet
}

// Attendant is a process that runs on the ledger.
type Attendant struct {
	ID    ID
	Holds []byte // which of the offered keys it has; opaque to the ledger
}

// Resealed is one row whose data key was sealed anew.
type Resealed struct {
	Index    uint64
	Old, New []byte // Row.Secrets
}

// MaxResealed bounds the rows of one Reseal.
const MaxResealed = 1000

// Keys is where rotations are kept, and the one way in which wrapped keys are replaced. The
// drivers of Ledger implement it too.
type Keys interface {
	// KeyStates returns all of them, in ascending order of tenant.
	KeyStates(ctx context.Context) ([]KeyState, error)
	// SaveKeyState replaces a state and raises its Version by one, if Version is the stored
	// one, 0 for the first: else ErrConflict. It is durable on return.
	SaveKeyState(ctx context.Context, s KeyState) error
	// Reseal replaces the secrets of rows of one tenant, 1 to MaxResealed, each if and only
	// if it is Old still, and returns how many it replaced. What it replaced is durable on
	// return; after an error some or all may have been.
	Reseal(ctx context.Context, tenant ID, rows []Resealed) (int, error)
	// ResealWebhook replaces Sealed of a webhook if it is old still, durable on return. If
	// it is not, or there is none, nothing is done and that is no error.
	ResealWebhook(ctx context.Context, tenant, id ID, old, sealed []byte) error
	// Scour makes what Reseal and ResealWebhook replaced unreadable to who has the store's
	// files, as far as the driver's own documentation says: on a nil return that is durable.
	Scour(ctx context.Context) error
	// Attend says that a process runs, for that long from now on by the ledger's clock, and
	// what it holds.
	Attend(ctx context.Context, a Attendant, lease time.Duration) error
	// Attending returns those whose lease has not run out, in ascending order of id.
	Attending(ctx context.Context) ([]Attendant, error)
	// Leave says that a process runs no more.
	Leave(ctx context.Context, id ID) error
}

// Rotation is how far the rotation of one tenant's wrap key has come.
type Rotation struct {
	Tenant ID `json:"-"`
	// Generation is in force, and Check tells its key from another of that number. 0: the
	// lowest in the key file still is.
	Generation uint32 `json:"generation,omitempty"`
	Check      string `json:"check,omitempty"`
	// Next is offered: it is put in force once every process that runs has it. 0: none.
	Next      uint32 `json:"next,omitempty"`
	NextCheck string `json:"next_check,omitempty"`
	// Begun is when Generation was put in force, by the ledger's clock.
	Begun time.Time `json:"begun,omitzero"`
	// Through is the index below which the first pass has sealed every row anew, and Size
	// that of the log when it was last looked at.
	Through uint64 `json:"through,omitempty"`
	Size    uint64 `json:"size,omitempty"`
	// Clean: a pass over everything that stands under the tenant's key, begun after nobody
	// could seal under another generation any more, found nothing under one.
	Clean bool `json:"clean,omitempty"`

	version uint64
}

// UnderWay reports whether anything may still stand under another generation.
func (r *Rotation) UnderWay() bool { return r.Next > 0 || r.Generation > 0 && !r.Clean }

const (
	// rotationsRead is how often a process reads what is in force, and rotationsFresh how old
	// that may be when a batch is built.
	rotationsRead  = time.Second
	rotationsFresh = 3 * time.Second
	// settled is after how long from Begun on every process knows.
	rotationSettled = 5 * time.Second
	// attendLease is for how long a process that is not heard of still counts.
	attendLease = 20 * time.Second
	attendEvery = 5 * time.Second
)

// keyring is what a process knows of rotations.
type keyring struct {
	id    ID // of the process, as an Attendant
	known atomic.Pointer[rotations]
	// lacking is how many tenants' keys in force this process has not got.
	lacking atomic.Int64
	// resealed counts rows since the start.
	resealed atomic.Uint64
}

type rotations struct {
	of map[ID]Rotation
	at time.Time // before they were read
}

// phases counts rotations by how far they have come.
func (k *keyring) phases() map[string]float64 {
	count := map[string]float64{"offered": 0, "sealing": 0, "clean": 0}
	if known := k.known.Load(); known != nil {
		for _, r := range known.of {
			switch {
			case r.Next > 0:
				count["offered"]++
			case r.Clean:
				count["clean"]++
			case r.Generation > 0:
				count["sealing"]++
			}
		}
	}
	return count
}

// underRotation returns the tenants' keys with the generation in force that the ledger says.
func (n *Notary) underRotation(given func(ID) (TenantKey, error)) func(ID) (TenantKey, error) {
	if n.config.Keys == nil {
		return given
	}
	return func(tenant ID) (TenantKey, error) {
		tk, err := given(tenant)
		if err != nil {
			return tk, err
		}
		known := n.keyring.known.Load()
		if known == nil { // before Open has come to it
			ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
			defer cancel()
			if known, err = n.readRotations(ctx); err != nil {
				return TenantKey{}, err
			}
		}
		r, rotated := known.of[tenant]
		if !rotated || r.Generation == 0 {
			return tk, nil
		}
		return inForce(tk, r)
	}
}

func inForce(tk TenantKey, r Rotation) (TenantKey, error) {
	tk, err := tk.Under(r.Generation)
	if err != nil {
		return tk, err
	}
	if !holds(tk, r.Generation, r.Check) {
		return TenantKey{}, fmt.Errorf("%w: its generation %d is another key than the one in force", ErrGeneration, r.Generation)
	}
	return tk, nil
}

// holds reports whether a key has that generation, and the same one.
func holds(tk TenantKey, generation uint32, check string) bool {
	return slices.ContainsFunc(tk.Generations(), func(g WrapKey) bool {
		return g.Generation == generation && g.check() == check
	})
}

func (g WrapKey) check() string {
	sum := g.Check()
	return hex.EncodeToString(sum[:])
}

// Rotations returns how far every rotation that a ledger knows of has come.
func Rotations(ctx context.Context, k Keys) ([]Rotation, error) {
	states, err := k.KeyStates(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]Rotation, len(states))
	for i, s := range states {
		if err := json.Unmarshal(s.State, &all[i]); err != nil {
			return nil, fmt.Errorf("%w: the rotation of tenant %v's key: %w", ErrDamaged, s.Tenant, err)
		}
		all[i].Tenant, all[i].version = s.Tenant, s.Version
	}
	return all, nil
}

func saveRotation(ctx context.Context, k Keys, r *Rotation) error {
	state, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := k.SaveKeyState(ctx, KeyState{r.Tenant, state, r.version}); err != nil {
		return err
	}
	r.version++
	return nil
}

// readRotations learns what is in force.
func (n *Notary) readRotations(ctx context.Context) (*rotations, error) {
	at := time.Now()
	all, err := Rotations(ctx, n.config.Keys)
	if err != nil {
		return nil, fmt.Errorf("which keys are in force: %w", err)
	}
	now := &rotations{of: make(map[ID]Rotation, len(all)), at: at}
	lacking := int64(0)
	for _, r := range all {
		now.of[r.Tenant] = r
		if tk, err := n.fileKey(r.Tenant); r.Generation > 0 && (err != nil || !holds(tk, r.Generation, r.Check)) {
			lacking++
		}
	}
	before := n.keyring.known.Swap(now)
	if n.keyring.lacking.Swap(lacking) == 0 && lacking > 0 {
		n.config.Logger.Error("tenants' keys that are in force are not in the key files here: nothing of these tenants can be read or taken", "tenants", lacking)
	}
	if before == nil {
		return now, nil
	}
	for id, r := range now.of {
		if old := before.of[id]; old.Generation != r.Generation {
			n.recent.drop() // what is remembered for segments is under the generation before
			n.config.Logger.Info("a tenant's new key is in force", "tenant", id, "generation", r.Generation)
		}
	}
	return now, nil
}

// knowRotations makes sure before a commit that what is known of them is fresh.
func (n *Notary) knowRotations(ctx context.Context) error {
	if n.config.Keys == nil {
		return nil
	}
	if k := n.keyring.known.Load(); k != nil && time.Since(k.at) < 2*rotationsRead {
		return nil
	}
	_, err := n.readRotations(ctx)
	return err
}

// resealRows seals anew, under the lock of the head, the data keys of rows that were
// prepared before another generation was put in force.
func (n *Notary) resealRows(batch []*pending) error {
	if n.config.Keys == nil {
		return nil
	}
	known := n.keyring.known.Load()
	if known == nil || time.Since(known.at) > rotationsFresh {
		return errors.New("which keys are in force was last heard of too long ago")
	}
	if len(known.of) == 0 {
		return nil
	}
	for _, p := range batch {
		for _, r := range p.rows {
			want := known.of[r.row.Tenant].Generation
			if g, _, _ := splitSecrets(r.row.Secrets); want == 0 || g == want {
				continue
			}
			tk, err := n.config.TenantKey(r.row.Tenant)
			if err != nil {
				return err
			}
			sealed, err := resealSecrets(tk, r.row, n.config.Rand)
			if err != nil {
				return err
			}
			if sealed != nil {
				r.row.Secrets = sealed
			}
		}
	}
	return nil
}

// attend tells the others that this process runs, and which offered keys it has.
func (n *Notary) attend(ctx context.Context, known *rotations) error {
	var has []string
	for _, r := range known.of {
		if r.Next == 0 {
			continue
		}
		if tk, err := n.fileKey(r.Tenant); err == nil && holds(tk, r.Next, r.NextCheck) {
			has = append(has, r.NextCheck)
		}
	}
	slices.Sort(has)
	holding, err := json.Marshal(has)
	if err != nil {
		return err
	}
	return n.config.Keys.Attend(ctx, Attendant{n.keyring.id, holding}, attendLease)
}

// everyoneHas reports whether each process that runs has an offered key.
func everyoneHas(all []Attendant, check string) bool {
	for _, a := range all {
		var has []string
		if json.Unmarshal(a.Holds, &has) != nil || !slices.Contains(has, check) {
			return false
		}
	}
	return true
}

// takePart makes this process one of those that a rotation waits for, before it seals
// anything.
func (n *Notary) takePart(ctx context.Context) (err error) {
	if n.config.Keys == nil {
		return nil
	}
	if n.keyring.id, err = NewID(time.Now(), n.config.Rand); err != nil {
		return err
	}
	known, err := n.readRotations(ctx)
	if err == nil {
		err = n.attend(ctx, known)
	}
	return err
}

// runKeyring keeps what is known of rotations fresh, and carries them on where this process
// seals.
func (n *Notary) runKeyring() {
	defer n.workers.Done()
	var told time.Time
	for n.sleep(rotationsRead) {
		ctx, cancel := context.WithTimeout(n.run, callTimeout)
		known, err := n.readRotations(ctx)
		if err == nil && (time.Since(told) > attendEvery || known.offered()) {
			err = n.attend(ctx, known)
			told = time.Now()
		}
		cancel()
		if err != nil {
			if n.run.Err() == nil {
				n.config.Logger.Warn("reading which tenants' keys are in force", "error", err)
			}
			continue
		}
		if n.leading() {
			n.carryOn(n.run, known)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), retryPause)
	defer cancel()
	_ = n.config.Keys.Leave(ctx, n.keyring.id) // else its lease runs out
}

// offered reports whether any key waits for everyone to have it.
func (k *rotations) offered() bool {
	for _, r := range k.of {
		if r.Next > 0 {
			return true
		}
	}
	return false
}

// carryOn does for each rotation that is under way what there is to do now.
func (n *Notary) carryOn(ctx context.Context, known *rotations) {
	for _, r := range known.of {
		if !r.UnderWay() || ctx.Err() != nil {
			continue
		}
		if err := n.rotate(ctx, r, false); err != nil && ctx.Err() == nil && !errors.Is(err, ErrConflict) {
			n.config.Logger.Warn("the rotation of a tenant's key does not go on; trying again", "tenant", r.Tenant, "error", err)
		}
	}
}

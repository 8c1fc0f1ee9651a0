package notary

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/proofs/mldsa"
)

// Bounds. Each can be met by an honest load; beyond it the caller is told to come
// back.
const (
	defaultPool = 2048             // deposits under way
	maxBatch    = 4096             // rows in one commit
	maxBacklog  = 100_000          // entries committed and not published
	maxAge      = 10 * time.Second // of the oldest of them
	callTimeout = 10 * time.Second // of one call to ledger or anchor by sequencer or sealer
	retryPause  = 50 * time.Millisecond
)

// Config is what a Notary is opened with. Policy, Signer, Ledger, Blobs, Anchors
// and TenantKey are required.
type Config struct {
	// Policy is the log's published policy. Its one log line names the log and the
	// key; every receipt is judged by it before it is returned.
	Policy proofs.Policy
	Signer crypto.Signer // Ed25519, of the policy's log key
	// OtherSigners are further Ed25519 keys that this process has. They sign where the
	// log's key entries say so.
	OtherSigners []crypto.Signer
	Ledger       Ledger
	Blobs        Blobs
	// Segments keeps a second copy of what is sealed. nil: there is none.
	Segments Segments
	// Anchors all advance before a signature is released. The first comes first.
	Anchors []Anchor
	// AnchorNames are what the operator calls each of Anchors, for messages. nil: they are
	// named by their place alone.
	AnchorNames []string
	// Witnesses are those that the policy's quorum is made of. Required if it has one,
	// else nil.
	Witnesses Witnesses
	// Advisory publishes what the quorum has not cosigned too. Else nothing is published
	// without it.
	Advisory bool
	// SecondTree is the log's tree built by other code: nothing is signed whose root it does
	// not confirm. nil: nobody is asked.
	SecondTree SecondTree
	// OpinionAdvisory makes an alarm of what the second tree says: no seal waits for it, and
	// nothing is stopped by it.
	OpinionAdvisory bool
	// Peers are the replicas on the same ledger. nil: there are none, and this process
	// seals.
	Peers Peers
	// TenantKey returns the tenant's key; the depository's own entries are under
	// the zero ID.
	TenantKey func(tenant ID) (TenantKey, error)
	// Keys is where the ledger keeps which generation of each is in force. nil: none was
	// ever rotated, and none will be.
	Keys Keys

	// Trail is where is written down who reads. nil: it is not.
	Trail Trail

	// Previous is the last sealed state of a log that was ended, and that a new one follows:
	// Init names it in the genesis entry. nil: there is none.
	Previous *proofs.Checkpoint
	// Retention is how long deposits are kept before they can be erased without an order.
	Retention Retention
	// Checks are rules of tenants that have some.
	Checks map[ID]Checks
	// SM3 has the record of each document that is handed in say its SM3 too.
	SM3 bool
	// Quotas are what tenants may deposit in a month.
	Quotas Quotas
	// SignatureRoots are the authorities by whom certificates of electronic signatures inside
	// documents are judged. nil: they are not.
	SignatureRoots *x509.CertPool
	// Facts are the members of the public fact sheet, ascending by name, which who seals
	// keeps in force. nil: there is none.
	Facts proofs.Record
	// Timestamps is how checkpoints are dated. nil: they are not.
	Timestamps *Timestamps

	Pool        int          // deposits that may be under way; 0: 2,048
	AcceptClock bool         // open although the clock is over 24 h past the newest entry
	Room        func() error // asked before each deposit; nil: there always is room
	Rand        io.Reader    // nil: crypto/rand
	Logger      *slog.Logger // nil: slog.Default
	// Metrics is where Open registers what the Notary measures, until Close. nil: nowhere.
	Metrics prometheus.Registerer
	// Fatal ends the process: the state cannot be explained and nothing more may be
	// signed. It is called once. nil: panic.
	Fatal func(error)
}

// Notary is one open log. Its methods are safe for concurrent use.
type Notary struct {
	config   Config
	key      proofs.VerifierKey
	verifier *proofs.Verifier // by the policy
	logAlone *proofs.Verifier // by the policy without its witnesses; the same where it has none
	tiles    *tileCache
	clock    clock

	pool  chan *pending
	lines *places // of batches, between intake and answer
	// underWay counts the deposits between intake and answer, batches left out.
	underWay *places
	// examining has a place for each PDF that is being looked into.
	examining chan struct{}
	// roomAsked is when the disk was last found to have room; nil: never.
	roomAsked atomic.Pointer[time.Time]
	wake      chan struct{} // the sealer's: a batch was committed
	taken     chan struct{} // the sequencer's: the sealer has begun with what was committed
	showing   sync.Mutex    // held to replace view by a newer one
	view      atomic.Pointer[view]
	cosigned  atomic.Pointer[view] // the newest for which the policy's quorum stands
	own       atomic.Uint64        // the log's size after the last batch that this process committed
	replica   *replica             // nil without peers
	ready     readiness
	opinion   opinion
	keyring   keyring
	trailer   trailer
	// fileKey is the tenant's key as this process was given it.
	fileKey func(tenant ID) (TenantKey, error)

	metrics *metrics

	run     context.Context // of sequencer and sealer
	halt    context.CancelFunc
	intake  sync.RWMutex // held for reading while a deposit is being offered to pool
	closing bool         // under intake
	workers sync.WaitGroup
	drained chan struct{} // closed when the sequencer has emptied a closed pool
	died    sync.Once

	registers []register // of each anchor

	frontier *proofs.Range // the sequencer's; nil when memory is in doubt
	sealer   sealer        // the sealing goroutine's
	// segmented is the edge of the tree where the segment stored last ends; likewise.
	segmented *proofs.Range
	halfway   *halfway // likewise
	recent    recent
	stamper   stamper
	term      uint64 // likewise: of replica, while this process seals
}

// view is the newest published checkpoint. next is closed when a newer one is.
type view struct {
	size uint64
	note []byte
	// witnessed: the policy's quorum stands for the note, or none is asked for.
	witnessed bool
	// edge holds the tiles that the audit before the seal has read: all that the
	// receipts of the round need.
	edge map[tileID]*proofs.Tile
	at   time.Time // of its publication, by the ledger's clock
	next chan struct{}
}

// newer reports whether v says more than old: of more entries, or with the quorum.
func (v *view) newer(old *view) bool {
	return v.size > old.size || v.size == old.size && v.witnessed && !old.witnessed
}

// Open audits the ledger against every anchor, seals and publishes what was
// committed before, or waits until another replica has, and begins to accept
// deposits. While witnesses or a second tree are required and their word is missing, it
// waits two seconds, four at most: what was published before can be read. It refuses a ledger without a genesis entry, one that is behind an anchor,
// and one that disagrees with it or with a second tree.
func Open(ctx context.Context, c Config) (*Notary, error) {
	n, err := prepare(c)
	if err != nil {
		return nil, err
	}
	if (c.Witnesses != nil) != c.Policy.Witnessed() {
		return nil, errors.New("the policy's quorum and the witnesses to ask do not go together")
	}
	if c.Segments != nil {
		if err := n.thawed(ctx); err != nil {
			return nil, err
		}
	}
	if err := n.takePart(ctx); err != nil {
		return nil, err
	}
	head, err := n.auditStart(ctx)
	if err != nil {
		return nil, err
	}
	n.run, n.halt = context.WithCancel(context.Background())
	n.start(n.runSealer)
	if c.Peers != nil {
		n.start(n.runLease)
		n.start(n.runAnnouncer)
		n.start(n.runFollower)
	}
	signal(n.wake)
	if err := n.caughtUp(ctx, head.Size); err != nil {
		n.stop()
		return nil, errors.Join(fmt.Errorf("sealing what was committed before: %w", err), n.ready.failure())
	}
	if c.Metrics != nil {
		if err := c.Metrics.Register(n.metrics); err != nil {
			n.stop()
			return nil, err
		}
	}
	n.start(n.runSequencer)
	n.start(n.runUpkeep)
	n.start(n.runProbe)
	if c.Trail != nil {
		n.start(n.runTrail)
		n.start(n.runTrailDays)
	}
	if c.Keys != nil {
		n.start(n.runKeyring)
	}
	if c.Segments != nil {
		n.start(n.runCatchUp)
	}
	if c.SecondTree != nil {
		n.start(n.runTreeProbe)
	}
	if c.SecondTree != nil && c.OpinionAdvisory {
		n.start(n.runAdvisor)
	}
	if c.Timestamps != nil && c.Timestamps.Every > 0 {
		n.start(n.runStamper)
	}
	if len(c.Facts) > 0 {
		n.beginFacts(ctx)
	}
	return n, nil
}

// caughtUp waits until the log of that size is published, or only its witnesses' quorum
// or the second opinion is missing.
func (n *Notary) caughtUp(ctx context.Context, size uint64) error {
	patient, begun := n.patient(), time.Now()
	for {
		v := n.view.Load()
		if v.size >= size {
			return nil
		}
		select {
		case <-v.next:
		case <-patient:
			// Who is let in is told what is missing: that is known as long after the first seal
			// has asked for it, which takes a moment.
			if n.ready.quorumMissing() || n.opinionMissing() || time.Since(begun) > 2*quorumPatience {
				return n.refresh(ctx)
			}
			patient = time.After(retryPause)
		case <-ctx.Done():
			return ctx.Err()
		case <-n.run.Done():
			return ErrStopped
		}
	}
}

// start runs one of the workers, until n.run ends.
func (n *Notary) start(run func()) {
	n.workers.Add(1)
	go run()
}

// stop ends the workers.
func (n *Notary) stop() {
	n.halt()
	n.workers.Wait()
	if n.config.Peers != nil {
		n.resign()
	}
}

// prepare checks the configuration and fills its gaps.
func prepare(c Config) (*Notary, error) {
	if len(c.Policy.Logs) != 1 {
		return nil, errors.New("the policy must have exactly one log line")
	}
	n := &Notary{config: c, key: c.Policy.Logs[0]}
	public, ok := c.Signer.Public().(ed25519.PublicKey)
	if !ok || string(public) != n.key.Key || n.key.Type != proofs.TypeEd25519 {
		return nil, fmt.Errorf("the signing key is not the policy's log key %s", n.key)
	}
	if _, err := proofs.ParseOrigin(n.key.Name); err != nil {
		return nil, fmt.Errorf("the policy's log %q: %w", n.key.Name, err)
	}
	if len(c.Anchors) == 0 {
		return nil, errors.New("there is no anchor")
	}
	if n.config.Pool == 0 {
		n.config.Pool = defaultPool
	}
	if n.config.Rand == nil {
		n.config.Rand = rand.Reader
	}
	if n.config.Logger == nil {
		n.config.Logger = slog.Default()
	}
	if n.config.Fatal == nil {
		n.config.Fatal = func(err error) { panic(err) }
	}
	if n.config.Room == nil {
		n.config.Room = func() error { return nil }
	}
	if err := c.Timestamps.check(); err != nil {
		return nil, err
	}
	if err := CheckFacts(c.Facts); err != nil {
		return nil, err
	}
	n.verifier = proofs.NewVerifier(c.Policy, append(c.Timestamps.options(), mldsa.Plugged())...)
	n.logAlone = n.verifier
	if c.Policy.Witnessed() {
		n.logAlone = proofs.NewVerifier(c.Policy.LogAlone())
	}
	n.fileKey = c.TenantKey
	n.config.TenantKey = n.underRotation(c.TenantKey)
	n.ready.required = n.required()
	n.tiles = newTileCache(c.Ledger)
	n.examining = make(chan struct{}, maxExamined)
	n.lines, n.underWay = newPlaces(maxLines), newPlaces(n.config.Pool)
	n.metrics = newMetrics(n)
	n.pool = make(chan *pending, n.config.Pool)
	n.wake = make(chan struct{}, 1)
	n.taken = make(chan struct{}, 1)
	n.drained = make(chan struct{})
	n.trailer.queue = make(chan *noting, trailQueue)
	n.registers = make([]register, len(c.Anchors))
	n.view.Store(&view{next: make(chan struct{})})
	n.cosigned.Store(&view{})
	if c.Peers != nil {
		var err error
		if n.replica, err = newReplica(n.config.Rand); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// Close stops intake, seals and publishes what was accepted, and stops. It returns
// ctx's error if that takes too long; what was committed is then sealed by the
// next Open. Witnesses whose quorum is missing are not waited for, nor is a second tree that
// does not confirm.
func (n *Notary) Close(ctx context.Context) error {
	n.intake.Lock()
	first := !n.closing
	n.closing = true
	n.intake.Unlock()
	if first {
		close(n.pool)
	}
	err := n.settle(ctx)
	n.stop()
	if n.config.Metrics != nil {
		n.config.Metrics.Unregister(n.metrics)
	}
	return err
}

// settle waits until everything that this process committed is published.
func (n *Notary) settle(ctx context.Context) error {
	select {
	case <-n.drained:
	case <-ctx.Done():
		return ctx.Err()
	case <-n.run.Done():
		return ErrStopped
	}
	for {
		v := n.view.Load()
		if v.size >= n.own.Load() || n.ready.quorumMissing() || n.opinionMissing() {
			return nil
		}
		select {
		case <-v.next:
		case <-n.patient():
		case <-ctx.Done():
			return ctx.Err()
		case <-n.run.Done():
			return ErrStopped
		}
	}
}

// die ends everything: an impossible state was met. Nothing is signed after it.
func (n *Notary) die(err error) {
	n.died.Do(func() {
		if n.halt != nil {
			n.halt()
		}
		n.config.Logger.Error("stopping: the state cannot be explained", "error", err)
		n.config.Fatal(err)
	})
}

// pause waits before a retry, unless the notary stops.
func (n *Notary) pause(ctx context.Context) bool {
	t := time.NewTimer(retryPause)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

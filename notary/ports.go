package notary

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/muniment/muniment/proofs"
)

// The three interfaces below are all that the notary asks of the outer world.
// Their drivers live under storage and are judged by storage/storagetest; the
// fakes in notarytest pass the same suite. A driver returns the sentinel errors
// named here, wrapped as it likes; every other error means that the call failed
// and that its effect, if it had one to make, is unknown.

var (
	// ErrNotFound: there is no such thing, or not for this tenant. The two are
	// never told apart.
	ErrNotFound = errors.New("not found")
	// ErrConflict: Anchor.Advance found another body than prev.
	ErrConflict = errors.New("the anchor holds another checkpoint")
	// ErrExists: a create-only write found the name taken. Nothing was changed.
	ErrExists = errors.New("already exists")
	// ErrDamaged: something stored does not read back as it was written. A driver says
	// so where it can tell; trying again does not help.
	ErrDamaged = errors.New("stored data is damaged")
	// ErrNoRoom: the store has no room left for writes. Nothing was changed.
	ErrNoRoom = errors.New("no room left in storage")
	// ErrDisagree: the second tree holds another leaf than what it was given. Trying again
	// does not help.
	ErrDisagree = errors.New("the second tree holds another entry")
	// ErrTreeClock: the second tree does not go on, since its clock is not past the time of
	// its newest root.
	ErrTreeClock = errors.New("the second tree refuses the time")
)

// Head is the newest committed state of the log.
type Head struct {
	Size  uint64      // number of entries
	Root  proofs.Hash // RFC 6962 root over them; proofs.EmptyRoot when Size is 0
	Time  time.Time   // of the newest entry, UTC, whole milliseconds; zero when Size is 0
	Batch ID          // of the batch that made this head; zero when Size is 0
}

// A Term is a keyed digest (truncated HMAC-SHA-256 under the tenant's index key)
// that stands for a value in the ledger's look-up tables: a contract number, a
// document's SHA-256, a label, an idempotency key. The ledger can find equal
// values by it and learns nothing else. 96 bits keep two of 10¹² values of a tenant
// apart but for a chance in 10⁵.
type Term [12]byte

// Row is one entry with the private things kept beside it.
type Row struct {
	Index  uint64
	Entry  []byte // the leaf's bytes exactly as hashed; public
	Tenant ID     // zero for the depository's own entries (genesis, key, facts)
	ID     ID     // UUIDv7, unique over all tenants
	Body   []byte // the sealed record; opaque to the ledger
	// Secrets holds the wrapped data key, from which the seed comes. It is stored apart
	// from the rest of the row, so that erasure can destroy it and nothing else;
	// it reads back empty once erased.
	Secrets  []byte
	CaseSeq  uint64      // place in the case, from 1; 0 without a contract number
	CasePrev proofs.Hash // leaf hash of the deposit before it in the case; zero at CaseSeq 0 and 1
}

// An Operation is what one idempotency key paid for: Count rows from First on.
type Operation struct {
	Tenant ID
	Key    Term
	First  uint64
	Count  uint32
}

// Case is the state of one contract number of one tenant: how many deposits it
// has, and the leaf hash of the newest.
type Case struct {
	Tenant   ID
	Contract Term
	Seq      uint64      // 0: the case has no deposit yet
	Leaf     proofs.Hash // of deposit number Seq
}

// Usage is what a tenant deposited in one calendar month, UTC.
type Usage struct {
	Tenant   ID
	Month    Month
	Deposits uint64 // entries of kind deposit
	Bytes    uint64 // of the documents that were kept with them, as they were handed in
}

// Batch is what one Append writes: all of it, or nothing.
type Batch struct {
	Head Head // the head after the batch; Head.Batch is the batch's own id
	Rows []Row
	// Terms are the look-up keys of each row, parallel to Rows: Find with one of
	// them finds the row. A driver also finds every row of a tenant without one.
	Terms [][]Term
	// Hashes are the new hashes of each tile level (C2SP tlog-tiles): Hashes[L]
	// continues level L from old size >> 8L to Head.Size >> 8L. Level 0 is leaf hashes.
	Hashes     [][]proofs.Hash
	Operations []Operation
	Cases      []Case // those the batch moved on, each once
	// Usages are what its tenants come to with the batch, each of a tenant and a month once.
	Usages []Usage
	// Peaks is the compact range of the tree at Head: the roots of its full subtrees,
	// largest first.
	Peaks []proofs.Hash
}

// Lookups is what a batch must know before it can be built. The lists may hold
// the same item twice.
type Lookups struct {
	Operations []Operation // Tenant and Key are read
	Cases      []Case      // Tenant and Contract are read
	Usages     []Usage     // Tenant and Month are read
}

// State is what Append found under the head lock.
type State struct {
	Head Head
	Now  time.Time // the ledger's clock, read under the lock
	// Operations, Cases and Usages are parallel to the Lookups. An operation that was not
	// found has Count 0; a case that was not found has Seq 0; of a month without a deposit
	// nothing was used.
	Operations []Operation
	Cases      []Case
	Usages     []Usage
	// Peaks is that of the batch that made Head, from a driver that keeps it; else
	// nil. Who did not make that batch need not read tiles then, while all others wait
	// for the lock.
	Peaks []proofs.Hash
}

// Query selects deposits of one tenant in ascending order of index.
type Query struct {
	Tenant   ID
	Term     *Term     // nil: every deposit of the tenant
	From     uint64    // the first index that may be returned
	Below    uint64    // every index that is returned is below it; 0: no bound
	Backward bool      // in descending order of index
	Since    time.Time // entry time at or after it; zero: no bound
	Until    time.Time // entry time before it; zero: no bound
	Limit    int       // 1 to 1,000
}

// Erasure is what a ledger is to destroy of one row.
type Erasure struct {
	Tenant ID
	Index  uint64
	Terms  []Term
}

// Stamp is a published checkpoint with the time-stamp tokens that authorities gave for it.
type Stamp struct {
	Size   uint64 // of the checkpoint
	Record []byte // the verbatim note and the tokens, as an evidence record begins
}

// Renewal dates again what the stamps from First to Last had come to, before the tokens
// that they rested on ended.
type Renewal struct {
	Number      uint64 // from 1, in the order in which they were made
	First, Last uint64 // sizes of stamps, both included
	Data        []byte // opaque to the ledger
}

// Ledger is the transactional store of rows, leaf and tile hashes, and the head.
// Its methods are safe for concurrent use. Buffers are not shared in either
// direction. A range that reaches beyond the head is wholly ErrNotFound; one that
// is too long or reversed is another error.
type Ledger interface {
	// Now returns the ledger's clock: the database's, or the process's when embedded.
	Now(ctx context.Context) (time.Time, error)

	// Append takes the lock of the head, looks up what lookups asks for, hands the
	// result to build, and commits the batch that build returns in one atomic write.
	//
	// A nil error means: the whole batch is durable and visible to every reader; no
	// reader sees a batch before it is durable. An error from build is returned as
	// it is, and nothing was written. After any other error the batch may have been
	// committed or not, and Committed tells; ErrNoRoom means that it was not.
	// build is called at most once and may read the ledger; a nil batch from it
	// writes nothing and is no error. Waiting for the lock ends with ctx.
	//
	// A batch that does not continue the head is refused whole: a gap in the indexes,
	// a hash too few or too many on any level, a head whose size or time is not that
	// of its last entry (the time is read from the entry's bytes), terms not parallel
	// to the rows, an id or an idempotency key that is taken.
	Append(ctx context.Context, lookups Lookups, build func(State) (*Batch, error)) error

	// Committed takes the lock of the head and reports whether the batch of that id,
	// the last this process tried to append, has been committed. After a false
	// answer it never will be. After a true one it is durable. After an error nothing
	// is known, and it must be asked again.
	Committed(ctx context.Context, batch ID) (bool, error)

	// Head returns the newest committed head.
	Head(ctx context.Context) (Head, error)

	// Hashes returns the hashes of tile level `level` with index from <= i < to, at
	// most 256 of them. Hashes beyond the head are ErrNotFound.
	Hashes(ctx context.Context, level int, from, to uint64) ([]proofs.Hash, error)

	// Entries returns the entry bytes with index from <= i < to, at most 1,024 of
	// them, read from where they are stored, not from a cache of what was written.
	// Entries beyond the head are ErrNotFound.
	Entries(ctx context.Context, from, to uint64) ([][]byte, error)

	// Row returns the row at index, of whatever tenant.
	Row(ctx context.Context, index uint64) (Row, error)

	// Rows returns the rows with index from <= i < to, of whatever tenants, at most
	// 1,024 of them. Rows beyond the head are ErrNotFound.
	Rows(ctx context.Context, from, to uint64) ([]Row, error)

	// Deposit returns the row of that id if it is the tenant's, else ErrNotFound.
	Deposit(ctx context.Context, tenant, id ID) (Row, error)

	// Operation returns what the tenant's idempotency key paid for, or ErrNotFound.
	Operation(ctx context.Context, tenant ID, key Term) (Operation, error)

	// Case returns the state of a case, or ErrNotFound.
	Case(ctx context.Context, tenant ID, contract Term) (Case, error)

	// Usage returns what a tenant deposited in a month: nothing, where it did not.
	Usage(ctx context.Context, tenant ID, month Month) (Usage, error)

	// Deposits returns the rows that the query selects.
	Deposits(ctx context.Context, q Query) ([]Row, error)

	// Erase destroys the secrets of a row and its sealed record, and takes it away from the
	// terms named: on a nil return that is durable, on no replica is any of it read again,
	// and who has the store's files reads no byte of it that is not said in the driver's own
	// documentation. Entry, id, place in the case and idempotency key stay, and the row is
	// still found without a term. To ask again changes nothing. A row that is not the
	// tenant's is ErrNotFound; a term that it does not have is no error.
	Erase(ctx context.Context, e Erasure) error

	// Publish makes note, a signed checkpoint of that size, the newest published
	// one, visible to every replica on return. A size below the published one
	// changes nothing and is no error; a note of the same size replaces the one before,
	// as when witnesses have cosigned it meanwhile. The note may be lost in a crash: it
	// is then signed again from the anchor.
	Publish(ctx context.Context, size uint64, note []byte) error

	// Published returns the newest published note, or ErrNotFound before the first.
	Published(ctx context.Context) ([]byte, error)

	// Stamp keeps a stamp, durable and visible to every replica on return. ErrExists if
	// there is one of its size; it is never replaced.
	Stamp(ctx context.Context, s Stamp) error

	// Stamps returns the stamps whose size is from or more, in ascending order of size, the
	// first limit of them, 1 to 1,000.
	Stamps(ctx context.Context, from uint64, limit int) ([]Stamp, error)

	// Renew keeps a renewal, durable and visible to every replica on return. ErrExists if
	// there is one of its number; it is never replaced.
	Renew(ctx context.Context, r Renewal) error

	// Renewals returns the renewals that cover a stamp of that size, in ascending order of
	// number, all of them.
	Renewals(ctx context.Context, size uint64) ([]Renewal, error)

	// Renewed returns the highest number of a renewal, 0 before the first.
	Renewed(ctx context.Context) (uint64, error)
}

// Accounts is who may call: tenants and the hashes of their API keys. The
// drivers of Ledger implement it too.
type Accounts interface {
	// CreateTenant stores a tenant, durable on return. ErrExists if its id, or its Request
	// unless that is zero, is taken.
	CreateTenant(ctx context.Context, t Tenant) error
	// Tenant returns the tenant of that id, or ErrNotFound.
	Tenant(ctx context.Context, id ID) (Tenant, error)
	// Tenants returns all tenants in ascending order of id.
	Tenants(ctx context.Context) ([]Tenant, error)
	// CreateAPIKey stores the hash of a key, durable on return. ErrExists if it is there, or
	// a key with its Request unless that is zero. A program that knows nothing of keys that
	// wait to be confirmed must take one that does for a key that has ended.
	CreateAPIKey(ctx context.Context, k APIKey) error
	// ConfirmAPIKey confirms a key that is Pending, durable on return; of two at once one
	// does. ErrNotFound if it is not there, ErrConflict if it is not Pending.
	ConfirmAPIKey(ctx context.Context, hash [32]byte, by string, at time.Time) error
	// DeleteAPIKey takes a key away, durable on return. ErrNotFound if it is not there.
	DeleteAPIKey(ctx context.Context, hash [32]byte) error
	// APIKey returns the key of that hash, or ErrNotFound.
	APIKey(ctx context.Context, hash [32]byte) (APIKey, error)
	// APIKeys returns all keys in ascending order of hash.
	APIKeys(ctx context.Context) ([]APIKey, error)
}

// Blobs is the object store of documents. Names are <tenant>/<id>, both lower-case
// UUIDs; any other name is refused as ErrNotFound. Its methods are safe for
// concurrent use.
type Blobs interface {
	// Put stores all of r under a new name and returns the number of bytes: on
	// return they are durable and will be found by Open after a crash. A name
	// that is taken, by an object that is durable, is ErrExists and changes nothing. If r or ctx fails, nothing
	// is found under the name afterwards, and the error is returned.
	Put(ctx context.Context, name string, r io.Reader) (int64, error)
	// Probe does what a Put of a few bytes would do before it names them, and leaves
	// nothing behind. Nil means that the store took bytes durably a moment ago and is
	// the one that was opened.
	Probe(ctx context.Context) error
	// Open returns the object of that name, or ErrNotFound.
	Open(ctx context.Context, name string) (Blob, error)
	// List calls fn with each name stored before the given time, in no order. It
	// stops at fn's first error and returns it.
	List(ctx context.Context, before time.Time, fn func(name string) error) error
	// Delete removes an object, durably on return; a missing one is no error. Only
	// erasure and the sweep of orphans call it.
	Delete(ctx context.Context, name string) error
	// Hold puts a legal hold on an object that is there, or lifts it: where the store knows
	// such holds, nobody can delete a held object. On a nil return that is in force, or the
	// store has none. To ask again changes nothing.
	Hold(ctx context.Context, name string, on bool) error
	// Retain protects an object, that is there, as the store was configured to: against
	// deletion for a period from since on, and until a date at least, unless that is zero; or
	// until a legal hold is lifted. On a nil
	// return the protection is in force, or none is configured. To ask again changes
	// nothing, and never shortens. It is asked once the deposit is committed and before
	// its receipt leaves; until then an orphan can be swept.
	Retain(ctx context.Context, name string, since, until time.Time) error
}

// Blob is one stored object, open for reading.
type Blob interface {
	io.ReaderAt
	io.Closer
	Size() int64
}

// Anchor is the register that holds the newest sealed head as the unsigned body
// of its checkpoint. No byte of a signature leaves the process before Advance
// has returned nil, so the anchor is what keeps the log from forking. A body has
// 1 to 4,000 bytes.
type Anchor interface {
	// Load returns the body last stored. A register that is missing is ErrNotFound, one
	// that cannot be read whole another error, and neither is ever an older or an empty
	// body. A driver may find a register missing when it is opened.
	Load(ctx context.Context) ([]byte, error)
	// Advance replaces prev by next if and only if the register holds exactly
	// prev, else ErrConflict. On a nil return next is durable. After any other
	// error the register holds prev or next, and Load tells.
	Advance(ctx context.Context, prev, next []byte) error
}

// SegmentName says what a segment holds: the rows with From <= Index < To of a log, which
// had the root Begin with From entries and has the root End with To. Two segments of one
// name hold the same rows.
type SegmentName struct {
	Origin     string
	From, To   uint64
	Begin, End proofs.Hash
}

// MaxSegment bounds a stored segment, and its keys, in bytes.
const MaxSegment = 8 << 20

// Segments keeps copies of sealed rows, from which a lost ledger is rebuilt, in another
// store than the ledger's. A segment is never changed and may be locked against deletion;
// the wrapped keys of its rows stand beside it, unlocked, so that erasure can destroy one
// without it. Segments may overlap, and some may hold rows that were never sealed: their
// names tell. Its methods are safe for concurrent use.
type Segments interface {
	// Put stores a segment and its keys: on a nil return both are durable and read back
	// as they were given. Keys that are there already stay as they are, since some may
	// have been destroyed. A segment of that name with other bytes is ErrDamaged.
	Put(ctx context.Context, name SegmentName, segment, keys []byte) error
	// Load returns a segment with its keys as they are now; nil keys if there are none.
	// A segment that is not there is ErrNotFound, one that does not read back as it was
	// put ErrDamaged. What the bytes mean is the caller's to check.
	Load(ctx context.Context, name SegmentName) (segment, keys []byte, err error)
	// List calls fn with the names of that origin whose From is at or after from, in
	// ascending order of From. It stops at fn's first error and returns it.
	List(ctx context.Context, origin string, from uint64, fn func(SegmentName) error) error
	// ListKeys is List of the segments that have keys, also of those of which a Put that
	// did not come to its end left nothing else.
	ListKeys(ctx context.Context, origin string, from uint64, fn func(SegmentName) error) error
	// EditKeys replaces the keys of a segment by what edit makes of them. On a nil return
	// nothing that stood there before can be read any more. edit may be called again,
	// when others edit at the same time. Where there are no keys, nothing is done.
	EditKeys(ctx context.Context, name SegmentName, edit func(keys []byte) ([]byte, error)) error
	// KeepAccount stores what is to be known of a tenant or an API key if the ledger is
	// lost, under the name AccountName gives it, durable on return. What is there stays as
	// it is. Who takes a key away from the ledger must take it away here first.
	KeepAccount(ctx context.Context, origin, name string, body []byte) error
	// DropAccount takes away what KeepAccount stored, durably on return; a missing one is no
	// error.
	DropAccount(ctx context.Context, origin, name string) error
	// KeptAccounts calls fn with each of them, in no order. It stops at fn's first error
	// and returns it.
	KeptAccounts(ctx context.Context, origin string, fn func(name string, body []byte) error) error
	// Freeze marks a log as ended, for ever, and says why. A second call changes nothing.
	Freeze(ctx context.Context, origin string, why []byte) error
	// Frozen returns what Freeze was given for that origin, or ErrNotFound.
	Frozen(ctx context.Context, origin string) ([]byte, error)
}

// Peers is how replicas that share a ledger share the work: one seals, and all hear
// of it. None of it is trusted. The head's lock orders the entries and the anchor
// keeps the log from forking, whoever believes to be the sealer and however often
// nothing is heard.
type Peers interface {
	// Lead takes the sealer's lease for that long, by the ledger's clock, or extends it,
	// and reports whether holder has it on return. Another's lease is taken only once
	// it has run out.
	Lead(ctx context.Context, holder ID, lease time.Duration) (bool, error)
	// Resign gives the lease up if holder has it.
	Resign(ctx context.Context, holder ID) error
	// Announce tells every listening replica, this one too. It may be lost, or come
	// together with others.
	Announce(ctx context.Context, news News) error
	// Listen returns what was announced since it last returned, once that is something,
	// and ctx's error when that ends before. One caller at a time. After an error what was
	// announced meanwhile is lost.
	Listen(ctx context.Context) (News, error)
}

// News is what replicas tell each other: one of the following, or several.
type News uint8

// A batch was committed, which concerns the sealer; a checkpoint was published, which
// concerns all others.
const (
	NewsCommitted News = 1 << iota
	NewsPublished
)

// Sealed is a checkpoint that every anchor holds, for witnesses to cosign.
type Sealed struct {
	proofs.Checkpoint
	Note []byte    // the checkpoint, signed by the log
	Time time.Time // of its newest entry
	// Prove returns the RFC 6962 consistency proof between two sizes, from 1 on and not
	// beyond the checkpoint's. It may be called until the Witnesses are closed.
	Prove func(ctx context.Context, from, to uint64) ([]proofs.Hash, error)
}

// Cosigned is what witnesses said.
type Cosigned struct {
	// Cosignatures of the checkpoint that verify under the policy, one of a key.
	Cosignatures []proofs.Signature
	// Dissents are the witnesses whose last answer was that they know the log as another.
	Dissents []Dissent
}

// Dissent is a witness that does not go on from what it was asked to.
type Dissent struct {
	Witness string // its name in the policy
	Size    uint64 // that it says it cosigned last
	// Note is the checkpoint that the witness shows for its word, signed by the log; nil
	// if it shows none.
	Note []byte
}

// Witnesses are those of the policy. What one of them says proves nothing but by its
// signature, or the log's.
type Witnesses interface {
	// Cosign hands the checkpoint to every witness, all at the same time, and returns once
	// the policy's quorum stands, once it cannot be expected to (too many witnesses fail,
	// or are slow), or when ctx ends. A witness that is late goes on meanwhile, so that its
	// cosignature is there when the same checkpoint is handed in again.
	Cosign(ctx context.Context, c Sealed) Cosigned
	// Rest has no witness asked any more, until Cosign is called again: another process
	// seals, and what witnesses know of its checkpoints is no dissent.
	Rest()
}

// Tree is what a second tree holds.
type Tree struct {
	Size uint64      // number of entries that are integrated
	Root proofs.Hash // RFC 6962 root over them; proofs.EmptyRoot when Size is 0
}

// MaxExtension bounds the entries of one Extend, and the leaves of one Leaves.
const MaxExtension = 1024

// SecondTree is the log's tree once more, built by other code from the entries as they are
// stored. The sealer alone feeds it, one call at a time; Head and Leaves may be called
// beside. A sealer that was deposed a moment ago may still be feeding it from another
// process: each call must be as safe as if it were alone. After an error that is none of
// those named here nothing is known, and the same Extend may be asked for again.
type SecondTree interface {
	// Head finds the tree that is in force and returns what it holds, never more than is
	// integrated and durable. ErrNotFound if there is no tree of this log.
	Head(ctx context.Context) (Tree, error)
	// Extend gives the tree that Head found entries from index from on, 1 to MaxExtension,
	// and returns what the tree holds once all of them are integrated and durable. Those
	// that it holds already are read back and compared, never believed: one that differs is
	// ErrDisagree, and its index is named. A gap, from beyond what the tree holds, is an
	// error. ErrTreeClock if its clock holds it up; ErrNotFound if the tree is in force no
	// more.
	Extend(ctx context.Context, from uint64, entries [][]byte) (Tree, error)
	// Leaves returns the leaf hashes that the tree in force keeps, with index from <= i <
	// to, at most MaxExtension of them. Leaves beyond its size are ErrNotFound, one that is
	// missing below it is ErrDamaged.
	Leaves(ctx context.Context, from, to uint64) ([]proofs.Hash, error)
}

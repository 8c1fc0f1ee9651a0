package notary

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/muniment/muniment/proofs"
)

// maxKey bounds an idempotency key, in bytes.
const maxKey = 255

// caseRoom is what case.seq and case.prev may add to the disclosures of a record,
// which are measured before the place in the case is known.
const caseRoom = 256

// Deposit is what a caller hands in.
type Deposit struct {
	// Key is the caller's idempotency key: 1 to 255 printable ASCII bytes. It stands
	// for this content for ever.
	Key string
	// Claims are the members the caller may set. content.sha256 and content.size
	// are checked when Document is there; content.sha256 is required when it is not.
	Claims proofs.Record
	// Document is the original, read once to its end; nil deposits the digest only.
	Document io.Reader
}

// Deposit fixes a document or digest in the log and returns its receipt, under a
// published checkpoint. What it returned is durable and verifies for ever.
//
// The same key with the same content returns the same entry, whatever happened to
// the first call; with other content it is ErrKeyReused. Every error but
// SealingDelayedError and ErrUnavailable means that nothing was kept.
func (n *Notary) Deposit(ctx context.Context, who Principal, d Deposit) (proofs.Receipt, error) {
	in, err := n.admit(who, d)
	if err != nil {
		return proofs.Receipt{}, err
	}
	op, err := n.Ledger.Operation(ctx, who.Tenant.ID, in.key)
	switch {
	case err == nil:
		return n.replay(ctx, in, op)
	case !errors.Is(err, ErrNotFound):
		return proofs.Receipt{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if err := n.open(); err != nil {
		return proofs.Receipt{}, err
	}
	row, err := n.take(ctx, in)
	if err != nil {
		return proofs.Receipt{}, err
	}
	p, err := n.offer(ctx, Operation{Tenant: who.Tenant.ID, Key: in.key}, row)
	switch {
	case err != nil:
		n.discard(row, in, err)
		return proofs.Receipt{}, err
	case p.again: // two calls raced with one key, and the other won
		n.discard(row, in, nil)
		return n.replay(ctx, in, p.op)
	}
	v, err := n.published(ctx, row.row.Index)
	if err != nil {
		return proofs.Receipt{}, &SealingDelayedError{row.row.ID}
	}
	return n.prove(ctx, v, row.row.Index, row.entry, row.disclosures)
}

// intake is one deposit on its way in.
type intake struct {
	tenant    Tenant
	tenantKey TenantKey
	key       Term
	claims    proofs.Record
	received  time.Time
	document  io.Reader // nil: digest only
	taken     bool      // document has been read to its end; digest and size are its own
	digest    proofs.Hash
	size      int64
}

// admit checks all that can be checked before a byte is stored.
func (n *Notary) admit(who Principal, d Deposit) (*intake, error) {
	if !who.Role.MayDeposit() {
		return nil, ErrForbidden
	}
	if len(d.Key) == 0 || len(d.Key) > maxKey || strings.IndexFunc(d.Key, func(r rune) bool { return r < 0x20 || r > 0x7e }) >= 0 {
		return nil, invalid("", "an idempotency key of 1 to %d printable ASCII characters is required", maxKey)
	}
	if err := checkClaims(d.Claims, d.Document != nil); err != nil {
		return nil, err
	}
	tk, err := n.TenantKey(who.Tenant.ID)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	in := &intake{
		tenant:    who.Tenant,
		tenantKey: tk,
		key:       tk.term(termKey, d.Key),
		claims:    d.Claims,
		received:  n.now(),
		document:  d.Document,
	}
	if claimed, ok := in.text("content.sha256"); ok {
		if _, err := hex.Decode(in.digest[:], []byte(claimed)); err != nil {
			return nil, invalid("content.sha256", "%v", err)
		}
	}
	return in, nil
}

// now is the ledger's clock as it should read by the steady count since start.
func (n *Notary) now() time.Time {
	return n.clock.wall.Add(time.Since(n.clock.steady)).UTC().Truncate(time.Millisecond)
}

func (in *intake) text(name string) (string, bool) {
	v, _ := in.claims.Get(name)
	return v.Text()
}

// checkClaims refuses members that the caller may not set, and values that are
// not of their member's type.
func checkClaims(claims proofs.Record, original bool) error {
	for _, m := range claims {
		t, known := proofs.NameType(m.Name)
		switch {
		case !known:
			return invalid(m.Name, "no such member; the nearest is %q", nearest(m.Name))
		case !callerMaySet(m.Name):
			return invalid(m.Name, "only the depository sets this member")
		case !t.Holds(m.Value):
			return invalid(m.Name, "the value is not of type %s", t)
		}
	}
	if _, ok := claims.Get("content.sha256"); !ok && !original {
		return invalid("content.sha256", "required when the document itself is not sent")
	}
	if size, ok := claims.Get("content.size"); ok {
		if n, _ := size.Integer(); n < 0 {
			return invalid("content.size", "must not be negative")
		}
	}
	return nil
}

func callerMaySet(name string) bool {
	switch name {
	case "provenance.system", "provenance.generated", "content.sha256", "content.size", "content.type", "content.name":
		return true
	}
	family, _, _ := strings.Cut(name, ".")
	return slices.Contains([]string{"contract", "party", "terms", "label"}, family)
}

// nearest returns the known member name with the fewest edits to name.
func nearest(name string) string {
	best, least := "", 1<<30
	names := proofs.Names()
	slices.Sort(names)
	for _, candidate := range names {
		if d := edits(name, candidate); d < least {
			best, least = candidate, d
		}
	}
	return best
}

// edits is the Levenshtein distance.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			diagonal, row[j] = row[j], min(diagonal+cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}

// open reports whether a new deposit may come in now.
func (n *Notary) open() error {
	if n.run.Err() != nil {
		return ErrStopped
	}
	if err := n.ready.accept(); err != nil {
		return err
	}
	if len(n.pool) == cap(n.pool) {
		return ErrBusy
	}
	if err := n.Room(); err != nil {
		return err
	}
	return nil
}

// take stores the document, checks the claims about it, and prepares the row: all
// hashing and sealing that needs no place in the log.
func (n *Notary) take(ctx context.Context, in *intake) (*prepared, error) {
	id, err := NewID(in.received, n.Rand)
	if err != nil {
		return nil, err
	}
	var key dataKey
	var seed proofs.Seed
	if _, err := io.ReadFull(n.Rand, key[:]); err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(n.Rand, seed[:]); err != nil {
		return nil, err
	}
	r := &prepared{kind: proofs.KindDeposit, seed: seed, row: Row{Tenant: in.tenant.ID, ID: id}}
	held := in.document != nil
	if held {
		if err := n.store(ctx, in, blobName(in.tenant.ID, id), key); err != nil {
			return nil, err
		}
	}
	if err := n.describe(r, in, key, held); err != nil {
		n.discard(r, in, err)
		return nil, err
	}
	return r, nil
}

func blobName(tenant, id ID) string { return tenant.String() + "/" + id.String() }

// store streams the document to its blob, encrypted, while hashing it: durable when
// it returns nil, and then what was announced.
func (n *Notary) store(ctx context.Context, in *intake, name string, key dataKey) error {
	h := sha256.New()
	plain := &counter{r: io.TeeReader(in.document, h)}
	sealed, err := key.sealDocument(plain)
	if err != nil {
		return err
	}
	if _, err := n.Blobs.Put(ctx, name, sealed); err != nil {
		if plain.err != nil {
			return plain.err // the caller's own reader failed: its error, not storage's
		}
		return unavailable(err)
	}
	if err := in.read(h.Sum(nil), plain.n); err != nil {
		n.remove(name)
		return err
	}
	return nil
}

// read takes note of what the document turned out to be, and holds the claims
// against it.
func (in *intake) read(sum []byte, size int64) error {
	if claimed, ok := in.text("content.sha256"); ok && claimed != hex.EncodeToString(sum) {
		return fmt.Errorf("%w: its SHA-256 is %x, announced was %s", ErrDigest, sum, claimed)
	}
	if v, ok := in.claims.Get("content.size"); ok {
		if claimed, _ := v.Integer(); claimed != size {
			return fmt.Errorf("%w: it has %d bytes, announced were %d", ErrDigest, size, claimed)
		}
	}
	in.digest, in.size, in.taken = proofs.Hash(sum), size, true
	return nil
}

// counter counts what is read and remembers how reading failed.
type counter struct {
	r   io.Reader
	n   int64
	err error
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	if err != nil && err != io.EOF {
		c.err = err
	}
	return n, err
}

// describe makes the record, its disclosures and look-up terms, and seals it.
func (n *Notary) describe(r *prepared, in *intake, key dataKey, held bool) error {
	record, err := in.record(r.row.ID, held)
	if err != nil {
		return err
	}
	r.disclosures = record.Disclose(r.seed)
	if size := proofs.DisclosuresSize(r.disclosures); size > proofs.MaxDisclosures-caseRoom {
		return invalid("", "the record takes %d bytes in a receipt; at most %d fit", size, proofs.MaxDisclosures-caseRoom)
	}
	r.terms, r.contract = in.tenantKey.terms(record)
	b := body{content: contentMAC(r.seed, "deposit", in.claims, in.digest, held), key: in.key, record: record}
	r.row.Body = b.seal(key, in.tenant.ID, r.row.ID)
	r.row.Secrets, err = sealSecrets(in.tenantKey, in.tenant.ID, r.row.ID, key, r.seed, n.Rand)
	return err
}

// record is what the deposit says, the caller's claims and ours, without the place
// in the case.
func (in *intake) record(id ID, held bool) (proofs.Record, error) {
	members := slices.DeleteFunc(slices.Clone(in.claims), func(m proofs.Member) bool {
		return m.Name == "content.sha256" || held && m.Name == "content.size"
	})
	var err error
	add := func(name string, v proofs.Value, e error) {
		members = append(members, proofs.Member{Name: name, Value: v})
		err = errors.Join(err, e)
	}
	text := func(name, s string) {
		v, e := proofs.Text(s)
		add(name, v, e)
	}
	text("id", id.String())
	text("tenant.name", in.tenant.Name)
	if in.tenant.Registration != "" {
		text("tenant.registration", in.tenant.Registration)
	}
	text("content.sha256", hex.EncodeToString(in.digest[:]))
	add("content.held", proofs.Boolean(held), nil)
	if held {
		v, e := proofs.Integer(in.size)
		add("content.size", v, e)
	}
	text("provenance.received", proofs.FormatTime(in.received))
	if err != nil {
		return nil, err
	}
	if len(members) > proofs.MaxMembers-2 {
		return nil, invalid("", "the record has %d members with the depository's own; at most %d fit", len(members), proofs.MaxMembers-2)
	}
	return proofs.NewRecord(members...)
}

// terms returns the look-up terms of a record, and that of its contract number.
func (k TenantKey) terms(record proofs.Record) (terms []Term, contract *Term) {
	for _, m := range record {
		text, _ := m.Value.Text()
		switch {
		case m.Name == "content.sha256":
			terms = append(terms, k.term(termSHA256, text))
		case m.Name == "contract.number":
			t := k.term(termContract, text)
			terms, contract = append(terms, t), &t
		case strings.HasPrefix(m.Name, termLabel):
			terms = append(terms, k.term(m.Name, text))
		}
	}
	return terms, contract
}

// caseMembers are the members that say where a row stands in its case.
func caseMembers(row Row) proofs.Record {
	seq, err := proofs.Integer(int64(row.CaseSeq))
	if err != nil {
		panic(err) // 2^53 deposits of one contract
	}
	record := proofs.Record{{Name: "case.seq", Value: seq}}
	if row.CaseSeq > 1 {
		prev, _ := proofs.Text(hex.EncodeToString(row.CasePrev[:]))
		record = append(proofs.Record{{Name: "case.prev", Value: prev}}, record...)
	}
	return record
}

// offer puts rows into the pool and waits until they are committed.
func (n *Notary) offer(ctx context.Context, op Operation, rows ...*prepared) (*pending, error) {
	p := &pending{ctx: ctx, op: op, rows: rows, done: make(chan error, 1)}
	if err := n.enter(p); err != nil {
		return nil, err
	}
	select {
	case err := <-p.done:
		return p, err
	case <-ctx.Done():
		// The sequencer may be committing it at this moment. The key tells later.
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
	case <-n.run.Done():
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, ErrStopped)
	}
}

func (n *Notary) enter(p *pending) error {
	n.intake.RLock()
	defer n.intake.RUnlock()
	if n.closing {
		return ErrStopped
	}
	select {
	case n.pool <- p:
		return nil
	default:
		return ErrBusy
	}
}

// discard removes the blob of a row that was certainly not committed. After an
// unknown outcome it stays, and the sweep decides.
func (n *Notary) discard(r *prepared, in *intake, err error) {
	if in.document != nil && !errors.Is(err, ErrUnavailable) {
		n.remove(blobName(r.row.Tenant, r.row.ID))
	}
}

// remove deletes a blob that nothing refers to. If that fails, the sweep does it.
func (n *Notary) remove(name string) {
	ctx, cancel := context.WithTimeout(context.Background(), maxAge)
	defer cancel()
	if err := n.Blobs.Delete(ctx, name); err != nil {
		n.Logger.Warn("an unused blob was left for the sweep", "blob", name, "error", err)
	}
}

// replay answers a key that already stands for a deposit: with its receipt if the
// content is the same.
func (n *Notary) replay(ctx context.Context, in *intake, op Operation) (proofs.Receipt, error) {
	row, err := n.Ledger.Row(ctx, op.First)
	if err != nil {
		return proofs.Receipt{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	o, err := n.unseal(row)
	if err != nil {
		return proofs.Receipt{}, err
	}
	held := in.document != nil
	if held && !in.taken {
		h := sha256.New()
		size, err := io.Copy(h, in.document)
		if err != nil {
			return proofs.Receipt{}, err
		}
		if err := in.read(h.Sum(nil), size); err != nil {
			return proofs.Receipt{}, err
		}
	}
	mac := contentMAC(o.seed, "deposit", in.claims, in.digest, held)
	if !hmac.Equal(mac[:], o.body.content[:]) {
		return proofs.Receipt{}, ErrKeyReused
	}
	v, err := n.published(ctx, row.Index)
	if err != nil {
		return proofs.Receipt{}, &SealingDelayedError{row.ID}
	}
	return n.prove(ctx, v, row.Index, o.entry, o.disclosures)
}

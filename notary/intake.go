package notary

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/proofs/sm"
)

// caseRoom is what case.seq and case.prev may add to the disclosures of a record,
// which are measured before the place in the case is known.
const caseRoom = 256

// intake is one deposit on its way in.
type intake struct {
	tenant    Tenant
	depositor string // what stands in the record for the caller; empty: nothing
	tenantKey TenantKey
	terms     termer
	key       Term
	checks    Checks
	claims    proofs.Record
	received  time.Time
	document  io.Reader // nil: digest only
	taken     bool      // document has been read to its end; digest and size are its own
	digest    proofs.Hash
	sm3       []byte // of the document, where the record is to have it; nil: it is not
	size      int64
	// signatures is what was found of electronic signatures inside the document; nil: it is no PDF.
	signatures *signatureFindings
	// content recognises a retry: the MAC of what the operation deposits, under the
	// seed of its first deposit; nil for the others. It is asked once digest and size
	// are known.
	content func(proofs.Seed) [16]byte
}

// admit checks all that can be checked before a byte is stored.
func (n *Notary) admit(who Principal, d Deposit) (*intake, error) {
	if !who.Role.MayDeposit() {
		return nil, ErrForbidden
	}
	if err := checkKey(d.Key); err != nil {
		return nil, err
	}
	if err := CheckClaims(d.Claims, d.Document != nil); err != nil {
		return nil, err
	}
	tk, err := n.config.TenantKey(who.Tenant.ID)
	if err != nil {
		return nil, n.unavailable(err)
	}
	terms := tk.termer()
	in, err := newIntake(who, tk, terms, terms.term(termKey, d.Key), d.Claims, n.clock.now())
	if err != nil {
		return nil, err
	}
	in.document, in.checks = d.Document, n.config.Checks[who.Tenant.ID]
	if err := in.checks.claims(d.Claims, d.Document != nil); err != nil {
		return nil, err
	}
	in.content = func(seed proofs.Seed) [16]byte {
		return contentMAC(seed, in.claims, in.digest, in.document != nil)
	}
	return in, nil
}

// checkKey refuses what is no idempotency key.
func checkKey(key string) error {
	if len(key) == 0 || len(key) > maxKey || strings.IndexFunc(key, func(r rune) bool { return r < 0x20 || r > 0x7e }) >= 0 {
		return invalid("", "an idempotency key of 1 to %d printable ASCII characters is required", maxKey)
	}
	return nil
}

// newIntake begins a deposit with claims that CheckClaims has passed.
func newIntake(who Principal, tk TenantKey, terms termer, key Term, claims proofs.Record, received time.Time) (*intake, error) {
	in := &intake{tenant: who.Tenant, depositor: who.depositor(), tenantKey: tk, terms: terms, key: key, claims: claims, received: received}
	if claimed, ok := in.text("content.sha256"); ok {
		if _, err := hex.Decode(in.digest[:], []byte(claimed)); err != nil {
			return nil, invalid("content.sha256", "%v", err)
		}
	}
	return in, nil
}

func (in *intake) text(name string) (string, bool) {
	v, _ := in.claims.Get(name)
	return v.Text()
}

// take stores the document, checks the claims about it, and prepares the row: all
// hashing and sealing that needs no place in the log.
func (n *Notary) take(ctx context.Context, in *intake) (*prepared, error) {
	// Nothing is stored of what is wrongly signed, if that can be known before.
	_, announced := in.text("content.sha256")
	if announced {
		if err := in.checkSignature(); err != nil {
			return nil, err
		}
	}
	id, err := NewID(in.received, n.config.Rand)
	if err != nil {
		return nil, err
	}
	var key dataKey
	if _, err := io.ReadFull(n.config.Rand, key[:]); err != nil {
		return nil, err
	}
	r := &prepared{kind: proofs.KindDeposit, row: Row{Tenant: in.tenant.ID, ID: id}}
	held := in.document != nil
	if held {
		if err := n.store(ctx, in, blobName(in.tenant.ID, id), key); err != nil {
			return nil, err
		}
	}
	if !announced {
		err = in.checkSignature()
	}
	if err == nil {
		err = n.describe(r, in, key, held)
	}
	if err != nil {
		n.discard(r, in, err)
		return nil, err
	}
	return r, nil
}

func blobName(tenant, id ID) string { return tenant.String() + "/" + id.String() }

// store streams the document to its blob, encrypted, while hashing it: durable when
// it returns nil, and then what was announced.
func (n *Notary) store(ctx context.Context, in *intake, name string, key dataKey) error {
	defer n.metrics.since(stageStore, time.Now())
	h := in.hashing(n.config.SM3)
	plain := &counter{r: io.TeeReader(in.document, h), most: in.checks.MaxSize, over: in.checks.tooLarge, start: make([]byte, 0, startSize)}
	sealed, err := key.sealDocument(plain)
	if err != nil {
		return err
	}
	if _, err := n.config.Blobs.Put(ctx, name, sealed); err != nil {
		if plain.err != nil {
			return plain.err // the caller's own reader failed: its error, not storage's
		}
		return n.unavailable(err)
	}
	err = in.read(h, plain.n)
	if err == nil {
		err = n.examine(ctx, in, plain.start, name, key)
	}
	if err != nil && !errors.Is(err, ErrUnavailable) {
		n.remove(name)
	}
	return err
}

// hashing are the hashes of a document while it is read.
type hashing struct{ sha256, sm3 hash.Hash } // sm3 nil: it is not asked for

// hashing begins with those that the record is to have, and those that the caller announced.
func (in *intake) hashing(sm3 bool) hashing {
	h := hashing{sha256: sha256.New()}
	if _, claimed := in.text("content.sm3"); claimed || sm3 {
		h.sm3 = sm.New()
	}
	return h
}

// Write implements io.Writer.
func (h hashing) Write(p []byte) (int, error) {
	if h.sm3 != nil {
		_, _ = h.sm3.Write(p)
	}
	return h.sha256.Write(p)
}

// read takes note of what the document turned out to be, and holds the claims
// against it.
func (in *intake) read(h hashing, size int64) error {
	sum := h.sha256.Sum(nil)
	if h.sm3 != nil {
		in.sm3 = h.sm3.Sum(nil)
	}
	if claimed, ok := in.text("content.sha256"); ok && claimed != hex.EncodeToString(sum) {
		return fmt.Errorf("%w: its SHA-256 is %x, announced was %s", ErrDigest, sum, claimed)
	}
	if claimed, ok := in.text("content.sm3"); ok && claimed != hex.EncodeToString(in.sm3) {
		return fmt.Errorf("%w: its SM3 is %x, announced was %s", ErrDigest, in.sm3, claimed)
	}
	if v, ok := in.claims.Get("content.size"); ok {
		if claimed, _ := v.Integer(); claimed != size {
			return fmt.Errorf("%w: it has %d bytes, announced were %d", ErrDigest, size, claimed)
		}
	}
	if most := in.checks.MaxSize; most > 0 && size > most {
		return in.checks.tooLarge()
	}
	in.digest, in.size, in.taken = proofs.Hash(sum), size, true
	return nil
}

// startSize is how much of a document is kept to find out what it is, in bytes.
const startSize = 1024

// counter counts what is read, keeps its start, and remembers how reading failed: also that it
// is too much.
type counter struct {
	r    io.Reader
	n    int64
	most int64 // bytes; 0: no bound
	over func() error
	err  error
	// start are the first bytes, as many as it has room for.
	start []byte
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.start = append(c.start, p[:min(n, cap(c.start)-len(c.start))]...)
	if c.n += int64(n); c.most > 0 && c.n > c.most {
		err = c.over()
	}
	if err != nil && !errors.Is(err, io.EOF) {
		c.err = err
	}
	return n, err
}

// describe makes the record, its disclosures and look-up terms, and seals it.
func (n *Notary) describe(r *prepared, in *intake, key dataKey, held bool) error {
	if held {
		r.bytes = uint64(in.size)
	}
	keys := key.rowKeys()
	r.discloser = proofs.NewDiscloser(keys.seed)
	record, err := r.disclose(in, held, false)
	if err != nil && in.signatures != nil { // what was found in the document may be said shorter
		record, err = r.disclose(in, held, true)
	}
	if err != nil {
		return err
	}
	r.terms, r.contract = in.terms.terms(record)
	b := body{record: record}
	if in.content != nil {
		b.intent = &intent{in.key, in.content(keys.seed)}
	}
	r.row.Body = b.seal(keys, in.tenant.ID, r.row.ID)
	r.row.Secrets, err = sealSecrets(in.tenantKey, in.tenant.ID, r.row.ID, key, n.config.Rand)
	return err
}

// disclose makes the record and its disclosures, if they fit into a receipt.
func (r *prepared) disclose(in *intake, held, brief bool) (proofs.Record, error) {
	record, err := in.record(r.row.ID, held, brief)
	if err != nil {
		return nil, err
	}
	r.disclosures = r.discloser.Append(make([]proofs.Disclosure, 0, len(record)), record)
	return record, fits(r.disclosures)
}

// record is what the deposit says, the caller's claims and ours, without the place
// in the case; brief where what was found in the document has no room.
func (in *intake) record(id ID, held, brief bool) (proofs.Record, error) {
	members := slices.DeleteFunc(slices.Clone(in.claims), func(m proofs.Member) bool {
		return m.Name == "content.sha256" || held && (m.Name == "content.size" || m.Name == "content.sm3")
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
	if in.tenant.Verified != "" {
		text("tenant.verified", in.tenant.Verified)
		text("tenant.verified.by", in.tenant.VerifiedBy)
	}
	if in.depositor != "" {
		text("depositor.name", in.depositor)
	}
	members = append(members, in.signatureMembers()...)
	found, e := in.signatures.members(brief)
	members, err = append(members, found...), errors.Join(err, e)
	text("content.sha256", hex.EncodeToString(in.digest[:]))
	add("content.held", proofs.Boolean(held), nil)
	if held {
		v, e := proofs.Integer(in.size)
		add("content.size", v, e)
		if in.sm3 != nil {
			text("content.sm3", hex.EncodeToString(in.sm3))
		}
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
func (t termer) terms(record proofs.Record) (terms []Term, contract *Term) {
	if opened := openedBy(record); opened != "" {
		terms = append(terms, t.term(termGrant, opened))
		if _, revokes := record.Get("grant.revokes"); !revokes {
			terms = append(terms, t.term(termGrants, ""))
		}
	}
	for _, m := range record {
		text, _ := m.Value.Text()
		switch {
		case m.Name == "content.sha256":
			terms = append(terms, t.term(termSHA256, text))
		case m.Name == "content.sm3":
			terms = append(terms, t.term(termSM3, text))
		case m.Name == "contract.number":
			number := t.term(termContract, text)
			terms, contract = append(terms, number), &number
		case m.Name == "depositor.name":
			terms = append(terms, t.term(termDepositor, text))
		case m.Name == "notice.deposit":
			terms = append(terms, t.term(termNotice, text))
		case m.Name == "notice.act":
			terms = append(terms, t.listed(text)...)
		case m.Name == "approval.list":
			terms = append(terms, t.term(termApprovers, ""))
		case m.Name == "trail.date":
			terms = append(terms, trailTerms(t, text)...)
		case strings.HasPrefix(m.Name, termLabel):
			terms = append(terms, t.term(m.Name, text))
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

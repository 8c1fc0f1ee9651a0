package notary

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/muniment/muniment/proofs"
)

// What becomes of a deposit after it was made, a hold, its release, an erasure, is said by
// entries of kind notice, so that nobody can say it otherwise later. The notices of one
// deposit are in an order: each takes the next turn, under the lock of the head, so that
// whoever decides by what was said before knows all of it.

// Act is what a notice says.
type Act string

const (
	ActHold    Act = "hold"          // the deposit must not be erased while the matter is open
	ActRelease Act = "release"       // the matter is closed
	ActAsk     Act = "erasure-asked" // by one; another must confirm it
	ActErase   Act = "erasure"       // its private part is destroyed
)

// Notice is what a caller asks to be noted of a deposit.
type Notice struct {
	Key     string // idempotency key, as in Deposit
	Act     Act    // ActHold, ActRelease or ActErase
	Deposit ID
	// Matter names the proceedings of a hold or release, 1 to 200 characters; of an erasure
	// the lawful order, without which none is done before retention ends. May be empty there.
	Matter string
	Reason string    // 1 to 1,000 characters
	Until  time.Time // as in Deposit
}

// Noted is a notice as it stands in the log.
type Noted struct {
	ID     ID
	Index  uint64
	Time   time.Time
	Act    Act
	Matter string
	Reason string
	By     string // the caller
}

// Standing is what the notices of a deposit come to.
type Standing struct {
	Deposit ID
	Index   uint64
	Time    time.Time // of the deposit's entry
	Notices []Noted   // in their order
	Matters []string  // under which it is held now
	Asked   *Noted    // an erasure that waits for another caller to confirm it
	Erased  *Noted
	// Until is until when the deposit is kept at least; zero: no term was set.
	Until time.Time
}

const (
	maxMatter = 200
	maxReason = 1000
	// maxNotices bounds the notices of one deposit.
	maxNotices = 1000
	// AskedFor is for how long an erasure that was asked for can be confirmed.
	AskedFor = 30 * 24 * time.Hour
)

var (
	// ErrHeld: the deposit is under a hold, or its term has not ended.
	ErrHeld = errors.New("the deposit must be kept")
	// ErrNoHold: there is no hold under that matter.
	ErrNoHold = errors.New("the deposit is not held under that matter")
)

// HeldError is an ErrHeld with what keeps the deposit.
type HeldError struct {
	Matters []string
	Until   time.Time
}

func (e *HeldError) Error() string {
	if len(e.Matters) > 0 {
		return fmt.Sprintf("%v: it is held under %q", ErrHeld, e.Matters)
	}
	return fmt.Sprintf("%v until %s", ErrHeld, proofs.FormatTime(e.Until))
}
func (e *HeldError) Unwrap() error { return ErrHeld }

// Families of the terms of notices.
const (
	termNotice = "notice" // of a deposit's id
	termTurn   = "turn"   // of a deposit's id and the number of the notice; see also termGrantTurn
)

// Notices returns how a deposit stands that is the principal's to read.
func (n *Notary) Notices(ctx context.Context, who Principal, id ID) (Standing, error) {
	tenant, err := who.reads()
	if err != nil {
		return Standing{}, err
	}
	row, err := n.deposited(ctx, tenant, id)
	if err != nil {
		return Standing{}, err
	}
	if who.Role == Court {
		o, _ := n.unseal(row) // nil: what it is of is not known any more
		if err := n.admits(ctx, who, row, o); err != nil {
			return Standing{}, err
		}
	}
	return n.standing(ctx, row)
}

// Erasure returns the best receipt, as Receipt does, of the notice by which a deposit was
// erased that is the principal's to read. ErrNotFound: it was not erased.
func (n *Notary) Erasure(ctx context.Context, who Principal, id ID) (proofs.Receipt, error) {
	s, err := n.Notices(ctx, who, id) // who may see how it stands may see why
	if err != nil {
		return proofs.Receipt{}, err
	}
	if s.Erased == nil {
		return proofs.Receipt{}, ErrNotFound
	}
	row, err := n.config.Ledger.Row(ctx, s.Erased.Index)
	if err != nil {
		return proofs.Receipt{}, n.unavailable(err)
	}
	o, err := n.unseal(row)
	if err != nil {
		return proofs.Receipt{}, err
	}
	return n.receiptOf(ctx, o, true, false)
}

// deposited returns the row of a tenant's deposit, erased or not.
func (n *Notary) deposited(ctx context.Context, tenant, id ID) (Row, error) {
	row, err := n.config.Ledger.Deposit(ctx, tenant, id)
	if errors.Is(err, ErrNotFound) {
		return Row{}, ErrNotFound
	}
	if err != nil {
		return Row{}, n.unavailable(err)
	}
	entry, err := proofs.ParseEntry(string(row.Entry))
	if err != nil {
		return Row{}, fmt.Errorf("%w: entry %d: %w", ErrDamaged, row.Index, err)
	}
	if entry.Kind != proofs.KindDeposit {
		return Row{}, ErrNotFound
	}
	return row, nil
}

// standing reads the notices of a deposit.
func (n *Notary) standing(ctx context.Context, row Row) (Standing, error) {
	s := Standing{Deposit: row.ID, Index: row.Index}
	entry, err := proofs.ParseEntry(string(row.Entry))
	if err != nil {
		return s, fmt.Errorf("%w: entry %d: %w", ErrDamaged, row.Index, err)
	}
	s.Time = entry.Time
	if o, err := n.unseal(row); err == nil {
		s.Until = n.keptUntil(o)
	} else if !errors.Is(err, ErrErased) {
		return s, err
	}
	tk, err := n.config.TenantKey(row.Tenant)
	if err != nil {
		return s, n.unavailable(err)
	}
	term := tk.termer().term(termNotice, row.ID.String())
	rows, err := n.config.Ledger.Deposits(ctx, Query{Tenant: row.Tenant, Term: &term, From: row.Index, Limit: maxNotices})
	if err != nil {
		return s, n.unavailable(err)
	}
	for _, r := range rows {
		o, err := n.unseal(r)
		if err != nil {
			return s, err
		}
		s.add(o)
	}
	if s.Asked != nil && s.Asked.lapsed(n.clock.now()) {
		s.Asked = nil
	}
	return s, nil
}

// lapsed reports whether an erasure was asked for so long ago that nobody can confirm it.
func (n *Noted) lapsed(now time.Time) bool { return !now.Before(n.Time.Add(AskedFor)) }

// add takes one more notice into account.
func (s *Standing) add(o *opened) {
	noted := o.noted()
	s.Notices = append(s.Notices, noted)
	switch noted.Act {
	case ActHold:
		if !slices.Contains(s.Matters, noted.Matter) {
			s.Matters = append(s.Matters, noted.Matter)
		}
		s.Asked = nil // who asked did not know of it
	case ActRelease:
		s.Matters = slices.DeleteFunc(s.Matters, func(m string) bool { return m == noted.Matter })
	case ActAsk:
		s.Asked = &noted
	case ActErase:
		s.Erased, s.Asked = &noted, nil
	}
}

// decide says what a notice comes to after those before, or why it cannot be.
func (s *Standing) decide(who Principal, want Notice, now time.Time) (Act, error) {
	switch {
	case s.Erased != nil:
		return "", ErrErased
	case want.Act == ActHold:
		return ActHold, nil
	case want.Act == ActRelease && !slices.Contains(s.Matters, want.Matter):
		return "", ErrNoHold
	case want.Act == ActRelease:
		return ActRelease, nil
	case len(s.Matters) > 0:
		return "", &HeldError{Matters: s.Matters}
	case want.Matter == "" && now.Before(s.Until):
		return "", &HeldError{Until: s.Until}
	case s.Asked != nil && s.Asked.By != who.Caller && s.Asked.Matter == want.Matter && !s.Asked.lapsed(now):
		return ActErase, nil
	}
	return ActAsk, nil
}

// Note adds a notice to one of the principal's deposits and returns its receipt, and how
// the deposit stands then. Of an erasure the first call is kept as a request; a second one
// by another caller, of the same order, within AskedFor, destroys the private part: on
// return with Standing.Erased it is destroyed wherever this depository keeps it. The key
// stands for the notice as in Deposit.
func (n *Notary) Note(ctx context.Context, who Principal, want Notice) (proofs.Receipt, Standing, error) {
	row, tk, err := n.admitNotice(ctx, who, want)
	if err != nil {
		return proofs.Receipt{}, Standing{}, err
	}
	key := tk.termer().term(termKey, want.Key)
	op, err := n.config.Ledger.Operation(ctx, who.Tenant.ID, key)
	switch {
	case err == nil:
		return n.replayNotice(ctx, want, row, op)
	case !errors.Is(err, ErrNotFound):
		return proofs.Receipt{}, Standing{}, n.unavailable(err)
	}
	if err := n.open(); err != nil {
		return proofs.Receipt{}, Standing{}, err
	}
	if !n.begin(who.Tenant.ID) {
		return proofs.Receipt{}, Standing{}, ErrBusy
	}
	defer n.end(who.Tenant.ID)
	for last := -1; ; {
		s, err := n.standing(ctx, row)
		if err == nil && len(s.Notices) == last {
			err = turnTaken(row.ID.String())
		}
		if err != nil {
			return proofs.Receipt{}, s, err
		}
		last = len(s.Notices)
		if last >= maxNotices {
			return proofs.Receipt{}, s, invalid("", "the deposit has %d notices, and may not have more", maxNotices)
		}
		act, err := s.decide(who, want, n.clock.now())
		if err != nil {
			return proofs.Receipt{}, s, err
		}
		r, err := n.notice(who, tk, want, act, row, &s)
		if err != nil {
			return proofs.Receipt{}, s, err
		}
		turn := tk.termer().term(termTurn, row.ID.String()+" "+strconv.Itoa(len(s.Notices)))
		p, err := n.offerTurn(ctx, Operation{Tenant: who.Tenant.ID, Key: key}, turn, r)
		switch {
		case err != nil:
			return proofs.Receipt{}, s, err
		case p.again: // two calls raced with one key
			return n.replayNotice(ctx, want, row, p.op)
		case p.beaten: // another notice was faster, and may change what this one comes to
			continue
		}
		return n.noted(ctx, want, row, act, r.placed())
	}
}

// turnTaken is the damage that a turn is taken of which no notice tells: whoever waited for
// that notice would wait for ever.
func turnTaken(what string) error {
	return fmt.Errorf("%w: the next turn of %s is taken, and there is no notice that took it", ErrDamaged, what)
}

func (n *Notary) admitNotice(ctx context.Context, who Principal, want Notice) (Row, TenantKey, error) {
	if !who.Role.MayKeep() {
		return Row{}, TenantKey{}, ErrForbidden
	}
	if err := checkKey(want.Key); err != nil {
		return Row{}, TenantKey{}, err
	}
	if err := want.check(); err != nil {
		return Row{}, TenantKey{}, err
	}
	tk, err := n.config.TenantKey(who.Tenant.ID)
	if err != nil {
		return Row{}, TenantKey{}, n.unavailable(err)
	}
	row, err := n.deposited(ctx, who.Tenant.ID, want.Deposit)
	return row, tk, err
}

// check refuses what cannot be noted.
func (want Notice) check() error {
	for _, text := range []struct {
		name, value string
		least, most int
	}{{"matter", want.Matter, 1, maxMatter}, {"reason", want.Reason, 1, maxReason}} {
		if text.name == "matter" && want.Act == ActErase {
			text.least = 0
		}
		if _, err := proofs.Text(text.value); err != nil {
			return invalid(text.name, "%v", err)
		}
		if c := utf8.RuneCountInString(text.value); c < text.least || c > text.most {
			return invalid(text.name, "must have %d to %d characters", text.least, text.most)
		}
	}
	return nil
}

// notice prepares the entry of a notice.
func (n *Notary) notice(who Principal, tk TenantKey, want Notice, act Act, row Row, s *Standing) (*prepared, error) {
	texts := map[string]string{
		"notice.act": string(act), "notice.deposit": row.ID.String(), "notice.leaf": proofs.LeafHash(row.Entry).String(), "notice.reason": want.Reason,
	}
	if want.Matter != "" {
		texts["notice.matter"] = want.Matter
	}
	if act == ActErase {
		texts["notice.asked"] = s.Asked.ID.String()
	}
	key := tk.termer().term(termKey, want.Key)
	return n.noticeOf(who, tk, texts, "notice.index", row.Index, func(seed proofs.Seed) *intent { return &intent{key, want.content(seed)} })
}

// noticeOf prepares an entry of kind notice by the principal: these texts, one integer, and
// what stands in all of them.
func (n *Notary) noticeOf(who Principal, tk TenantKey, texts map[string]string, name string, number uint64, intended func(proofs.Seed) *intent) (*prepared, error) {
	received := n.clock.now()
	id, err := NewID(received, n.config.Rand)
	if err != nil {
		return nil, err
	}
	var key dataKey
	if _, err := io.ReadFull(n.config.Rand, key[:]); err != nil {
		return nil, err
	}
	texts["id"], texts["tenant.name"], texts["notice.by"], texts["provenance.received"] = id.String(), who.Tenant.Name, who.Caller, proofs.FormatTime(received)
	integer, err := proofs.Integer(int64(number))
	members := []proofs.Member{{Name: name, Value: integer}}
	for name, text := range texts {
		v, bad := proofs.Text(text)
		err = errors.Join(err, bad)
		members = append(members, proofs.Member{Name: name, Value: v})
	}
	if err != nil {
		return nil, err
	}
	record, err := proofs.NewRecord(members...)
	if err != nil {
		return nil, err
	}
	keys := key.rowKeys()
	r := &prepared{kind: proofs.KindNotice, row: Row{Tenant: who.Tenant.ID, ID: id}, disclosures: record.Disclose(keys.seed)}
	r.terms, _ = tk.termer().terms(record)
	b := body{record: record, intent: intended(keys.seed)}
	r.row.Body = b.seal(keys, who.Tenant.ID, id)
	r.row.Secrets, err = sealSecrets(tk, who.Tenant.ID, id, key, n.config.Rand)
	return r, err
}

// content recognises the retry of a notice, as contentMAC does that of a deposit.
func (want Notice) content(seed proofs.Seed) [16]byte {
	mac := hmac.New(sha256.New, seed[:])
	fmt.Fprintf(mac, "muniment/content@v1\nnotice %s\n%s\n%q\n%q\n", want.Act, want.Deposit, want.Matter, want.Reason)
	return [16]byte(mac.Sum(nil)[:16])
}

// replayNotice answers a key that already stands for something.
func (n *Notary) replayNotice(ctx context.Context, want Notice, row Row, op Operation) (proofs.Receipt, Standing, error) {
	noted, err := n.config.Ledger.Row(ctx, op.First)
	if err != nil {
		return proofs.Receipt{}, Standing{}, n.unavailable(err)
	}
	o, err := n.unseal(noted)
	if err != nil {
		return proofs.Receipt{}, Standing{}, err
	}
	if !o.intended(want.content(o.seed)) {
		return proofs.Receipt{}, Standing{}, ErrKeyReused
	}
	n.metrics.replays.Inc()
	return n.noted(ctx, want, row, Act(o.text("notice.act")), placed{noted.ID, noted.Index, o.entry, o.disclosures})
}

// noted does what a committed notice says, once it is published.
func (n *Notary) noted(ctx context.Context, want Notice, row Row, act Act, at placed) (proofs.Receipt, Standing, error) {
	patient, cancel := until(ctx, want.Until)
	defer cancel()
	v, err := n.published(patient, at.index, false)
	if err != nil {
		return proofs.Receipt{}, Standing{}, n.delayed(at.id, at.index, false)
	}
	receipt, err := n.prove(ctx, v, at.index, at.entry, at.disclosures)
	if err != nil {
		return proofs.Receipt{}, Standing{}, err
	}
	switch act {
	case ActErase:
		err = n.destroy(ctx, row)
	case ActHold, ActRelease:
		err = n.holdDocument(ctx, row)
	}
	s, unread := n.standing(ctx, row)
	return receipt, s, errors.Join(err, unread)
}

// holdDocument puts the document of a deposit under legal hold, or takes it from there, as
// its notices say. It may be done again, and is by the scrubber, since the store may be away
// when a notice is published. A notice that comes meanwhile is obeyed too, so that of two
// that are carried out at once the newer stands.
func (n *Notary) holdDocument(ctx context.Context, row Row) error {
	held := func() (on, erased bool, err error) {
		s, err := n.standing(ctx, row)
		return len(s.Matters) > 0, s.Erased != nil, err
	}
	on, erased, err := held()
	for err == nil && !erased {
		err := n.config.Blobs.Hold(ctx, blobName(row.Tenant, row.ID), on)
		if errors.Is(err, ErrNotFound) { // a digest alone has no document
			return nil
		}
		if err != nil {
			return n.unavailable(err)
		}
		was := on
		if on, erased, err = held(); err != nil || on == was {
			return err
		}
	}
	return err
}

// holdAgain is holdDocument for the deposit of a notice that was read from the log.
func (n *Notary) holdAgain(ctx context.Context, notice *opened) error {
	if act := Act(notice.text("notice.act")); act != ActHold && act != ActRelease {
		return nil
	}
	id, err := ParseID(notice.text("notice.deposit"))
	if err != nil {
		return fmt.Errorf("%w: the notice of entry %d names no deposit", ErrDamaged, notice.row.Index)
	}
	row, err := n.deposited(ctx, notice.row.Tenant, id)
	if err != nil || isLost(row) {
		return err
	}
	return n.holdDocument(ctx, row)
}

package notary

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/muniment/muniment/proofs"
)

// That a case or a deposit was opened to a court, until when, and that it was shut again, is
// said by entries of kind notice: so it is proved who could read what when, and stays known
// wherever the log goes. A grant names the deposit, and a case by the keyed digest that also
// stands in the look-up tables, never by its number: once the deposits are erased, nothing
// says what it was.
//
// A link is a grant to whoever bears its secret, which comes from the data key of the
// grant's own row as a deposit's seed does. Nothing of it is stored, and a retry of the
// request gets the same one.

// Acts of grants.
const (
	ActGrant  Act = "grant"
	ActRevoke Act = "revocation"
)

// Opening is what a caller asks to be opened to a court.
type Opening struct {
	Key string // idempotency key, as in Deposit
	// Contract is the number of the case; empty: Deposit alone is opened.
	Contract string
	Deposit  ID
	// To is a court: all callers of the role court that this tenant has. Zero: a link is made.
	To     ID
	Ends   time.Time // at most MaxGrant away, of a link MaxLink
	Matter string    // names the proceedings, at most 200 characters; may be empty
	Reason string    // 1 to 1,000 characters
	Until  time.Time // as in Deposit
}

// Grant is an opening as it stands in the log.
type Grant struct {
	Noted
	Tenant   ID
	Contract string // of the case; empty: it is of Deposit alone, or nothing says any more
	Case     bool   // a case is opened
	Deposit  ID     // of a case its first
	To       ID     // zero: whoever has the link
	Ends     time.Time
	Revoked  *Noted
}

// Open reports whether the grant is in force.
func (g *Grant) Open(now time.Time) bool { return g.Revoked == nil && now.Before(g.Ends) }

// opens reports whether the grant is what a caller comes by.
func (g *Grant) opens(who Principal, now time.Time) bool {
	mine := g.ID == who.Grant
	if who.Grant == (ID{}) {
		mine = g.To != (ID{}) && g.To == who.Tenant.ID
	}
	return mine && g.Open(now)
}

// Granted is the answer to a grant or a revocation.
type Granted struct {
	Grant
	Receipt proofs.Receipt // of the notice
	Link    *Link          // of a grant without a court
}

// Link is what the bearer of a link shows.
type Link struct {
	Tenant, Grant ID
	Secret        [32]byte
}

const (
	// MaxGrant is for how long a court may be let in at a time.
	MaxGrant = 3660 * 24 * time.Hour
	// MaxLink is for how long a link may hold.
	MaxLink = 366 * 24 * time.Hour
	// MaxGrants is how many grants of one case, or of one deposit, may be in force.
	MaxGrants = 100
)

// Families of the terms of grants.
const (
	termGrant      = "grant"      // of what is opened: openedBy
	termGrants     = "grants"     // of nothing: all grants of a tenant
	termRevocation = "revocation" // of a grant's id: it is revoked once
	// termGrantTurn is of what is opened and the number of the grant or revocation. Turns of
	// grants are apart from those of notices, which count nothing of each other.
	termGrantTurn = "grant-turn"
)

// openedBy says what the record of a grant or of a revocation is about; empty: it is neither.
func openedBy(record proofs.Record) string {
	for _, name := range []string{"grant.case", "grant.deposit"} {
		if v, there := record.Get(name); there {
			text, _ := v.Text()
			return text
		}
	}
	return ""
}

// openedCase is what openedBy says of the grants of a case.
func (t termer) openedCase(contract string) string {
	digest := t.term(termContract, contract)
	return hex.EncodeToString(digest[:])
}

// admits reports whether a row was opened to the court that reads it: ErrNotFound if it was
// not. Who is no court reads all that Principal.reads lets it. o is the row opened; nil: it
// cannot be, and only a grant of the deposit itself tells.
func (n *Notary) admits(ctx context.Context, who Principal, row Row, o *opened) error {
	if who.Role != Court {
		return nil
	}
	err := n.admitsTo(ctx, who, row.Tenant, row.ID.String())
	if !errors.Is(err, ErrNotFound) || o == nil || o.text("contract.number") == "" {
		return err
	}
	return n.admitsCase(ctx, who, row.Tenant, o.text("contract.number"))
}

// admitsCase is admits for a case.
func (n *Notary) admitsCase(ctx context.Context, who Principal, tenant ID, contract string) error {
	if who.Role != Court {
		return nil
	}
	tk, err := n.config.TenantKey(tenant)
	if err != nil {
		return n.unavailable(err)
	}
	return n.admitsTo(ctx, who, tenant, tk.termer().openedCase(contract))
}

func (n *Notary) admitsTo(ctx context.Context, who Principal, tenant ID, what string) error {
	grants, _, err := n.grantsOf(ctx, tenant, what)
	if err != nil {
		return err
	}
	now := n.clock.now()
	for i := range grants {
		if grants[i].opens(who, now) {
			return nil
		}
	}
	return ErrNotFound
}

// grantsOf returns the grants of what is opened, in their order, and how many notices of it
// there are with the revocations.
func (n *Notary) grantsOf(ctx context.Context, tenant ID, what string) (grants []Grant, notices int, err error) {
	tk, err := n.config.TenantKey(tenant)
	if err != nil {
		return nil, 0, n.unavailable(err)
	}
	term := tk.termer().term(termGrant, what)
	rows, err := n.config.Ledger.Deposits(ctx, Query{Tenant: tenant, Term: &term, Limit: maxNotices})
	if err != nil {
		return nil, 0, n.unavailable(err)
	}
	for _, r := range rows {
		o, err := n.unseal(r)
		if err != nil {
			return nil, 0, err
		}
		if revoked, is := o.record.Get("grant.revokes"); is {
			id, _ := revoked.Text()
			for i := range grants {
				if grants[i].ID.String() == id {
					noted := o.noted()
					grants[i].Revoked = &noted
				}
			}
			continue
		}
		g, err := grantOf(o)
		if err != nil {
			return nil, 0, err
		}
		grants = append(grants, g)
	}
	return grants, len(rows), nil
}

// noted reads what all notices have.
func (o *opened) noted() Noted {
	return Noted{
		ID: o.row.ID, Index: o.row.Index, Time: o.entry.Time, Act: Act(o.text("notice.act")),
		Matter: o.text("notice.matter"), Reason: o.text("notice.reason"), By: o.text("notice.by"),
	}
}

func grantOf(o *opened) (Grant, error) {
	g := Grant{Noted: o.noted(), Tenant: o.row.Tenant, Case: o.text("grant.case") != ""}
	var err, bad, wrong error
	g.Deposit, err = ParseID(o.text("grant.deposit"))
	g.Ends, bad = proofs.ParseTime(o.text("grant.until"))
	if to := o.text("grant.to"); to != "" {
		g.To, wrong = ParseID(to)
	}
	if err := errors.Join(err, bad, wrong); err != nil || g.Act != ActGrant {
		return g, fmt.Errorf("%w: the grant at entry %d cannot be read", ErrDamaged, o.row.Index)
	}
	return g, nil
}

// check refuses what cannot be opened. Its end is judged when it is written: a retry may
// come later.
func (want Opening) check() error {
	if (want.Contract == "") == (want.Deposit == ID{}) {
		return invalid("", "open a case or a deposit")
	}
	return Notice{Act: ActErase, Matter: want.Matter, Reason: want.Reason}.check() // a matter may be left out
}

func (want Opening) checkEnd(now time.Time) error {
	most := MaxGrant
	if want.To == (ID{}) {
		most = MaxLink
	}
	if !want.Ends.After(now) || want.Ends.Sub(now) > most {
		return invalid("until", "must be a time from now on, and at most %d days away", most/(24*time.Hour))
	}
	return nil
}

// content recognises the retry of a grant, as contentMAC does that of a deposit.
func (want Opening) content(seed proofs.Seed, what string) [16]byte {
	mac := hmac.New(sha256.New, seed[:])
	fmt.Fprintf(mac, "muniment/content@v1\ngrant %s %s %s\n%q\n%q\n", what, want.To, proofs.FormatTime(want.Ends), want.Matter, want.Reason)
	return [16]byte(mac.Sum(nil)[:16])
}

// Grant opens one of the principal's cases or deposits to a court, or makes a link to it, and
// returns what it came to once its notice is published. The key stands for it as in Deposit.
func (n *Notary) Grant(ctx context.Context, who Principal, want Opening) (Granted, error) {
	if !who.Role.MayKeep() {
		return Granted{}, ErrForbidden
	}
	if err := checkKey(want.Key); err != nil {
		return Granted{}, err
	}
	if err := want.check(); err != nil {
		return Granted{}, err
	}
	tk, err := n.config.TenantKey(who.Tenant.ID)
	if err != nil {
		return Granted{}, n.unavailable(err)
	}
	what := want.Deposit.String()
	if want.Contract != "" {
		what = tk.termer().openedCase(want.Contract)
	}
	key := tk.termer().term(termKey, want.Key)
	op, err := n.config.Ledger.Operation(ctx, who.Tenant.ID, key)
	if errors.Is(err, ErrNotFound) {
		op, err = n.writeGrant(ctx, who, tk, key, what, func(before []Grant) (*prepared, error) { return n.prepareGrant(ctx, who, tk, want, what, before) })
	} else if err != nil {
		err = n.unavailable(err)
	}
	if err != nil {
		return Granted{}, err
	}
	return n.granted(ctx, who.Tenant.ID, op, want.Until, func(o *opened) bool { return o.intended(want.content(o.seed, what)) })
}

// Revoke ends one of the principal's grants, from the moment on at which its notice is
// written. To revoke again changes nothing.
func (n *Notary) Revoke(ctx context.Context, who Principal, id ID, until time.Time) (Granted, error) {
	if !who.Role.MayKeep() {
		return Granted{}, ErrForbidden
	}
	tk, err := n.config.TenantKey(who.Tenant.ID)
	if err != nil {
		return Granted{}, n.unavailable(err)
	}
	o, err := n.grantRow(ctx, who.Tenant.ID, id)
	if err != nil {
		return Granted{}, err
	}
	what := openedBy(o.record)
	key := tk.termer().term(termRevocation, id.String())
	op, err := n.config.Ledger.Operation(ctx, who.Tenant.ID, key)
	if errors.Is(err, ErrNotFound) {
		op, err = n.writeGrant(ctx, who, tk, key, what, func([]Grant) (*prepared, error) { return n.prepareRevocation(who, tk, key, o) })
	} else if err != nil {
		err = n.unavailable(err)
	}
	if err != nil {
		return Granted{}, err
	}
	return n.granted(ctx, who.Tenant.ID, op, until, func(*opened) bool { return true })
}

// writeGrant commits the notice that prepare makes after those before, all of which it
// knows: each takes a turn.
func (n *Notary) writeGrant(ctx context.Context, who Principal, tk TenantKey, key Term, what string, prepare func(before []Grant) (*prepared, error)) (Operation, error) {
	if err := n.open(); err != nil {
		return Operation{}, err
	}
	if !n.begin(who.Tenant.ID) {
		return Operation{}, ErrBusy
	}
	defer n.end(who.Tenant.ID)
	for last := -1; ; {
		before, notices, err := n.grantsOf(ctx, who.Tenant.ID, what)
		if err == nil && notices == last {
			err = turnTaken(what)
		}
		if err != nil {
			return Operation{}, err
		}
		last = notices
		if notices >= maxNotices {
			return Operation{}, invalid("", "it was opened and shut %d times, and may not be more often", notices)
		}
		r, err := prepare(before)
		if err != nil {
			return Operation{}, err
		}
		turn := tk.termer().term(termGrantTurn, what+" "+strconv.Itoa(notices))
		p, err := n.offerTurn(ctx, Operation{Tenant: who.Tenant.ID, Key: key}, turn, r)
		switch {
		case err != nil:
			return Operation{}, err
		case p.again: // two calls raced with one key
			return p.op, nil
		case p.beaten: // another notice was faster
			continue
		}
		return Operation{Tenant: who.Tenant.ID, Key: key, First: r.row.Index, Count: 1}, nil
	}
}

func (n *Notary) prepareGrant(ctx context.Context, who Principal, tk TenantKey, want Opening, what string, before []Grant) (*prepared, error) {
	now := n.clock.now()
	if err := want.checkEnd(now); err != nil {
		return nil, err
	}
	open := 0
	for i := range before {
		if before[i].Open(now) {
			open++
		}
	}
	if open >= MaxGrants {
		return nil, invalid("", "%d grants of it are in force, and there may not be more; revoke one", open)
	}
	row, err := n.toBeOpened(ctx, who.Tenant.ID, tk, want)
	if err != nil {
		return nil, err
	}
	texts := map[string]string{
		"notice.act": string(ActGrant), "notice.reason": want.Reason, "grant.deposit": row.ID.String(),
		"grant.leaf": proofs.LeafHash(row.Entry).String(), "grant.until": proofs.FormatTime(want.Ends),
	}
	if want.Matter != "" {
		texts["notice.matter"] = want.Matter
	}
	if want.Contract != "" {
		texts["grant.case"] = what
	}
	if want.To != (ID{}) {
		texts["grant.to"] = want.To.String()
	}
	key := tk.termer().term(termKey, want.Key)
	return n.noticeOf(who, tk, texts, "grant.index", row.Index, func(seed proofs.Seed) *intent { return &intent{key, want.content(seed, what)} })
}

func (n *Notary) prepareRevocation(who Principal, tk TenantKey, key Term, o *opened) (*prepared, error) {
	texts := map[string]string{"notice.act": string(ActRevoke), "grant.revokes": o.row.ID.String(), "grant.deposit": o.text("grant.deposit")}
	if digest := o.text("grant.case"); digest != "" {
		texts["grant.case"] = digest
	}
	v, _ := o.record.Get("grant.index")
	index, _ := v.Integer()
	return n.noticeOf(who, tk, texts, "grant.index", uint64(index), func(proofs.Seed) *intent { return &intent{key: key} })
}

// toBeOpened returns the deposit that a grant names: of a case the first that is there.
func (n *Notary) toBeOpened(ctx context.Context, tenant ID, tk TenantKey, want Opening) (Row, error) {
	if want.Contract == "" {
		row, err := n.deposited(ctx, tenant, want.Deposit)
		if err == nil {
			_, err = n.unseal(row) // one that was erased cannot be read by anyone
		}
		return row, err
	}
	term := tk.termer().term(termContract, want.Contract)
	rows, err := n.config.Ledger.Deposits(ctx, Query{Tenant: tenant, Term: &term, Limit: 1})
	if err != nil {
		return Row{}, n.unavailable(err)
	}
	if len(rows) == 0 {
		return Row{}, ErrNotFound
	}
	return rows[0], nil
}

// granted answers for a notice of a grant that is committed, once it is published. same
// reports whether it is what the caller asks for.
func (n *Notary) granted(ctx context.Context, tenant ID, op Operation, patience time.Time, same func(*opened) bool) (Granted, error) {
	row, err := n.config.Ledger.Row(ctx, op.First)
	if err != nil {
		return Granted{}, n.unavailable(err)
	}
	o, err := n.unseal(row)
	if err != nil {
		return Granted{}, err
	}
	if row.Tenant != tenant || openedBy(o.record) == "" || !same(o) {
		return Granted{}, ErrKeyReused
	}
	patient, cancel := until(ctx, patience)
	defer cancel()
	v, err := n.published(patient, row.Index, false)
	if err != nil {
		return Granted{}, n.delayed(row.ID, row.Index, false)
	}
	out := Granted{}
	if out.Receipt, err = n.prove(ctx, v, row.Index, o.entry, o.disclosures); err != nil {
		return Granted{}, err
	}
	id := o.text("grant.revokes")
	if id == "" {
		id = row.ID.String()
	}
	grants, _, err := n.grantsOf(ctx, tenant, openedBy(o.record))
	for _, g := range grants {
		if g.ID.String() == id {
			out.Grant = g
		}
	}
	if err == nil {
		err = n.nameCase(ctx, &out.Grant, openedBy(o.record))
	}
	if Act(o.text("notice.act")) == ActGrant && out.To == (ID{}) {
		out.Link = o.link()
	}
	return out, err
}

// link is what the bearer of a link shows for the grant.
func (o *opened) link() *Link {
	return &Link{o.row.Tenant, o.row.ID, [32]byte(o.key.derive("link", 32))}
}

// nameCase finds the contract number of the case that a grant opened, which the grant does
// not say. It stays empty when no deposit of the case is left.
func (n *Notary) nameCase(ctx context.Context, g *Grant, what string) error {
	var digest Term
	if raw, err := hex.DecodeString(what); !g.Case || err != nil || copy(digest[:], raw) != len(digest) {
		return nil
	}
	rows, err := n.config.Ledger.Deposits(ctx, Query{Tenant: g.Tenant, Term: &digest, Limit: 1})
	if err != nil {
		return n.unavailable(err)
	}
	for _, row := range rows {
		o, err := n.unseal(row)
		if err != nil {
			return err
		}
		g.Contract = o.text("contract.number")
	}
	return nil
}

// grantRow returns the row of a tenant's grant, opened, or ErrNotFound.
func (n *Notary) grantRow(ctx context.Context, tenant, id ID) (*opened, error) {
	row, err := n.config.Ledger.Deposit(ctx, tenant, id)
	if errors.Is(err, ErrNotFound) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, n.unavailable(err)
	}
	entry, err := proofs.ParseEntry(string(row.Entry))
	if err != nil {
		return nil, fmt.Errorf("%w: entry %d: %w", ErrDamaged, row.Index, err)
	}
	if entry.Kind != proofs.KindNotice {
		return nil, ErrNotFound
	}
	o, err := n.unseal(row)
	if err == nil && Act(o.text("notice.act")) != ActGrant {
		err = ErrNotFound
	}
	return o, err
}

// GrantByID returns a grant as it stands: of the principal's own tenant for the role
// compliance, and for a court one that is its own and in force; ErrNotFound if it is not.
func (n *Notary) GrantByID(ctx context.Context, who Principal, id ID) (Grant, error) {
	tenant, err := who.readsGrants()
	if err != nil {
		return Grant{}, err
	}
	o, err := n.grantRow(ctx, tenant, id)
	if err != nil {
		return Grant{}, err
	}
	g, err := n.grantAsItStands(ctx, o)
	if err == nil && who.Role == Court && !g.opens(who, n.clock.now()) {
		return Grant{}, ErrNotFound
	}
	return g, err
}

func (n *Notary) grantAsItStands(ctx context.Context, o *opened) (Grant, error) {
	what := openedBy(o.record)
	grants, _, err := n.grantsOf(ctx, o.row.Tenant, what)
	if err != nil {
		return Grant{}, err
	}
	for _, g := range grants {
		if g.ID == o.row.ID {
			return g, n.nameCase(ctx, &g, what)
		}
	}
	return Grant{}, fmt.Errorf("%w: the grant at entry %d is not found by what it opens", ErrDamaged, o.row.Index)
}

// readsGrants is Principal.reads for the grants themselves.
func (p Principal) readsGrants() (ID, error) {
	if p.Role != Compliance && p.Role != Court {
		return ID{}, ErrForbidden
	}
	return p.reads()
}

// Grants returns grants with index from or more, in the order of the log, and the cursor to
// go on from, 0 at the end: all of the principal's own tenant for the role compliance; for a
// court those that are its own and in force, and who has a link finds that alone. limit is 1
// to MaxGrants; a page may have fewer, and others follow.
func (n *Notary) Grants(ctx context.Context, who Principal, from uint64, limit int) (grants []Grant, next uint64, err error) {
	tenant, err := who.readsGrants()
	if err != nil {
		return nil, 0, err
	}
	if limit < 1 || limit > MaxGrants {
		return nil, 0, invalid("limit", "must be 1 to %d", MaxGrants)
	}
	if who.Grant != (ID{}) {
		g, err := n.GrantByID(ctx, who, who.Grant)
		if err != nil {
			return nil, 0, err
		}
		return []Grant{g}, 0, nil
	}
	tk, err := n.config.TenantKey(tenant)
	if err != nil {
		return nil, 0, n.unavailable(err)
	}
	term := tk.termer().term(termGrants, "")
	rows, err := n.config.Ledger.Deposits(ctx, Query{Tenant: tenant, Term: &term, From: from, Limit: limit})
	if err != nil {
		return nil, 0, n.unavailable(err)
	}
	now := n.clock.now()
	for _, row := range rows {
		o, err := n.unseal(row)
		if err != nil {
			return nil, 0, err
		}
		if to, _ := ParseID(o.text("grant.to")); who.Role == Court && to != who.Tenant.ID {
			continue
		}
		g, err := n.grantAsItStands(ctx, o)
		if err != nil {
			return nil, 0, err
		}
		if who.Role != Court || g.opens(who, now) {
			grants = append(grants, g)
		}
	}
	if len(rows) == limit {
		next = rows[len(rows)-1].Index + 1
	}
	return grants, next, nil
}

// Link returns the principal that a link stands for, or ErrNotFound if it is none, has ended
// or was revoked.
func (n *Notary) Link(ctx context.Context, l Link) (Principal, error) {
	o, err := n.grantRow(ctx, l.Tenant, l.Grant)
	if err != nil {
		return Principal{}, err
	}
	if o.text("grant.to") != "" || !hmac.Equal(o.link().Secret[:], l.Secret[:]) {
		return Principal{}, ErrNotFound
	}
	who := Principal{Role: Court, Caller: "link:" + l.Grant.String(), At: l.Tenant, Grant: l.Grant}
	if err := n.admitsTo(ctx, who, l.Tenant, openedBy(o.record)); err != nil {
		return Principal{}, err
	}
	return who, nil
}

// GrantsOf returns all grants of one of the principal's cases, or of one deposit, in their
// order; for the role compliance.
func (n *Notary) GrantsOf(ctx context.Context, who Principal, contract string, deposit ID) ([]Grant, error) {
	if !who.Role.MayKeep() {
		return nil, ErrForbidden
	}
	tk, err := n.config.TenantKey(who.Tenant.ID)
	if err != nil {
		return nil, n.unavailable(err)
	}
	what := deposit.String()
	if contract != "" {
		what = tk.termer().openedCase(contract)
		_, err = n.Case(ctx, who, contract)
	} else {
		_, err = n.deposited(ctx, who.Tenant.ID, deposit)
	}
	if err != nil {
		return nil, err
	}
	grants, _, err := n.grantsOf(ctx, who.Tenant.ID, what)
	for i := range grants {
		grants[i].Contract = contract
	}
	return grants, err
}

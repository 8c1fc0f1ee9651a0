package notary

import (
	"context"
	"crypto/cipher"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/muniment/muniment/proofs"
)

// A tenant's systems are told of what is published by calls to a URL of theirs. What
// there is to tell is the log itself: its rows were written in the ledger's transaction,
// stand in the order of the log, and are never lost. Kept beside it is only how far each
// webhook has come. Package notary/webhook makes the calls.

// Webhook is what the ledger keeps of one.
type Webhook struct {
	ID, Tenant ID
	Created    time.Time
	Sealed     []byte // the Subscription, under the tenant's key
	State      []byte // how far it has come; opaque to the ledger
	Version    uint64 // of State: how often it was replaced
}

const (
	// MaxWebhooks is how many a tenant may have.
	MaxWebhooks = 10
	// MaxWebhookState bounds Webhook.State, in bytes.
	MaxWebhookState = 1 << 20
)

// Webhooks is where they are kept. The drivers of Ledger implement it too.
type Webhooks interface {
	// CreateWebhook stores a new one at version 0, durable on return. ErrExists if its id
	// is taken.
	CreateWebhook(ctx context.Context, w Webhook) error
	// Webhooks returns those of a tenant, or of all for the zero ID, in ascending order
	// of id.
	Webhooks(ctx context.Context, tenant ID) ([]Webhook, error)
	// SaveWebhook replaces State and raises Version by one, if Version is the stored one:
	// else ErrConflict. It is durable on return. ErrNotFound: it was deleted.
	SaveWebhook(ctx context.Context, w Webhook) error
	// DeleteWebhook removes one of the tenant's, durable on return, or is ErrNotFound.
	DeleteWebhook(ctx context.Context, tenant, id ID) error
}

// Subscription says whom to tell, and of what.
type Subscription struct {
	URL    string   `json:"url"`
	Secret []byte   `json:"secret"` // signs each call
	Kinds  []string `json:"kinds,omitempty"`
	// Contracts are contract numbers, byte for byte.
	Contracts []string `json:"contracts,omitempty"`
	// Labels are NAME=VALUE, without "label.": all of them must stand in the record.
	Labels []string `json:"labels,omitempty"`
}

// Bounds of a Subscription.
const (
	maxWebhookURL     = 2048 // bytes
	maxWebhookFilters = 20   // of one sort
	maxWebhookFilter  = 512  // bytes of one
	webhookSecret     = 32   // bytes
)

// wants reports whether the subscription is to a thing of that kind and record.
func (s *Subscription) wants(e *Event) bool {
	if len(s.Kinds) > 0 && !slices.Contains(s.Kinds, string(e.Kind)) {
		return false
	}
	if len(s.Contracts) > 0 && !slices.Contains(s.Contracts, e.Contract) {
		return false
	}
	for _, l := range s.Labels {
		name, value, _ := strings.Cut(l, "=")
		v, _ := e.record.Get("label." + name)
		if text, ok := v.Text(); !ok || text != value {
			return false
		}
	}
	return true
}

func (s *Subscription) check() error {
	if len(s.URL) > maxWebhookURL {
		return invalid("url", "is longer than %d bytes", maxWebhookURL)
	}
	for _, k := range s.Kinds {
		if k != string(proofs.KindDeposit) && k != string(proofs.KindNotice) {
			return invalid("kinds", "are deposit and notice")
		}
	}
	for name, list := range map[string][]string{"kinds": s.Kinds, "contracts": s.Contracts, "labels": s.Labels} {
		if len(list) > maxWebhookFilters {
			return invalid(name, "has more than %d items", maxWebhookFilters)
		}
		for _, item := range list {
			if item == "" || len(item) > maxWebhookFilter {
				return invalid(name, "has an item that is empty or longer than %d bytes", maxWebhookFilter)
			}
			if name == "labels" && (!strings.Contains(item, "=") || strings.HasPrefix(item, "=")) {
				return invalid(name, "are written NAME=VALUE, without label. before the name")
			}
		}
	}
	return nil
}

// webhookNonce is how many bytes of Sealed are the nonce.
const webhookNonce = 12

func webhookAEAD(wrap [32]byte) cipher.AEAD { return gcm(dataKey(wrap).derive("webhook", 32)) }

// sealWebhook seals a subscription under the generation in force: Webhook.Sealed.
func (k TenantKey) sealWebhook(w Webhook, plain []byte) ([]byte, error) {
	out := make([]byte, webhookNonce, webhookNonce+len(plain)+tagSize)
	if _, err := io.ReadFull(rand.Reader, out); err != nil {
		return nil, err
	}
	return webhookAEAD(k.Wrap).Seal(out, out[:webhookNonce], plain, owner(w.Tenant, w.ID)), nil
}

// openWebhook undoes sealWebhook, and reports whether that was under the generation in force.
func (k TenantKey) openWebhook(w Webhook) (plain []byte, inForce bool, err error) {
	if len(w.Sealed) < webhookNonce {
		return nil, false, fmt.Errorf("%w: the webhook %v", ErrDamaged, w.ID)
	}
	open := func(wrap [32]byte) ([]byte, error) {
		return webhookAEAD(wrap).Open(nil, w.Sealed[:webhookNonce], w.Sealed[webhookNonce:], owner(w.Tenant, w.ID))
	}
	if plain, err = open(k.Wrap); err == nil {
		return plain, true, nil
	}
	for _, other := range k.Others {
		if plain, err = open(other.Key); err == nil {
			return plain, false, nil
		}
	}
	return nil, false, fmt.Errorf("%w: the webhook %v does not open under the tenant's key", ErrDamaged, w.ID)
}

// NewWebhook returns a webhook for the principal's tenant, from the newest published entry
// on, with a new secret in its subscription. It is not stored yet.
func (n *Notary) NewWebhook(ctx context.Context, who Principal, s *Subscription) (w Webhook, from uint64, err error) {
	if !who.Role.MaySubscribe() {
		return w, 0, ErrForbidden
	}
	if err := s.check(); err != nil {
		return w, 0, err
	}
	v, err := n.current(ctx)
	if err != nil {
		return w, 0, err
	}
	tk, err := n.config.TenantKey(who.Tenant.ID)
	if err != nil {
		return w, 0, n.unavailable(err)
	}
	s.Secret = make([]byte, webhookSecret)
	if _, err := io.ReadFull(n.config.Rand, s.Secret); err != nil {
		return w, 0, err
	}
	w = Webhook{Tenant: who.Tenant.ID, Created: n.clock.now().UTC().Truncate(time.Millisecond)}
	if w.ID, err = NewID(w.Created, n.config.Rand); err != nil {
		return w, 0, err
	}
	plain, err := json.Marshal(s)
	if err != nil {
		return w, 0, err
	}
	w.Sealed, err = tk.sealWebhook(w, plain)
	return w, v.size, err
}

// Subscription opens what a webhook is subscribed to.
func (n *Notary) Subscription(w Webhook) (Subscription, error) {
	var s Subscription
	tk, err := n.config.TenantKey(w.Tenant)
	if err != nil {
		return s, n.unavailable(err)
	}
	plain, _, err := tk.openWebhook(w)
	if err == nil {
		err = json.Unmarshal(plain, &s)
	}
	return s, err
}

// Event is one published entry of a tenant's.
type Event struct {
	Index    uint64
	ID       ID
	Kind     proofs.Kind
	Time     time.Time // of the entry
	Leaf     proofs.Hash
	Contract string // empty: none, or it was erased since
	Place    uint64 // in the case, from 1; 0: it stands in none
	SHA256   string // of the document; empty: not a deposit, or erased since
	Erased   bool   // lawfully, since: what is left is that it was there
	// Unreadable: what the ledger keeps of it is damaged, and its operator was told.
	Unreadable bool
	record     proofs.Record
}

// Events returns published entries of the tenant with index from or more that the
// subscription is to, among the next limit of them, and the index from which to go on:
// from itself if nothing more is published. limit is 1 to MaxFound.
func (n *Notary) Events(ctx context.Context, tenant ID, s *Subscription, from uint64, limit int) (events []Event, next uint64, err error) {
	rows, err := n.config.Ledger.Deposits(ctx, Query{Tenant: tenant, From: from, Limit: limit})
	if err != nil {
		return nil, from, n.unavailable(err)
	}
	published := n.view.Load().size
	next = from
	for _, row := range rows {
		if row.Index >= published {
			break
		}
		e, err := n.event(row)
		if err != nil {
			return nil, from, err
		}
		if next = row.Index + 1; e != nil && s.wants(e) {
			events = append(events, *e)
		}
	}
	return events, next, nil
}

// event reads one row; nil: there is nothing to tell of it.
func (n *Notary) event(row Row) (*Event, error) {
	entry, err := proofs.ParseEntry(string(row.Entry))
	if err != nil {
		return nil, fmt.Errorf("%w: entry %d: %w", ErrDamaged, row.Index, err)
	}
	e := &Event{Index: row.Index, ID: row.ID, Kind: entry.Kind, Time: entry.Time, Leaf: entry.LeafHash(), Place: row.CaseSeq}
	o, err := n.unseal(row)
	switch {
	case errors.Is(err, ErrErased):
		e.Erased = true
		return e, nil
	case errors.Is(err, ErrLost):
		return nil, nil
	case errors.Is(err, ErrDamaged):
		n.ready.damaged(err)
		e.Unreadable = true
		return e, nil
	case err != nil:
		return nil, err
	}
	e.record = o.record
	e.Contract, e.SHA256 = o.text("contract.number"), o.text("content.sha256")
	return e, nil
}

func (o *opened) text(name string) string {
	v, _ := o.record.Get(name)
	s, _ := v.Text()
	return s
}

// Leads reports whether this process is the one among its replicas that seals, and does
// what only one must do.
func (n *Notary) Leads() bool { return n.leading() }

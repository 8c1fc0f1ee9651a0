package notary

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/muniment/muniment/proofs"
)

// The trail says who read, exported, held or erased what, when and from where. It stands in
// the ledger in pages, each of one tenant's events that were written at one time, and each
// day of UTC is an RFC 6962 tree with its pages as leaves. Once a day is closed no page is
// added to it, and an entry of the log commits to its root: from then on nothing of it can
// be altered, left out, added or moved unseen. Events carry ids and keyed digests, never
// content, so an erasure has nothing to destroy here.

// A Day is a day of UTC, counted from 1970-01-01.
type Day int32

// DayOf returns the day of a moment.
func DayOf(t time.Time) Day { return Day((t.Unix() - t.Unix()%86400) / 86400) }

// Begin is the first moment of the day.
func (d Day) Begin() time.Time { return time.Unix(int64(d)*86400, 0).UTC() }

// String is the form 2026-11-26.
func (d Day) String() string { return d.Begin().Format(time.DateOnly) }

// ParseDay reads what Day.String writes, from 1970 to 9999.
func ParseDay(s string) (Day, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil || t.Unix() < 0 || DayOf(t).String() != s {
		return 0, ErrNotFound
	}
	return DayOf(t), nil
}

// Action is what an event says was done.
type Action string

// The actions. What a deposit is made of is not among them: the log itself is the trail of
// deposits.
const (
	ActionRead     Action = "read"     // how a deposit stands, webhooks, digests of the trail
	ActionReceipt  Action = "receipt"  // record and receipt of a deposit, or its evidence record
	ActionDocument Action = "document" // the document, or a range of it
	ActionSearch   Action = "search"   // records found by a search
	ActionCase     Action = "case"     // records of a case
	ActionHold     Action = "hold"
	ActionRelease  Action = "release"
	ActionErasure  Action = "erasure" // asked for, or confirmed
	ActionGrant    Action = "grant"   // something was opened to a court
	ActionWebhook  Action = "webhook" // made, or told to begin again
	ActionTrail    Action = "trail"   // events of the trail
	ActionKey      Action = "key"     // an API key was made, or confirmed
	ActionTenant   Action = "tenant"  // a tenant was made
	ActionExport   Action = "export"  // a case as a bundle; or the whole depository, by its operator

	// Their ends. Older pages have them as what they ended.
	ActionGrantRevoked   Action = "grant-revoked"
	ActionWebhookDeleted Action = "webhook-deleted"
	ActionKeyRevoked     Action = "key-revoked"
)

// Actions are all of them.
var Actions = []Action{
	ActionRead, ActionReceipt, ActionDocument, ActionSearch, ActionCase, ActionHold, ActionRelease, ActionErasure,
	ActionGrant, ActionWebhook, ActionTrail, ActionKey, ActionTenant, ActionExport,
	ActionGrantRevoked, ActionWebhookDeleted, ActionKeyRevoked,
}

// TrailEvent is one thing that one caller did.
type TrailEvent struct {
	// Time is when it was written down, by the ledger's clock: that of its page.
	Time   time.Time
	Tenant ID
	Caller string // Principal.Caller; of the operator's own commands "operator"
	Role   Role
	Action Action
	// Deposit is what it was done to; zero: to none, or to more than one.
	Deposit ID
	// Case is the keyed digest of the contract number that was named; zero: none was.
	Case    Term
	Status  int    // of the answer (RFC 9110 §15); 0: of a command
	Address string // from which it was asked: an IP address; empty: by a command
	Request string // the id that the answer bears as X-Request-Id; empty: none
}

// Bounds of what a page may hold, so that nothing of a caller's makes it longer.
const (
	maxTrailCaller  = 200 // bytes, as it stands in a page
	maxTrailWord    = 40  // of any other field
	maxTrailEvents  = 512 // in a page
	maxTrailBatch   = 4096
	trailFields     = 7
	trailPageBegins = "muniment/trail@v1\n"
	noObject        = "-"
)

// TrailPage is one leaf of a day's tree.
type TrailPage struct {
	Day    Day
	Number uint64 // in the day, from 0
	Tenant ID
	Events uint32
	// Text is the leaf's bytes: see [FormatTrailPage].
	Text []byte
}

// FormatTrailPage writes events of one tenant and one time as the leaf that they are: the
// line "muniment/trail@v1", a line of tenant and time, and of each event a line of caller,
// role, action, object, status, address and request, with one space between. The object is
// the id of a deposit, 24 hex digits of the keyed digest of a contract number, or "-", as is
// each field that is empty. What is no printable ASCII, or "%", is percent-encoded.
func FormatTrailPage(tenant ID, at time.Time, events []TrailEvent) []byte {
	out := make([]byte, 0, 100+120*len(events))
	out = append(out, trailPageBegins...)
	out = append(append(append(out, tenant.String()...), ' '), proofs.FormatTime(at)...)
	for _, e := range events {
		object := noObject
		switch {
		case e.Deposit != ID{}:
			object = e.Deposit.String()
		case e.Case != Term{}:
			object = hex.EncodeToString(e.Case[:])
		}
		out = append(out, '\n')
		for _, field := range []string{
			bounded(e.Caller, maxTrailCaller), bounded(string(e.Role), maxTrailWord), bounded(string(e.Action), maxTrailWord),
			object, strconv.Itoa(e.Status), bounded(e.Address, maxTrailWord),
		} {
			out = append(append(out, field...), ' ')
		}
		out = append(out, bounded(e.Request, maxTrailWord)...)
	}
	return append(out, '\n')
}

// bounded makes a field of s: never empty, without a space, at most so many bytes. What is
// too long ends in a digest of all of it.
func bounded(s string, most int) string {
	if s == "" {
		return noObject
	}
	var b strings.Builder
	for _, c := range []byte(s) {
		if c > ' ' && c < 0x7f && c != '%' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	if b.Len() <= most {
		return b.String()
	}
	sum := sha256.Sum256([]byte(s))
	return b.String()[:most-17] + "~" + hex.EncodeToString(sum[:8])
}

// ParseTrailPage reads what FormatTrailPage writes, and nothing else.
func ParseTrailPage(text []byte) (events []TrailEvent, err error) {
	wrong := func(what string) ([]TrailEvent, error) {
		return nil, fmt.Errorf("%w: a page of the trail: %s", ErrDamaged, what)
	}
	body, ok := strings.CutPrefix(string(text), trailPageBegins)
	body, ended := strings.CutSuffix(body, "\n")
	lines := strings.Split(body, "\n")
	if !ok || !ended || len(lines) < 2 {
		return wrong("it has another form")
	}
	owner, when, _ := strings.Cut(lines[0], " ")
	tenant, err := ParseID(owner)
	if err != nil {
		return wrong("it names no tenant")
	}
	at, err := proofs.ParseTime(when)
	if err != nil {
		return wrong("it has no time")
	}
	for _, line := range lines[1:] {
		e := TrailEvent{Tenant: tenant, Time: at}
		if err := e.parse(line); err != nil {
			return wrong(err.Error())
		}
		events = append(events, e)
	}
	if !bytes.Equal(FormatTrailPage(tenant, at, events), text) {
		return wrong("it is not as it would be written")
	}
	return events, nil
}

// parse reads one line of a page.
func (e *TrailEvent) parse(line string) error {
	fields := strings.Split(line, " ")
	if len(fields) != trailFields {
		return errors.New("a line has another number of fields")
	}
	for i, to := range map[int]*string{0: &e.Caller, 1: (*string)(&e.Role), 2: (*string)(&e.Action), 5: &e.Address, 6: &e.Request} {
		if fields[i] == noObject {
			continue
		}
		var err error
		if *to, err = url.PathUnescape(fields[i]); err != nil {
			return errors.New("a field has another form")
		}
	}
	var err error
	switch object := fields[3]; len(object) {
	case len(noObject):
		if object != noObject {
			err = ErrNotFound
		}
	case 2 * len(Term{}):
		_, err = hex.Decode(e.Case[:], []byte(object))
	default:
		e.Deposit, err = ParseID(object)
	}
	if err == nil {
		e.Status, err = strconv.Atoi(fields[4])
	}
	if err != nil {
		return errors.New("a field has another form")
	}
	return nil
}

// TrailAddress is how an event names where a request came from: the IP address of the
// connection, as net/http tells it, without port and zone.
func TrailAddress(remote string) string {
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		return ""
	}
	return at.Addr().WithZone("").Unmap().String()
}

// TrailHead is where the trail has come to.
type TrailHead struct {
	Day    Day    // that is being written
	Pages  uint64 // of that day
	Events uint64 // in those pages
	// Peaks is the compact range of that day's tree: the roots of its full subtrees, largest
	// first.
	Peaks []proofs.Hash
	// Time is before which nothing is written any more: of the newest page, or the end of
	// the day that was closed.
	Time time.Time
}

// TrailDay is a closed day.
type TrailDay struct {
	Day    Day
	Pages  uint64
	Events uint64
	Root   proofs.Hash // of the RFC 6962 tree over its pages
}

// closed is what the head's day comes to when nothing is added to it any more.
func (h TrailHead) closed() TrailDay {
	return TrailDay{Day: h.Day, Pages: h.Pages, Events: h.Events, Root: proofs.RangeOf(h.Pages, h.Peaks).Root()}
}

// TrailBatch is what one WriteTrail writes: all of it, or nothing.
type TrailBatch struct {
	Head   TrailHead // after it
	Closed *TrailDay // the day before, if it had pages and another begins
	Pages  []TrailPage
}

// Continues refuses a batch that does not continue the trail at h: a day that goes back or
// is closed as something else than it was, a number out of turn, a page earlier than the one
// before it or of another day, sums or peaks that are not those of the pages.
func (b *TrailBatch) Continues(h TrailHead) error {
	if err := h.check(); err != nil {
		return err
	}
	edge, want := proofs.RangeOf(h.Pages, h.Peaks), h
	if b.Head.Day != h.Day {
		if b.Head.Day < h.Day || b.Head.Time.Before(b.Head.Day.Begin()) {
			return fmt.Errorf("the trail goes from %s back to %s", h.Day, b.Head.Day)
		}
		if (b.Closed != nil) != (h.Pages > 0) || b.Closed != nil && *b.Closed != h.closed() {
			return fmt.Errorf("%s is not closed as what it was", h.Day)
		}
		edge, want = proofs.RangeOf(0, nil), TrailHead{Day: b.Head.Day, Time: h.Time}
	} else if b.Closed != nil {
		return fmt.Errorf("%s is closed, and goes on", h.Day)
	}
	for _, p := range b.Pages {
		events, err := ParseTrailPage(p.Text)
		if err != nil {
			return err
		}
		at := events[0].Time
		switch {
		case p.Day != want.Day || DayOf(at) != want.Day || p.Number != want.Pages:
			return fmt.Errorf("page %d of %s is not the next of %s", p.Number, p.Day, want.Day)
		case at.Before(want.Time):
			return fmt.Errorf("page %d of %s is earlier than the one before it", p.Number, p.Day)
		case p.Tenant != events[0].Tenant || int(p.Events) != len(events):
			return fmt.Errorf("page %d of %s holds something else than it says", p.Number, p.Day)
		}
		edge.Append(proofs.LeafHash(p.Text), nil)
		want.Time = at
		want.Pages, want.Events = want.Pages+1, want.Events+uint64(len(events))
	}
	if b.Head.Pages != want.Pages || b.Head.Events != want.Events || !slices.Equal(b.Head.Peaks, edge.Peaks()) || b.Head.Time.Before(want.Time) {
		return errors.New("the trail's head is not what its pages come to")
	}
	return b.Head.check()
}

// check refuses a head that none of ours is.
func (h TrailHead) check() error {
	if proofs.RangeOf(h.Pages, h.Peaks) == nil {
		return fmt.Errorf("%w: the head of the trail has %d peaks for %d pages", ErrDamaged, len(h.Peaks), h.Pages)
	}
	return nil
}

// TrailRange selects pages of the trail in their order.
type TrailRange struct {
	Tenant *ID    // nil: of all
	Day    Day    // the first page is of this day
	Number uint64 // and has this number, or one after it
	Until  Day    // the last day, included
	Limit  int    // 1 to 1,000
}

// Trail is where the trail stands. The drivers of Ledger implement it too. There is no way to
// change or delete any of it.
type Trail interface {
	// WriteTrail takes the lock of the trail, hands its head and the ledger's clock to build,
	// and writes what build returns in one atomic write: durable and visible to all on a nil
	// return. An error from build is returned as it is, and nothing was written; nil from it
	// writes nothing and is no error. A batch that does not continue the head is refused. After
	// any other error it may have been written or not; ErrNoRoom means that it was not.
	WriteTrail(ctx context.Context, build func(head TrailHead, now time.Time) (*TrailBatch, error)) error
	// TrailHead returns where the trail has come to; the zero head before the first page.
	TrailHead(ctx context.Context) (TrailHead, error)
	// TrailPages returns the pages that r selects.
	TrailPages(ctx context.Context, r TrailRange) ([]TrailPage, error)
	// TrailDays returns the closed days from a day on, in their order, the first limit of
	// them, 1 to 1,000.
	TrailDays(ctx context.Context, from Day, limit int) ([]TrailDay, error)
}

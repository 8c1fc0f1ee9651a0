package console

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/api"
)

// fresh is an idempotency key for a form: who sends the form twice does it once.
func fresh() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return "console-" + hex.EncodeToString(b[:])
}

// given is a field of the form; nil: it was left empty.
func (v *visit) given(name string) *string {
	text := strings.TrimSpace(v.r.PostForm.Get(name))
	if text == "" {
		return nil
	}
	return &text
}

// key is the form's idempotency key.
func (v *visit) key() string {
	if key := v.given("key"); key != nil {
		return *key
	}
	return fresh()
}

// act holds, releases or erases a deposit.
func (v *visit) act() error {
	id, act := chi.URLParam(v.r, "id"), chi.URLParam(v.r, "act")
	reason := ""
	if text := v.given("reason"); text != nil {
		reason = *text
	}
	var done api.NoticeAnswer
	err := v.send(http.MethodPost, depositPath(id)+"/"+act, v.key(), api.NoticeRequest{Matter: v.given("matter"), Reason: reason}, &done)
	if err != nil {
		return err
	}
	if len(done.Remains) > 0 {
		return v.redirect(v.to("/deposits/"+id, "remains", "1") + "#standing")
	}
	return v.redirect(v.to("/deposits/"+id) + "#standing")
}

func (v *visit) openCase() error {
	contract, err := v.contract()
	if err != nil {
		return err
	}
	link, ends, err := v.grant(casePath(contract) + "/grants")
	if err != nil {
		return err
	}
	if link != "" {
		return v.showCase(contract, link, ends)
	}
	return v.redirect(v.to("/cases/"+url.PathEscape(contract)) + "#grants")
}

func (v *visit) openDeposit() error {
	id := chi.URLParam(v.r, "id")
	link, ends, err := v.grant(depositPath(id) + "/grants")
	if err != nil {
		return err
	}
	if link != "" {
		return v.showDeposit(link, ends)
	}
	return v.redirect(v.to("/deposits/"+id) + "#grants")
}

// grant opens something to a court, or makes a link to it, which is shown once and stands in
// no address.
func (v *visit) grant(path string) (link, ends string, err error) {
	until, err := time.ParseInLocation(time.DateOnly, v.r.PostForm.Get("until"), v.zone())
	if err != nil {
		return "", "", own("date", http.StatusBadRequest)
	}
	// The last day counts whole.
	ask := api.GrantRequest{Matter: v.given("matter"), To: v.given("to"), Until: proofs.FormatTime(until.AddDate(0, 0, 1))}
	if reason := v.given("reason"); reason != nil {
		ask.Reason = *reason
	}
	if ask.To == nil {
		yes := true
		ask.Link = &yes
	}
	var done api.GrantAnswer
	if err := v.send(http.MethodPost, path, v.key(), ask, &done); err != nil {
		return "", "", err
	}
	return done.Link, done.Grant.Until, nil
}

func (v *visit) revoke() error {
	if err := v.send(http.MethodDelete, "/v1/grants/"+url.PathEscape(chi.URLParam(v.r, "id")), "", nil, nil); err != nil {
		return err
	}
	return v.redirect(within(v.r.PostForm.Get("back")))
}

// keepingView is what has to be kept, and what need not be any more.
type keepingView struct {
	Waiting, Held []api.FoundNotice
	More          bool // there are others than the first hundred
	Due           []row
	At            string // the time before which terms have ended
	Next          string
}

// keeping shows erasures that wait for a second person, deposits under a hold, and those whose
// term has ended.
func (v *visit) keeping() error {
	var k keepingView
	for act, to := range map[string]*[]api.FoundNotice{"erasure-asked": &k.Waiting, "hold": &k.Held} {
		var list api.NoticeList
		if err := v.get("/v1/notices", url.Values{"act": {act}, "state": {"open"}, "limit": {"100"}}, &list); err != nil {
			return err
		}
		*to, k.More = list.Notices, k.More || list.Next != ""
	}
	q := chosen(v.r.URL.Query(), "cursor")
	k.At = proofs.FormatTime(v.now.UTC().Truncate(time.Millisecond))
	q.Set("due", k.At)
	q.Set("limit", "50")
	var list api.DepositList
	if err := v.get("/v1/deposits", q, &list); err != nil {
		return err
	}
	var err error
	if k.Due, err = rowsOf(list.Deposits); err != nil {
		return err
	}
	if list.Next != "" {
		k.Next = v.to("/keeping", "cursor", list.Next)
	}
	return v.show("keeping", k)
}

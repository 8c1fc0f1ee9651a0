package console

import (
	"net/http"
	"net/url"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/api"
)

// trailView is what the page of the trail shows.
type trailView struct {
	Events                          []api.TrailEvent
	Action, Caller, Since, Contract string
	Actions                         []notary.Action
	Next                            string
}

// trail shows who did what.
func (v *visit) trail() error {
	q := v.r.URL.Query()
	if len(chosen(q, "action", "caller", "contract", "since", "deposit", "cursor")) == 0 && !q.Has("since") {
		q.Set("since", v.now.In(v.zone()).Format(time.DateOnly)) // today's, where nothing is asked for
	}
	t := trailView{Action: q.Get("action"), Caller: q.Get("caller"), Since: q.Get("since"), Contract: q.Get("contract"), Actions: notary.Actions}
	params := chosen(q, "action", "caller", "contract", "cursor", "deposit")
	params.Set("limit", "100")
	if t.Since != "" {
		since, err := time.ParseInLocation(time.DateOnly, t.Since, v.zone())
		if err != nil {
			return own("date", http.StatusBadRequest)
		}
		params.Set("from", proofs.FormatTime(since))
	}
	var list api.TrailList
	if err := v.get("/v1/trail", params, &list); err != nil {
		return err
	}
	t.Events = list.Events
	if list.Next != "" {
		next := url.Values{"cursor": {list.Next}}
		for name := range chosen(q, "action", "caller", "contract", "since", "deposit") {
			next.Set(name, q.Get(name))
		}
		t.Next = Prefix + "/trail?" + next.Encode()
	}
	return v.show("trail", t)
}

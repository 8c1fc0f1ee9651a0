package console

import (
	"net/http"
	"net/url"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/api"
)

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

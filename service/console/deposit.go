package console

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/muniment/muniment/service/api"
)

// depositView is what the page of a deposit shows.
type depositView struct {
	row
	Groups   []group
	Standing api.Standing
	Proof    *api.Verification // what its receipt proves
	Says     api.Explanation   // in the page's language
	Grants   []api.Grant
	Hideable []string // members that a receipt can hide
	Link     string   // that was just made, once
	LinkEnds string
	Remains  bool // an erasure was just asked for, or done
	Fresh    string
}

func depositPath(id string) string { return "/v1/deposits/" + url.PathEscape(id) }

func (v *visit) depositOf() error { return v.showDeposit("", "") }

func (v *visit) showDeposit(link, ends string) error {
	id := chi.URLParam(v.r, "id")
	d := depositView{Link: link, LinkEnds: ends, Remains: v.r.URL.Query().Has("remains"), Fresh: fresh()}
	if err := v.get(depositPath(id)+"/notices", nil, &d.Standing); err != nil {
		return err
	}
	d.ID, d.Index, d.Time = d.Standing.Deposit, d.Standing.Index, d.Standing.Time
	if d.Standing.State != "erased" {
		if err := v.describe(&d); err != nil {
			return err
		}
	}
	if v.who.Role.MayKeep() {
		var list api.GrantList
		if err := v.get(depositPath(id)+"/grants", nil, &list); err != nil {
			return err
		}
		d.Grants = list.Grants
	}
	return v.show("deposit", d)
}

// describe reads what the record says, and has its receipt judged by the site's own policy.
func (v *visit) describe(d *depositView) error {
	var told api.Deposit
	if err := v.get(depositPath(d.ID), nil, &told); err != nil {
		return err
	}
	r, err := rowOf(api.FoundDeposit{Id: told.Id, Index: told.Index, Kind: told.Kind, Time: told.Time, Record: told.Record})
	if err != nil {
		return err
	}
	d.row, d.Groups = r, groups(r.Record)
	for _, m := range r.Record {
		d.Hideable = append(d.Hideable, m.Name)
	}
	d.Proof = &api.Verification{}
	if err := v.send(http.MethodPost, "/v1/verify", "", api.VerificationRequest{Receipt: told.Receipt}, d.Proof); err != nil {
		return err
	}
	if d.Says = d.Proof.Explanations.En; v.lang == "zh" {
		d.Says = d.Proof.Explanations.Zh
	}
	return nil
}

// part downloads what belongs to a deposit: receipt, certificate, evidence record or document.
func (v *visit) part() error {
	q, part := v.r.URL.Query(), chi.URLParam(v.r, "part")
	path := depositPath(chi.URLParam(v.r, "id")) + "/" + part
	switch part {
	case "certificate":
		return v.pass(path, chosen(q, "lang", "profile", "document"))
	case "receipt":
		params := url.Values{}
		if names := q["show"]; len(names) > 0 {
			params.Set("disclose", strings.Join(names, ","))
		} else if q.Has("some") {
			return errNothing
		}
		return v.pass(path, params)
	}
	return v.pass(path, nil)
}

// Shown are the members that a receipt shows unless somebody says otherwise: all but the
// people's names and numbers.
func (d depositView) Shown(name string) bool { return !strings.HasPrefix(name, "party.") }

// Bound is whether a member says which document or entry the record is about, so that a
// receipt without it proves little.
func (d depositView) Bound(name string) bool {
	switch name {
	case "id", "content.sha256", "content.held":
		return true
	}
	return false
}

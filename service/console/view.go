package console

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/service/api"
	"github.com/muniment/muniment/service/auth"
)

// view is what a page is filled with: what it is about, and what the frame around it needs.
type view struct {
	*visit
	Page string
	Data any
	// Text are the words that the page's script says.
	Text map[string]string
}

// Lang is the language as HTML names it.
func (v view) Lang() string {
	if v.lang == "zh" {
		return "zh-CN"
	}
	return v.lang
}

// Languages are the others' addresses of this page.
func (v view) Languages() []choice {
	return []choice{{"中文", v.in("zh"), "zh-CN", v.lang == "zh"}, {"English", v.in("en"), "en", v.lang == "en"}}
}

// choice is one of several.
type choice struct {
	Text, Address, Lang string
	Chosen              bool
}

// SignedIn is whether somebody did.
func (v view) SignedIn() bool { return v.token != "" }

// Form is the token that each form carries.
func (v view) Form() string { return auth.FormToken(v.token) }

// To is an address of the console; see visit.to.
func (v view) To(path string, pairs ...string) string { return v.to(path, pairs...) }

// Name is who signed in, as far as there is a name.
func (v view) Name() string {
	if v.who.Grant != (notary.ID{}) {
		return short(v.who.Grant.String())
	}
	if v.session.Name != "" {
		return v.session.Name
	}
	return v.who.Caller
}

// Role is what they may do.
func (v view) Role() string { return string(v.who.Role) }

// Tenant is of whom they are who signed in; empty: of the depository itself.
func (v view) Tenant() string {
	if v.who.Grant != (notary.ID{}) {
		return words["link-visitor"].in(v.lang)
	}
	return v.who.Tenant.Name
}

// ByLink is whether they came by a link.
func (v view) ByLink() bool { return v.who.Grant != (notary.ID{}) }

// LinkAddress is a link as an address that opens the console by it; empty: nobody said where
// browsers reach the console. A fragment is sent to no server.
func (v view) LinkAddress(link string) string {
	if v.URL == "" {
		return ""
	}
	return v.URL + Prefix + "/sign-in#" + link
}

// Keeps is whether who signed in may hold, erase and open; Deposits and Reads likewise.
func (v view) Keeps() bool { return v.who.Role.MayKeep() }

// Deposits is whether they may deposit.
func (v view) Deposits() bool { return v.who.Role.MayDeposit() }

// Reads is whether they find deposits by search.
func (v view) Reads() bool { return v.who.Role.MayRead() || v.who.Role == notary.Auditor }

// Audits is whether they may read the trail.
func (v view) Audits() bool { return v.who.Role.MayAudit() }

// Test is whether nothing here has evidential value: the log is not one of production.
func (v view) Test() bool { return !strings.Contains(v.Config.Origin(), "/prod/") }

// TenantAt is the tenant that the address names, for forms that lead on from it.
func (v view) TenantAt() string { return v.tenant }

// CaseAction is the address of something that is done with a case.
func (v view) CaseAction(contract, what string) string {
	return v.to("/cases/" + url.PathEscape(contract) + what)
}

// Kinds are what deposits are searched by.
func (v view) Kinds() []choice {
	by := ""
	if f, ok := v.Data.(found); ok {
		by = f.By
	}
	out := []choice{}
	for _, kind := range []string{"contract", "sha256", "sm3", "depositor", "label"} {
		out = append(out, choice{Text: speaker(v.lang).or("by", kind), Address: kind, Chosen: kind == by})
	}
	return out
}

// part is what a part of a page is filled with.
type part struct {
	View view
	Rows any
}

// With fills a list.
func (v view) With(rows any) part { return part{v, rows} }

// granting is what the part about grants is filled with.
type granting struct {
	View           view
	Grants         []api.Grant
	Link, LinkEnds string
	Action, Fresh  string
	Here           string
	First, Last    string // the days until which it can be opened
	LinkDays       int    // for how many a link can be made
}

// Granting fills the part about grants, of a case or of a deposit.
func (v view) Granting(action string) granting {
	const day = 24 * time.Hour
	g := granting{
		View: v, Action: action, Here: v.r.URL.EscapedPath(), LinkDays: int(notary.MaxLink / day),
		First: v.now.Format(time.DateOnly), Last: v.now.Add(notary.MaxGrant - 2*day).Format(time.DateOnly),
	}
	if v.r.Method != http.MethodGet { // the answer to a form stands under the form's own address
		g.Here = strings.TrimSuffix(g.Here, "/grants")
	}
	switch d := v.Data.(type) {
	case caseView:
		g.Grants, g.Link, g.LinkEnds, g.Fresh = d.Grants, d.Link, d.LinkEnds, d.Fresh
	case depositView:
		g.Grants, g.Link, g.LinkEnds, g.Fresh = d.Grants, d.Link, d.LinkEnds, d.Fresh
	}
	return g
}

// Script is what the page's script says, as JSON.
func (v view) Script() (string, error) {
	text, err := json.Marshal(v.Text)
	return string(text), err
}

// Origin is the log's name.
func (v view) Origin() string { return v.Config.Origin() }

// Fingerprint is the policy's.
func (v view) Fingerprint() string { return v.Policy.Fingerprint() }

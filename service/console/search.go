package console

import (
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/api"
)

// pageSize is how many deposits a page lists.
const pageSize = 50

// A row is a deposit in a list.
type row struct {
	ID       string
	Index    uint64
	Time     string
	Name     string // of the document; empty: the record does not say
	Size     string // bytes; empty: the record does not say
	Contract string
	Title    string
	Seq      string // its place in the case
	By       string
	Held     bool // the depository has the document
	Record   proofs.Record
}

// rowOf reads a deposit as the API tells it.
func rowOf(d api.FoundDeposit) (row, error) {
	r := row{ID: d.Id, Index: d.Index, Time: d.Time}
	record, err := proofs.ParseMembers(string(d.Record))
	if err != nil {
		return r, err
	}
	r.Record = record
	for name, to := range map[string]*string{
		"content.name": &r.Name, "content.size": &r.Size, "contract.number": &r.Contract,
		"contract.title": &r.Title, "case.seq": &r.Seq, "depositor.name": &r.By,
	} {
		if v, ok := record.Get(name); ok {
			*to = plain(v)
		}
	}
	v, _ := record.Get("content.held")
	r.Held = v.JSON() == "true"
	return r, nil
}

func rowsOf(deposits []api.FoundDeposit) ([]row, error) {
	out := make([]row, len(deposits))
	for i, d := range deposits {
		var err error
		if out[i], err = rowOf(d); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// plain is a member's value as text.
func plain(v proofs.Value) string {
	if text, ok := v.Text(); ok {
		return text
	}
	return v.JSON()
}

// asked is what the form of the search was filled with.
type asked struct {
	By, What, Since, Until string
	Due                    string // before which the term of retention ended, as the API writes times
	Cursor                 string
}

// askedBy reads it from an address or a form.
func askedBy(in url.Values) asked {
	return asked{in.Get("by"), in.Get("what"), in.Get("since"), in.Get("until"), in.Get("due"), in.Get("cursor")}
}

// found is what the page of the search shows.
type found struct {
	asked
	Searched bool
	Rows     []row
	Next     string // the address of the page after this one
	Wrong    *failView
	Tenants  []api.Tenant // of which an auditor may choose
	Grants   []api.Grant  // what was opened to a court
	More     bool         // others may have been
	Usage    *api.Usage
}

var digest = regexp.MustCompile(`^[0-9A-Fa-f]{64}$`)

// query puts the form into the API's words.
func (a asked) query(zone *time.Location) (url.Values, *refusal) {
	q := url.Values{"limit": {strconv.Itoa(pageSize)}}
	what := strings.TrimSpace(a.What)
	if what != "" {
		by := a.By
		switch by {
		case "sha256", "sm3":
			if what = strings.ToLower(what); !digest.MatchString(what) {
				return nil, own("digest", http.StatusBadRequest)
			}
		case "label":
			if name, value, cut := strings.Cut(strings.Replace(what, "：", ":", 1), ":"); cut {
				what = strings.TrimSpace(name) + ":" + strings.TrimSpace(value)
			}
		case "contract", "depositor":
		default:
			by = "contract"
		}
		q.Set(by, what)
	} else if a.Due == "" {
		q.Set("order", "desc") // nothing in particular: the newest first
	}
	if a.Due != "" {
		q.Set("due", a.Due)
	}
	for name, text := range map[string]string{"since": a.Since, "until": a.Until} {
		if text == "" {
			continue
		}
		t, err := time.ParseInLocation(time.DateOnly, text, zone)
		if err != nil {
			return nil, own("date", http.StatusBadRequest)
		}
		if name == "until" {
			t = t.AddDate(0, 0, 1) // people mean the whole of the last day
		}
		q.Set(name, proofs.FormatTime(t))
	}
	if a.Cursor != "" {
		q.Set("cursor", a.Cursor)
	}
	return q, nil
}

// home is the page of the search, for who may search. A court finds what was opened to it,
// an auditor the tenants that it supervises, and an operator how the log fares.
func (v *visit) home() error {
	switch v.who.Role {
	case notary.Operator:
		return v.redirect(v.to("/log"))
	case notary.Court:
		return v.courtHome()
	case notary.Auditor:
		if v.tenant == "" {
			var list api.TenantList
			if err := v.get("/v1/tenants", url.Values{"limit": {"1000"}}, &list); err != nil {
				return err
			}
			return v.show("search", found{Tenants: list.Tenants})
		}
	}
	f := found{asked: askedBy(v.r.URL.Query())}
	f.Searched = f.What != "" || f.Since != "" || f.Until != ""
	q, wrong := f.query(v.zone())
	if wrong == nil {
		var list api.DepositList
		err := v.get("/v1/deposits", q, &list)
		if err != nil && problemOf(err).Type != "/problems/invalid-search" {
			return err
		}
		if err != nil {
			wrong = problemOf(err)
		} else if f.Rows, err = rowsOf(list.Deposits); err != nil {
			return err
		} else if list.Next != "" {
			f.Next = v.to("/", "by", f.By, "what", f.What, "since", f.Since, "until", f.Until, "cursor", list.Next)
		}
	}
	if wrong != nil {
		e := v.explain(wrong)
		f.Wrong = &e
		return v.render(wrong.Status, "search", f)
	}
	if v.who.Role.MayRead() && !f.Searched && f.Cursor == "" {
		f.Usage = &api.Usage{}
		if err := v.get("/v1/usage", nil, f.Usage); err != nil {
			return err
		}
	}
	return v.show("search", f)
}

// courtHome lists what was opened to a court.
func (v *visit) courtHome() error {
	if v.tenant == "" && v.who.Grant == (notary.ID{}) {
		return v.show("search", found{})
	}
	f, q := found{}, url.Values{}
	for range mostPages { // a page without any of its own may be followed by others
		var list api.GrantList
		if err := v.get("/v1/grants", q, &list); err != nil {
			return err
		}
		f.Grants = append(f.Grants, list.Grants...)
		if f.More = list.Next != ""; !f.More {
			break
		}
		q.Set("cursor", list.Next)
	}
	return v.show("search", f)
}

package console

import (
	"net/url"
	"slices"
	"strconv"

	"github.com/go-chi/chi/v5"

	"github.com/muniment/muniment/service/api"
)

// An occasion is one thing on the line of a case: a deposit, a notice about one, or a gap
// where deposits are that are not shown.
type occasion struct {
	Time    string
	Index   uint64
	Deposit *row
	State   string // of the deposit, now
	Notice  *api.Notice
	Of      string // the deposit that the notice is about
	Grant   *api.Grant
	Gap     uint64 // how many deposits
	From    uint64 // the first of them, by its place in the case
}

// caseView is what the page of a case shows.
type caseView struct {
	Contract string
	Count    uint64
	Title    string
	Line     []occasion
	Next     string
	IDs      []string
	Grants   []api.Grant
	Link     string // that was just made, once
	LinkEnds string
	Fresh    string // idempotency key of the form
}

// contract is the number in the address.
func (v *visit) contract() (string, error) {
	text := chi.URLParam(v.r, "contract")
	if v.r.URL.RawPath == "" {
		return text, nil // chi matched the decoded path
	}
	contract, err := url.PathUnescape(text)
	if err != nil {
		return "", errNoPage
	}
	return contract, nil
}

func casePath(contract string) string { return "/v1/cases/" + url.PathEscape(contract) }

// CaseAddress is where a case's page is.
func (v view) CaseAddress(contract string) string { return v.to("/cases/" + url.PathEscape(contract)) }

func (v *visit) caseOf() error {
	contract, err := v.contract()
	if err != nil {
		return err
	}
	return v.showCase(contract, "", "")
}

func (v *visit) showCase(contract, link, ends string) error {
	c := caseView{Contract: contract, Link: link, LinkEnds: ends, Fresh: fresh()}
	cursor := v.r.URL.Query().Get("cursor")
	q := url.Values{"limit": {strconv.Itoa(pageSize)}}
	if cursor != "" {
		q.Set("cursor", cursor)
	}
	var told api.Case
	if err := v.get(casePath(contract), q, &told); err != nil {
		return err
	}
	rows, err := rowsOf(told.Deposits)
	if err != nil {
		return err
	}
	c.Count = told.Count
	if err := v.line(&c, rows, cursor == "", told.Next == ""); err != nil {
		return err
	}
	if told.Next != "" {
		c.Next = v.to("/cases/"+url.PathEscape(contract), "cursor", told.Next)
	}
	if v.who.Role.MayKeep() {
		var grants api.GrantList
		if err := v.get(casePath(contract)+"/grants", nil, &grants); err != nil {
			return err
		}
		c.Grants = grants.Grants
		for i := range c.Grants {
			c.Line = append(c.Line, occasion{Time: c.Grants[i].Time, Index: c.Grants[i].Index, Grant: &c.Grants[i]})
		}
	}
	if cursor == "" && told.Next == "" {
		// The order of the log is the order of time. On one page of several the grants stand
		// at its end.
		slices.SortStableFunc(c.Line, func(a, b occasion) int { return int(a.Index) - int(b.Index) })
	}
	return v.show("case", c)
}

// line puts deposits, their notices and the gaps between them in a row. A gap at either end
// shows only where the case begins or ends on this page.
func (v *visit) line(c *caseView, rows []row, first, last bool) error {
	due := uint64(1)
	for i := range rows {
		r := &rows[i]
		seq, _ := strconv.ParseUint(r.Seq, 10, 64)
		if i == 0 && !first {
			due = seq
		}
		if seq > due {
			c.Line = append(c.Line, occasion{Gap: seq - due, From: due, Index: r.Index})
		}
		due = seq + 1
		if r.Title != "" {
			c.Title = r.Title
		}
		var standing api.Standing
		if err := v.get("/v1/deposits/"+r.ID+"/notices", nil, &standing); err != nil {
			return err
		}
		c.IDs = append(c.IDs, r.ID)
		c.Line = append(c.Line, occasion{Time: r.Time, Index: r.Index, Deposit: r, State: standing.State})
		for j := range standing.Notices {
			n := &standing.Notices[j]
			c.Line = append(c.Line, occasion{Time: n.Time, Index: n.Index, Notice: n, Of: r.Called()})
		}
	}
	if last && c.Count >= due {
		index := uint64(0)
		if len(c.Line) > 0 {
			index = c.Line[len(c.Line)-1].Index
		}
		c.Line = append(c.Line, occasion{Gap: c.Count + 1 - due, From: due, Index: index})
	}
	return nil
}

// Called is how a deposit is named in a sentence.
func (r row) Called() string {
	if r.Name != "" {
		return r.Name
	}
	return r.ID
}

// bundle downloads the whole case.
func (v *visit) bundle() error {
	contract, err := v.contract()
	if err != nil {
		return err
	}
	return v.pass(casePath(contract)+"/bundle", chosen(v.r.URL.Query(), "lang", "profile"))
}

// chosen are those parameters of an address that are not empty.
func chosen(q url.Values, names ...string) url.Values {
	out := url.Values{}
	for _, name := range names {
		if value := q.Get(name); value != "" {
			out.Set(name, value)
		}
	}
	return out
}

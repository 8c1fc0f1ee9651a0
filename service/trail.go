package service

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/api"
)

// noted says which event a route makes.
type noted struct {
	action notary.Action
	// first: it is durable before the first byte of the answer leaves; else within a second
	// after.
	first bool
}

// trails are the routes that make events, by method and pattern. What answers with records,
// receipts or documents, or changes something, is durable first. Deposits are not here: the
// log is their trail.
var trails = map[string]noted{
	"GET /v1/deposits":                  {notary.ActionSearch, true},
	"GET /v1/deposits/{id}":             {notary.ActionReceipt, true},
	"GET /v1/deposits/{id}/receipt":     {notary.ActionReceipt, true},
	"GET /v1/deposits/{id}/evidence":    {notary.ActionReceipt, true},
	"GET /v1/deposits/{id}/document":    {notary.ActionDocument, true},
	"GET /v1/deposits/{id}/certificate": {notary.ActionReceipt, true},
	"GET /v1/cases/*":                   {notary.ActionCase, true},
	"GET /v1/cases/{contract}/bundle":   {notary.ActionExport, true},
	"GET /v1/deposits/{id}/notices":     {notary.ActionRead, false},
	"GET /v1/notices":                   {notary.ActionRead, false},
	"POST /v1/deposits/{id}/hold":       {notary.ActionHold, true},
	"POST /v1/deposits/{id}/release":    {notary.ActionRelease, true},
	"POST /v1/deposits/{id}/erasure":    {notary.ActionErasure, true},
	"GET /v1/cases/{contract}/grants":   {notary.ActionRead, false},
	"POST /v1/cases/{contract}/grants":  {notary.ActionGrant, true},
	"GET /v1/deposits/{id}/grants":      {notary.ActionRead, false},
	"POST /v1/deposits/{id}/grants":     {notary.ActionGrant, true},
	"GET /v1/grants":                    {notary.ActionRead, false},
	"GET /v1/grants/{id}":               {notary.ActionRead, false},
	"DELETE /v1/grants/{id}":            {notary.ActionGrantRevoked, true},
	"GET /v1/tenants":                   {notary.ActionRead, false},
	"POST /v1/tenants":                  {notary.ActionTenant, true},
	"GET /v1/tenants/{id}":              {notary.ActionRead, false},
	"GET /v1/keys":                      {notary.ActionRead, false},
	"POST /v1/keys":                     {notary.ActionKey, true},
	"GET /v1/keys/{id}":                 {notary.ActionRead, false},
	"DELETE /v1/keys/{id}":              {notary.ActionKeyRevoked, true},
	"POST /v1/keys/{id}/confirmation":   {notary.ActionKey, true},
	"GET /v1/trail":                     {notary.ActionTrail, true},
	"GET /v1/trail/{date}":              {notary.ActionRead, false},
	"GET /v1/usage":                     {notary.ActionRead, false},
	"GET /v1/webhooks":                  {notary.ActionRead, false},
	"GET /v1/webhooks/{id}":             {notary.ActionRead, false},
	"POST /v1/webhooks":                 {notary.ActionWebhook, true},
	"DELETE /v1/webhooks/{id}":          {notary.ActionWebhookDeleted, true},
	"POST /v1/webhooks/{id}/replay":     {notary.ActionWebhook, true},
}

// writeDown puts what a request did into the trail, before its answer with that status
// begins: into the trail of the tenant that was looked at, whoever looked; of an operator's
// request that is about none, into the depository's own. Who could not be told apart leaves no
// event: there is no end of strangers.
func (s *server) writeDown(r *http.Request, x *exchange, status int) error {
	tenant := x.about
	if tenant == (notary.ID{}) {
		tenant = x.principal.LooksAt()
	}
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	route := chi.RouteContext(r.Context())
	want, ok := trails[method+" "+route.RoutePattern()]
	if !ok || tenant == (notary.ID{}) && x.principal.Role != notary.Operator {
		return nil
	}
	if want.action == notary.ActionReceipt && r.URL.Query().Get("document") != "" {
		want.action = notary.ActionDocument // a certificate that has it in it
	}
	e := notary.TrailEvent{
		Tenant: tenant, Caller: x.principal.Caller, Role: x.principal.Role, Action: want.action,
		Status: status, Address: notary.TrailAddress(r.RemoteAddr), Request: x.id,
	}
	if pattern := route.RoutePattern(); strings.HasPrefix(pattern, "/v1/deposits/{id}") || strings.HasPrefix(pattern, "/v1/grants/{id}") {
		e.Deposit, _ = notary.ParseID(route.URLParam("id"))
	}
	if contract := contractNamed(r.URL, want.action); contract != "" {
		e.Case, _ = s.Notary.CaseTerm(tenant, contract)
	}
	// A request that has run out of its time is answered too, and the event has its own.
	return s.Notary.WriteDown(context.WithoutCancel(r.Context()), e, want.first)
}

// contractNamed is the contract number that a case or a search is asked by.
func contractNamed(u *url.URL, action notary.Action) (contract string) {
	switch action {
	case notary.ActionCase:
		contract, _ = contractOf(u, "")
	case notary.ActionExport:
		contract, _ = contractOf(u, "/bundle")
	case notary.ActionGrant:
		contract, _ = contractOf(u, "/grants")
	case notary.ActionSearch:
		contract = u.Query().Get("contract")
	}
	return contract
}

// ListTrail implements GET /v1/trail.
func (s *server) ListTrail(w http.ResponseWriter, r *http.Request, params api.ListTrailParams) {
	q, err := trailQuery(params, r.URL.Query())
	if err != nil {
		s.fail(w, r, err)
		return
	}
	events, next, err := s.Notary.TrailEvents(r.Context(), of(r).principal, q)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	list := api.TrailList{Events: make([]api.TrailEvent, len(events))}
	for i, e := range events {
		list.Events[i] = api.TrailEvent{
			Time: proofs.FormatTime(e.Time), Caller: e.Caller, Role: string(e.Role), Action: string(e.Action), Status: e.Status, Address: e.Address, Request: e.Request,
		}
		if e.Deposit != (notary.ID{}) {
			list.Events[i].Deposit = e.Deposit.String()
		}
		if e.Case != (notary.Term{}) {
			list.Events[i].Case = hex.EncodeToString(e.Case[:])
		}
	}
	if next != nil {
		list.Next = fmt.Sprintf("%d.%d.%d", next.Day, next.Page, next.Event)
	}
	private(w, "application/json")
	encode(w, list)
}

// trailQuery reads the parameters of the trail.
func trailQuery(params api.ListTrailParams, query url.Values) (q notary.TrailQuery, err error) {
	for name, text := range map[string]*string{
		"deposit": params.Deposit, "contract": params.Contract, "caller": params.Caller, "action": params.Action, "from": params.From, "to": params.To, "cursor": params.Cursor,
	} {
		if text != nil && (*text == "" || len(query[name]) > 1) {
			return q, badSearch(name, "must stand once, and not be empty")
		}
	}
	if p := params.Deposit; p != nil {
		if q.Deposit, err = notary.ParseID(*p); err != nil {
			return q, badSearch("deposit", "must be the id of a deposit")
		}
	}
	if p := params.Contract; p != nil {
		q.Contract = *p
	}
	if p := params.Caller; p != nil {
		q.Caller = *p
	}
	if p := params.Action; p != nil {
		if q.Action = notary.Action(*p); !slices.Contains(notary.Actions, q.Action) {
			return q, badSearch("action", "is none of those there are")
		}
	}
	for name, bound := range map[string]struct {
		text *string
		to   *time.Time
	}{"from": {params.From, &q.From}, "to": {params.To, &q.To}} {
		if bound.text == nil {
			continue
		}
		if *bound.to, err = proofs.ParseTime(*bound.text); err != nil {
			return q, badSearch(name, "must be a time in the form 2026-11-01T00:00:00.000Z")
		}
	}
	if p := params.Cursor; p != nil {
		if q.At, err = trailPlace(*p); err != nil {
			return q, badSearch("cursor", "must be what an answer's next said")
		}
	}
	query.Del("cursor") // whose form is another elsewhere
	list, err := page(query)
	q.Limit = list.Limit
	return q, err
}

func trailPlace(cursor string) (at notary.TrailPlace, err error) {
	var rest string
	n, _ := fmt.Sscanf(cursor, "%d.%d.%d%s", &at.Day, &at.Page, &at.Event, &rest) // which ends before rest
	if n != 3 || fmt.Sprintf("%d.%d.%d", at.Day, at.Page, at.Event) != cursor || at.Day < 0 || at.Event < 0 {
		return at, strconv.ErrSyntax
	}
	return at, nil
}

// GetTrailDay implements GET /v1/trail/{date}.
func (s *server) GetTrailDay(w http.ResponseWriter, r *http.Request, date string) {
	day, err := notary.ParseDay(date)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	d, receipt, err := s.Notary.TrailDigest(r.Context(), of(r).principal, day)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	private(w, "application/json")
	encode(w, api.TrailDay{
		Date: d.Day.String(), Pages: d.Pages, Events: d.Events, Root: hex.EncodeToString(d.Root[:]), Index: receipt.Index, Receipt: string(receipt.Marshal()),
	})
}

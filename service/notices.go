package service

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/api"
)

// remains is what an erasure cannot reach, said with each.
var remains = []string{
	"Backups and archived logs of the database that were made before now hold the deposit, sealed under its tenant's key, until the last of them expires.",
	"Receipts that were issued, and copies of the document that others have, cannot be recalled.",
	"A document that the object store locks until a date stays there, unreadable, until then.",
}

// GetNotices implements GET /v1/deposits/{id}/notices.
func (s *server) GetNotices(w http.ResponseWriter, r *http.Request, id api.DepositID, _ api.GetNoticesParams) {
	parsed, err := notary.ParseID(id)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	standing, err := s.Notary.Notices(r.Context(), of(r).principal, parsed)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	private(w, "application/json")
	encode(w, standingOf(standing))
}

// ListNotices implements GET /v1/notices.
func (s *server) ListNotices(w http.ResponseWriter, r *http.Request, params api.ListNoticesParams) {
	search, err := noticeSearch(params, r.URL.Query())
	if err != nil {
		s.fail(w, r, err)
		return
	}
	found, next, err := s.Notary.SearchNotices(r.Context(), of(r).principal, search)
	if err != nil {
		s.fail(w, r, searchFault(err))
		return
	}
	list := api.NoticeList{Notices: make([]api.FoundNotice, len(found)), Next: cursor(next)}
	for i, n := range found {
		list.Notices[i] = api.FoundNotice{
			Id: n.ID.String(), Index: n.Index, Time: proofs.FormatTime(n.Time), Act: string(n.Act), Deposit: n.Deposit.String(),
			Matter: n.Matter, Reason: n.Reason, By: n.By, State: string(n.State),
		}
	}
	private(w, "application/json")
	encode(w, list)
}

// noticeSearch reads the parameters of a list of notices.
func noticeSearch(params api.ListNoticesParams, query url.Values) (out notary.NoticeSearch, err error) {
	list, err := page(query)
	if err != nil {
		return out, err
	}
	out.From, out.Limit = list.From, list.Limit
	if out.Backward, err = backward(params.Order, query); err != nil {
		return out, err
	}
	if p := params.Act; p != nil {
		if out.Act = notary.Act(*p); len(query["act"]) > 1 || !slices.Contains(notary.KeepingActs, out.Act) {
			return out, badSearch("act", "must be hold, release, erasure-asked or erasure")
		}
	}
	if p := params.State; p != nil {
		if out.Open = *p == "open"; len(query["state"]) > 1 || !out.Open && *p != "all" {
			return out, badSearch("state", "must be open or all")
		}
	}
	return out, nil
}

// HoldDeposit implements POST /v1/deposits/{id}/hold.
func (s *server) HoldDeposit(w http.ResponseWriter, r *http.Request, id api.DepositID, params api.HoldDepositParams) {
	s.notice(w, r, id, notary.Notice{Act: notary.ActHold, Key: params.IdempotencyKey})
}

// ReleaseDeposit implements POST /v1/deposits/{id}/release.
func (s *server) ReleaseDeposit(w http.ResponseWriter, r *http.Request, id api.DepositID, params api.ReleaseDepositParams) {
	s.notice(w, r, id, notary.Notice{Act: notary.ActRelease, Key: params.IdempotencyKey})
}

// EraseDeposit implements POST /v1/deposits/{id}/erasure.
func (s *server) EraseDeposit(w http.ResponseWriter, r *http.Request, id api.DepositID, params api.EraseDepositParams) {
	s.notice(w, r, id, notary.Notice{Act: notary.ActErase, Key: params.IdempotencyKey})
}

func (s *server) notice(w http.ResponseWriter, r *http.Request, id string, want notary.Notice) {
	receipt, standing, err := s.noted(r, id, want)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	answer := api.NoticeAnswer{Receipt: string(receipt.Marshal()), Standing: standingOf(standing)}
	for _, n := range answer.Standing.Notices {
		if n.Index == receipt.Index {
			answer.Notice = n
		}
	}
	status := http.StatusCreated
	switch notary.Act(answer.Notice.Act) {
	case notary.ActAsk:
		status = http.StatusAccepted
		answer.Remains = remains
	case notary.ActErase:
		answer.Remains = remains
	}
	private(w, "application/json")
	w.WriteHeader(status)
	encode(w, answer)
}

func (s *server) noted(r *http.Request, id string, want notary.Notice) (receipt proofs.Receipt, standing notary.Standing, err error) {
	if want.Deposit, err = notary.ParseID(id); err != nil {
		return receipt, standing, err
	}
	if !of(r).principal.Role.MayKeep() { // before its body is read
		return receipt, standing, notary.ErrForbidden
	}
	fields, err := s.fields(r, `{"matter": "…", "reason": "…"}`, "matter", "reason")
	if err != nil {
		return receipt, standing, err
	}
	for name, to := range map[string]*string{"matter": &want.Matter, "reason": &want.Reason} {
		if value := fields[name]; value != nil && json.Unmarshal(value, to) != nil {
			return receipt, standing, refuse(malformedJSON, "The field \""+name+"\" is not a string.")
		}
	}
	want.Until = s.preferences(r.Header).until
	return s.Notary.Note(r.Context(), of(r).principal, want)
}

// standingOf is how the API tells how a deposit stands.
func standingOf(s notary.Standing) api.Standing {
	out := api.Standing{
		Deposit: s.Deposit.String(), Index: s.Index, Time: proofs.FormatTime(s.Time), State: "kept",
		Matters: append([]string{}, s.Matters...), Notices: make([]api.Notice, len(s.Notices)),
	}
	switch {
	case s.Erased != nil:
		out.State = "erased"
	case len(s.Matters) > 0:
		out.State = "held"
	case s.Asked != nil:
		out.State = "erasure-asked"
	}
	if !s.Until.IsZero() {
		out.Until = proofs.FormatTime(s.Until)
	}
	for i, n := range s.Notices {
		out.Notices[i] = api.Notice{
			Id: n.ID.String(), Index: n.Index, Time: proofs.FormatTime(n.Time), Act: string(n.Act), Matter: n.Matter, Reason: n.Reason, By: n.By,
		}
	}
	return out
}

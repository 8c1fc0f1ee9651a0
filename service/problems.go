package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/notary/certificate"
	"github.com/muniment/muniment/service/api"
	"github.com/muniment/muniment/service/auth"
)

// problem is one type of RFC 9457 problem. openapi.yaml lists them all for callers.
type problem struct {
	name   string // /problems/<name> is the type; it never changes its meaning
	status int
	title  string
	retry  bool // the same request may succeed later
	after  int  // seconds, for Retry-After; 0: no such header
	logged bool // the error behind it is the operator's business, and is not told
}

var (
	malformedJSON          = &problem{name: "malformed-json", status: 400, title: "The JSON is not what is asked for"}
	malformedMultipart     = &problem{name: "malformed-multipart", status: 400, title: "The parts are not those asked for"}
	idempotencyKeyRequired = &problem{name: "idempotency-key-required", status: 400, title: "An Idempotency-Key is required"}
	malformedBatch         = &problem{name: "malformed-batch", status: 400, title: "The body is not the lines of a batch"}
	badDigest              = &problem{name: "content-digest", status: 400, title: "The body is not the one that was announced", retry: true}
	truncatedUpload        = &problem{name: "truncated-upload", status: 400, title: "The body ended too early", retry: true}
	unauthorized           = &problem{name: "unauthorized", status: 401, title: "A valid API key or token is required"}
	forbidden              = &problem{name: "forbidden", status: 403, title: "The key's role does not allow this"}
	quotaExceeded          = &problem{name: "quota-exceeded", status: 403, title: "Your tenant has used up its quota of the month"}
	notFound               = &problem{name: "not-found", status: 404, title: "There is no such thing, or it is not yours"}
	notHeld                = &problem{name: "not-held", status: 404, title: "The depository never received the document"}
	notStamped             = &problem{name: "not-stamped", status: 404, title: "No time-stamp covers the deposit yet", retry: true}
	methodNotAllowed       = &problem{name: "method-not-allowed", status: 405, title: "The method does not exist here"}
	timeout                = &problem{name: "timeout", status: 408, title: "The body came too slowly", retry: true}
	kept                   = &problem{name: "kept", status: 409, title: "The deposit must be kept"}
	notHeldUnderMatter     = &problem{name: "not-held-under-matter", status: 409, title: "The deposit is not held under that matter"}
	notConfirmable         = &problem{name: "not-confirmable", status: 409, title: "The key cannot be confirmed so"}
	erased                 = &problem{name: "erased", status: 410, title: "The deposit was erased"}
	tooLarge               = &problem{name: "too-large", status: 413, title: "The body is too large"}
	unsupportedMediaType   = &problem{name: "unsupported-media-type", status: 415, title: "The body is of another kind than those accepted here"}
	rangeNotSatisfiable    = &problem{name: "range-not-satisfiable", status: 416, title: "The range is not in the document"}
	invalidRecord          = &problem{name: "invalid-record", status: 422, title: "The record cannot be deposited"}
	invalidSearch          = &problem{name: "invalid-search", status: 422, title: "The search cannot be made"}
	invalidBatch           = &problem{name: "invalid-batch", status: 422, title: "Lines of the batch cannot be deposited"}
	invalidVerification    = &problem{name: "invalid-verification", status: 422, title: "The policy is not a policy"}
	invalidAssurance       = &problem{name: "invalid-assurance", status: 422, title: "The assurance cannot be given"}
	invalidWebhook         = &problem{name: "invalid-webhook", status: 422, title: "The webhook cannot be made so"}
	invalidGrant           = &problem{name: "invalid-grant", status: 422, title: "It cannot be opened so"}
	invalidAccount         = &problem{name: "invalid-account", status: 422, title: "The tenant or key cannot be made so"}
	preCheck               = &problem{name: "pre-check", status: 422, title: "The deposit breaks a rule of its tenant's"}
	digestMismatch         = &problem{name: "digest-mismatch", status: 422, title: "The document is not the one that was announced"}
	idempotencyKeyReused   = &problem{name: "idempotency-key-reused", status: 422, title: "The Idempotency-Key stands for other content"}
	rateLimited            = &problem{name: "rate-limited", status: 429, title: "Too many deposits of your tenant", retry: true, after: 1}
	bundleUnderWay         = &problem{name: "bundle-under-way", status: 429, title: "Another bundle of yours is under way", retry: true, after: 5}
	caseTooLarge           = &problem{name: "case-too-large", status: 422, title: "The case has more deposits than a bundle holds"}
	internal               = &problem{name: "internal", status: 500, title: "Internal error", logged: true}
	damaged                = &problem{name: "damaged", status: 500, title: "Stored data is damaged", logged: true}
	busy                   = &problem{name: "busy", status: 503, title: "Too many requests are waiting", retry: true, after: 1}
	backlog                = &problem{name: "backlog", status: 503, title: "Too many entries wait for their seal", retry: true, after: 5}
	clock                  = &problem{name: "clock", status: 503, title: "The depository does not trust its clock", retry: true, after: 60, logged: true}
	trailUnavailable       = &problem{name: "trail-unavailable", status: 503, title: "Who asks cannot be written down", retry: true, after: 5, logged: true}
	unavailable            = &problem{name: "unavailable", status: 503, title: "Storage did not answer", retry: true, after: 5, logged: true}
	sealingDelayed         = &problem{name: "sealing-delayed", status: 503, title: "The deposit is committed and waits for its seal", retry: true, after: 1}
	witnessQuorum          = &problem{name: "witness-quorum", status: 503, title: "Too few witnesses cosign the log", retry: true, after: 5}
	secondOpinion          = &problem{name: "second-opinion", status: 503, title: "The second opinion on the log is missing", retry: true, after: 5}
	signing                = &problem{name: "signing", status: 503, title: "The certificate cannot be signed now", retry: true, after: 30, logged: true}
	stopping               = &problem{name: "stopping", status: 503, title: "The depository is stopping", retry: true, after: 5}
	insufficientStorage    = &problem{name: "insufficient-storage", status: 507, title: "There is no room left in storage", retry: true, after: 60}
)

// table is what each error of the notary is to a caller. It is read from the top:
// ErrUnavailable may wrap whatever storage said, and ErrNotFound within it is not
// the caller's mistake.
var table = []struct {
	err     error
	problem *problem
	detail  string // what the caller may know; empty: the error's own words are for the caller
}{
	{notary.ErrTrail, trailUnavailable, "Nothing is given out that nobody could account for. Of what was to be changed it is not known whether it was; the same Idempotency-Key tells."},
	{notary.ErrUnavailable, unavailable, "Storage did not answer in time. Whether a deposit was kept is not known; the same Idempotency-Key tells."},
	{notary.ErrDamaged, damaged, "Something stored does not read back as it was written. The operator has been told."},
	{notary.ErrForbidden, forbidden, "The role of this API key does not allow this."},
	{notary.ErrKeyReused, idempotencyKeyReused, "This Idempotency-Key stands for other content. Use a new key for new content."},
	{notary.ErrErased, erased, "The deposit was lawfully erased. Its entry remains in the log."},
	{notary.ErrHeld, kept, ""},
	{notary.ErrNoHold, notHeldUnderMatter, ""},
	{notary.ErrNotHeld, notHeld, "The deposit is digest-only; the document stayed with the depositor."},
	{notary.ErrNotStamped, notStamped, "No checkpoint that covers the deposit has been dated by a time-stamp authority yet. Its receipt is good without."},
	{notary.ErrDigest, digestMismatch, ""},
	{notary.ErrBusy, busy, busyDetail},
	{notary.ErrBacklog, backlog, "Nothing was kept. Try again later."},
	{notary.ErrQuorum, witnessQuorum, "Nothing was kept. It goes on by itself when the witnesses are back."},
	{notary.ErrOpinion, secondOpinion, "Nothing was kept. It goes on by itself."},
	{notary.ErrNoWitnesses, invalidAssurance, "The log's policy names no witnesses. Nothing was kept."},
	{notary.ErrClock, clock, "Nothing was kept: no honest time can be given. The operator must set the clock right."},
	{notary.ErrNoRoom, insufficientStorage, "Nothing was kept."},
	{notary.ErrStopped, stopping, "Try again when the depository is back."},
	{notary.ErrNotFound, notFound, "There is no such thing, or it is not yours."},
	{certificate.ErrNotDated, signing, "No time-stamp authority answers that would date the signature. The deposit's receipt is good without a certificate."},
	{certificate.ErrSigner, signing, "The depository's key for certificates cannot sign. The operator has been told."},
	{auth.ErrUnauthenticated, unauthorized, "Send an API key of this depository, a token of an issuer that it trusts, or a link, as Authorization: Bearer …"},
	// The request ran out of its time before anything was committed.
	{context.DeadlineExceeded, unavailable, "There was no time left for the request. Nothing was kept."},
	{context.Canceled, unavailable, "The request was abandoned. Nothing was kept."},
}

const busyDetail = "Nothing was kept. Try again soon."

// refusal is an error of the HTTP edge itself.
type refusal struct {
	problem *problem
	detail  string
	member  string
	after   int // seconds, for Retry-After; 0: as the problem says
}

func (r *refusal) Error() string { return r.problem.name + ": " + r.detail }

func refuse(p *problem, detail string) error { return &refusal{problem: p, detail: detail} }

// judge finds the problem that an error is to the caller.
func judge(err error) (*problem, api.Problem) {
	var (
		refused *refusal
		invalid *notary.InvalidError
		check   *notary.CheckError
		batch   *notary.BatchError
		delayed *notary.SealingDelayedError
		missing *notary.QuorumMissingError
		opinion *notary.OpinionMissingError
		tree    *notary.OpinionError
		quota   *notary.QuotaError
	)
	switch {
	case errors.As(err, &refused):
		return refused.problem, api.Problem{Detail: refused.detail, Member: refused.member}
	case errors.As(err, &batch):
		return invalidBatch, api.Problem{Detail: fmt.Sprintf("%d of the lines cannot be deposited. Nothing was kept.", len(batch.Lines)), Lines: badLines(batch.Lines)}
	case errors.As(err, &delayed):
		return sealingDelayed, api.Problem{
			Detail:    "The deposit stands in the log. Send the request again with the same Idempotency-Key for its receipt.",
			Id:        delayed.ID.String(),
			Committed: true,
		}
	case errors.As(err, &missing):
		return witnessQuorum, api.Problem{
			Detail:    "The deposit stands in the log. Send the request again with the same Idempotency-Key for its receipt.",
			Id:        missing.ID.String(),
			Committed: true,
		}
	case errors.As(err, &opinion):
		return secondOpinion, api.Problem{
			Detail:    "The deposit stands in the log. Send the request again with the same Idempotency-Key for its receipt.",
			Id:        opinion.ID.String(),
			Committed: true,
		}
	case errors.As(err, &tree):
		return secondOpinion, api.Problem{Detail: "Nothing was kept: " + tree.Why + ". It goes on by itself."}
	case errors.As(err, &quota):
		return quotaExceeded, api.Problem{Detail: quota.Error() + " Nothing was kept."}
	case errors.As(err, &check):
		return preCheck, api.Problem{Detail: check.Error() + ". Nothing was kept.", Member: check.Member, Code: string(check.Code)}
	case errors.As(err, &invalid):
		return invalidRecord, api.Problem{Detail: invalid.Error(), Member: invalid.Member}
	}
	for _, row := range table {
		if errors.Is(err, row.err) {
			if row.detail == "" {
				return row.problem, api.Problem{Detail: err.Error()}
			}
			return row.problem, api.Problem{Detail: row.detail}
		}
	}
	return internal, api.Problem{Detail: "The operator's log has more."}
}

// maxDetail bounds what is said of one line of a batch, in bytes: its text may be the
// caller's own.
const maxDetail = 300

func badLines(lines []notary.BadLine) []api.BadLine {
	out := make([]api.BadLine, len(lines))
	for i, l := range lines {
		if len(l.Reason) > maxDetail {
			l.Reason = strings.ToValidUTF8(l.Reason[:maxDetail], "") + "…"
		}
		out[i] = api.BadLine{Line: l.Line, Member: l.Member, Detail: l.Reason, Code: string(l.Code)}
	}
	return out
}

// fail answers with the problem that err is, and logs it where the caller is not
// told the whole of it.
func (s *server) fail(w http.ResponseWriter, r *http.Request, err error) {
	p, body := judge(err)
	s.metrics.problems.WithLabelValues(p.name).Inc()
	s.note(r, p, err)
	body.Type, body.Title, body.Status, body.Retry = "/problems/"+p.name, p.title, p.status, p.retry
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	after := p.after
	if refused := new(refusal); errors.As(err, &refused) && refused.after > 0 {
		after = refused.after
	}
	if after > 0 {
		h.Set("Retry-After", strconv.Itoa(after))
	}
	if p == unauthorized {
		h.Set("WWW-Authenticate", "Bearer")
	}
	w.WriteHeader(p.status)
	encode(w, body)
}

// note logs the error behind a problem that is the operator's business. That a
// caller left is not.
func (s *server) note(r *http.Request, p *problem, err error) {
	if !p.logged {
		return
	}
	level := slog.LevelError
	if errors.Is(context.Cause(r.Context()), context.Canceled) {
		level = slog.LevelInfo
	}
	s.Logger.LogAttrs(r.Context(), level, "a request failed",
		slog.String("request", of(r).id), slog.String("problem", p.name), slog.Any("error", err))
}

// encode writes v as JSON. An error in writing is the connection's end, and there
// is nobody left to tell.
func encode(w io.Writer, v any) {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	_ = e.Encode(v)
}

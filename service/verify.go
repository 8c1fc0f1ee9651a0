package service

import (
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/proofs/mldsa"
	"github.com/muniment/muniment/proofs/sm"
	"github.com/muniment/muniment/service/api"
)

// maxPolicy bounds a policy that comes along, in bytes.
const maxPolicy = 64 << 10

// question is what POST /v1/verify is asked.
type question struct {
	receipt  []byte
	policy   []byte // nil: none came along
	document *upload
}

// Verify implements POST /v1/verify. It asks nothing of what is stored, and keeps
// nothing.
func (s *server) Verify(w http.ResponseWriter, r *http.Request, _ api.VerifyParams) {
	held := share{of: &s.verifying}
	defer held.release()
	q, err := s.question(r, &held)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	answer, err := s.answer(q)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	private(w, "application/json")
	encode(w, answer)
}

// question reads a request as far as the document's first byte.
func (s *server) question(r *http.Request, held *share) (question, error) {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case err == nil && kind == "application/json":
		return s.questionJSON(r, held)
	case err == nil && kind == "multipart/form-data" && params["boundary"] != "":
		return s.questionForm(r, params["boundary"], held)
	}
	return question{}, refuse(unsupportedMediaType, "Send multipart/form-data with receipt, policy and document, or application/json with receipt and policy.")
}

// questionJSON reads {"receipt": "…", "policy": "…"}.
func (s *server) questionJSON(r *http.Request, held *share) (question, error) {
	const most = 2 * (proofs.MaxReceipt + maxPolicy) // room for escapes
	b, err := s.body(r, most, fmt.Sprintf("The body is larger than %d bytes.", most))
	if err != nil {
		return question{}, err
	}
	data, err := io.ReadAll(&charged{b, held})
	if err != nil {
		return question{}, err
	}
	fields, err := envelope(data, `{"receipt": "…", "policy": "…"}`, "receipt", "policy")
	if err != nil {
		return question{}, err
	}
	var q question
	for name, to := range map[string]*[]byte{"receipt": &q.receipt, "policy": &q.policy} {
		value, there := fields[name]
		var text *string
		switch {
		case !there && name == "receipt":
			return question{}, missing(name)
		case !there:
			continue
		case json.Unmarshal(value, &text) != nil || text == nil:
			return question{}, refuse(malformedJSON, fmt.Sprintf("The field %q is not a string.", name))
		}
		*to = []byte(*text)
	}
	return q, nil
}

// questionForm reads the parts receipt and policy, and opens the document.
func (s *server) questionForm(r *http.Request, boundary string, held *share) (q question, err error) {
	what := fmt.Sprintf("The document is larger than %d bytes, the receipt than %d, or the policy than %d.", s.MaxDocument, proofs.MaxReceipt, maxPolicy)
	b, err := s.body(r, s.MaxDocument+proofs.MaxReceipt+maxPolicy+2*framing, what)
	if err != nil {
		return question{}, err
	}
	b.allow = proofs.MaxReceipt + maxPolicy + framing
	f := newForm(b, boundary, "receipt, then policy and document where there are any, once each")
	p, err := f.due("receipt")
	if err != nil {
		return question{}, err
	}
	if q.receipt, err = f.whole(&charged{p, held}, "receipt", proofs.MaxReceipt); err != nil {
		return question{}, err
	}
	if p, err = f.next(); err == nil && p.FormName() == "policy" {
		if q.policy, err = f.whole(&charged{p, held}, "policy", maxPolicy); err == nil {
			p, err = f.next()
		}
	}
	switch {
	case err == io.EOF: //nolint:errorlint // next returns it bare
		_, err = io.Copy(io.Discard, b)
		return q, err
	case err != nil:
		return question{}, err
	case p.FormName() != "document":
		return question{}, f.disorder("document")
	}
	b.allow += s.MaxDocument + framing
	q.document = &upload{formBody: f, part: p, left: s.MaxDocument}
	return q, nil
}

// answer checks the receipt, and reads the document to its end in any case: an answer
// in the middle of an upload may not be heard.
func (s *server) answer(q question) (api.Verification, error) {
	// What is no receipt at all parses to the zero Receipt, which Verify refuses as
	// malformed.
	receipt, _ := proofs.ParseReceipt(q.receipt)
	verifier := s.inForce(receipt)
	if q.policy != nil {
		policy, err := proofs.ParsePolicy(q.policy)
		if err != nil {
			return api.Verification{}, refuse(invalidVerification, "The policy is not a C2SP tlog-policy: "+reason(err))
		}
		verifier = proofs.NewVerifier(policy, mldsa.Plugged(), sm.Plugged())
	}
	var document io.Reader
	if q.document != nil {
		document = q.document
	}
	evidence, err := verifier.Verify(receipt, document)
	if err == nil && document != nil {
		_, err = io.Copy(io.Discard, document)
	}
	if err != nil {
		return api.Verification{}, err
	}
	return verification(evidence, q.policy != nil), nil
}

// inForce finds the site's own policy under which a receipt may have been given: the
// newest that does not refuse it. Nobody is misled if an older one is taken for a receipt
// from which something was stripped: the answer is undecided at best, and names it.
func (s *server) inForce(receipt proofs.Receipt) *proofs.Verifier {
	for _, v := range s.found {
		if e, err := v.Verify(receipt, nil); err == nil && e.Outcome() != proofs.Refused {
			return v
		}
	}
	return s.found[0]
}

// reason is what a parser of proofs found, without its prefix.
func reason(err error) string {
	return strings.TrimPrefix(err.Error(), proofs.ErrMalformed.Error()+": ")
}

// verification is evidence as the API tells it.
func verification(e proofs.Evidence, given bool) api.Verification {
	v := api.Verification{
		Outcome:        e.Outcome().String(),
		Reason:         string(e.Reason),
		Document:       string(e.Document),
		DocumentSha256: e.DocumentSHA256,
		DocumentSm3:    e.DocumentSM3,
		Policy:         e.Policy,
		PolicyGiven:    given,
	}
	v.Explanations.En = explanation(e.Explain(proofs.English))
	v.Explanations.Zh = explanation(e.Explain(proofs.Chinese))
	if e.Level == "" {
		return v
	}
	v.Level, v.Origin, v.Index = string(e.Level), e.Origin, &e.Index
	v.Time, v.Leaf = proofs.FormatTime(e.Entry.Time), e.Leaf.String()
	v.Size, v.Root = e.Size, e.Root.String()
	v.Record, v.Hidden = []byte(e.Record.JSON()), e.Hidden
	d := e.Depositor
	v.Depositor = &api.DepositorSignature{
		Check: string(d.Check), Algorithm: d.Algorithm, Key: d.Key, Registered: d.Registered, Members: d.Members, Hidden: d.Hidden,
	}
	for _, s := range e.Signatures {
		check := api.SignatureCheck{Name: s.Name, Role: s.Role, Key: s.Key}
		if !s.Time.IsZero() {
			check.Time = proofs.FormatTime(s.Time)
		}
		v.Signatures = append(v.Signatures, check)
	}
	return v
}

func explanation(x proofs.Explanation) api.Explanation {
	return api.Explanation{Verdict: x.Verdict, Proved: x.Proved, NotProved: x.NotProved}
}

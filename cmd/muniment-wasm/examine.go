package main

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/muniment/muniment/notary/certificate"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/proofs/mldsa"
	"github.com/muniment/muniment/proofs/rfc3161"
	"github.com/muniment/muniment/proofs/sm"
)

// A question is what the visitor brings, beside files.
type question struct {
	Kinds []kind `json:"kinds"` // of the files
	// Policy is pasted by the visitor. Fingerprint is of a policy that they know by it alone.
	Policy      string `json:"policy"`
	Fingerprint string `json:"fingerprint"`
	Site        site   `json:"site"`
	Now         int64  `json:"now"` // POSIX milliseconds, of the visitor's clock

	files    []file
	progress func(done int64)
}

// site is what the depository offers itself, which proves nothing about who signed.
type site struct {
	Policies []string `json:"policies"` // the one in force first
	Roots    string   `json:"roots"`    // PEM; may be empty
}

// An answer is what to show. Text in it is harmless.
type answer struct {
	// Fault is why nothing could be examined: a key of the page's words, and what belongs
	// into the sentence.
	Fault string   `json:"fault,omitempty"`
	About []string `json:"about,omitempty"`

	*verdict
	Bundle *bundled `json:"bundle,omitempty"`
}

// A verdict is what became of a receipt, with or without a document.
type verdict struct {
	Outcome string        `json:"outcome"`
	Reason  proofs.Reason `json:"reason,omitempty"`
	// Words are in each language, so that the page can change its own without asking again.
	Words map[proofs.Language]words `json:"words"`
	// Fingerprint is that of the policy. Own: the visitor chose it.
	Fingerprint string `json:"fingerprint"`
	Own         bool   `json:"own"`

	Compared bool   `json:"compared"` // a document was given
	Document string `json:"document,omitempty"`
	Receipt  string `json:"receipt"` // file
	// Certificate is what the receipt was in, if it was in one that holds.
	Certificate *paper        `json:"certificate,omitempty"`
	Hash        string        `json:"hash,omitempty"`    // by which the document is another
	Digests     []string      `json:"digests,omitempty"` // by that: the document's, the receipt's
	Depositor   string        `json:"depositor,omitempty"`
	Contract    string        `json:"contract,omitempty"`
	Time        string        `json:"time,omitempty"`
	Origin      string        `json:"origin,omitempty"`
	Signed      []signer      `json:"signed,omitempty"`
	Stamps      []signer      `json:"stamps,omitempty"`
	Record      []proofs.Fact `json:"record,omitempty"`
	Picture     *picture      `json:"picture,omitempty"`
}

// words are a verdict in one language.
type words struct {
	proofs.Explanation
	Facts []proofs.Fact `json:"facts"`
}

// A signer is someone whose signature holds, and when they say it was made.
type signer struct {
	Name string `json:"name"`
	Role string `json:"role"` // log, witness or authority
	Time string `json:"time,omitempty"`
}

// fault is an error to be said in the page's words.
type fault struct {
	key   string
	about []string
}

func (f *fault) Error() string { return f.key + " " + strings.Join(f.about, " ") }

func faulty(key string, about ...string) error { return &fault{key, about} }

// answer examines the files.
func (q *question) answer() answer {
	var a answer
	b, err := q.bundle()
	switch {
	case err != nil:
	case b != nil:
		a.Bundle, err = q.examineBundle(b)
	default:
		a.verdict, err = q.examineOne()
	}
	var own *fault
	switch {
	case errors.As(err, &own):
		for i := range own.about {
			own.about[i] = proofs.Plain(own.about[i])
		}
		return answer{Fault: own.key, About: own.about}
	case err != nil:
		return answer{Fault: "fault-unreadable", About: []string{proofs.Plain(err.Error())}}
	}
	return a
}

// examineOne judges a certificate, or a receipt.
func (q *question) examineOne() (*verdict, error) {
	paper, err := q.only(kindCertificate)
	if err != nil {
		return nil, err
	}
	if paper == nil {
		return q.examine()
	}
	receipt, err := q.only(kindReceipt)
	if err != nil {
		return nil, err
	}
	if receipt != nil {
		return nil, faulty("fault-certificate-and-receipt", paper.Name, receipt.Name)
	}
	return q.examineCertificate(paper)
}

func (q *question) examine() (*verdict, error) {
	receipt, err := q.only(kindReceipt)
	if err != nil {
		return nil, err
	}
	document, err := q.only(kindDocument)
	switch {
	case err != nil:
		return nil, err
	case receipt == nil && document != nil && strings.HasSuffix(strings.ToLower(document.Name), ".zip"):
		return nil, faulty("fault-no-bundle", document.Name)
	case receipt == nil:
		return nil, faulty("fault-no-receipt")
	}
	data, err := receipt.read(proofs.MaxReceipt)
	if err != nil {
		return nil, faulty("fault-unreadable", receipt.Name)
	}
	// What is no receipt at all parses to the zero Receipt, which Verify refuses as
	// malformed.
	r, _ := proofs.ParseReceipt(data)
	record, err := q.record()
	if err != nil {
		return nil, err
	}
	judge, own, err := q.judge(r, nil)
	if err != nil {
		return nil, err
	}
	var in io.Reader
	if document != nil {
		in = &streamed{file: *document, progress: q.progress}
	}
	e, err := q.evidence(judge, r, record, in)
	if err != nil {
		return nil, faulty("fault-unreadable", document.Name)
	}
	v := newVerdict(r, e)
	v.Own, v.Receipt = own, proofs.Plain(receipt.Name)
	if document != nil {
		v.Compared, v.Document = true, proofs.Plain(document.Name)
	}
	return v, nil
}

// evidence is what the verifier says, with the evidence record if there is one.
func (q *question) evidence(v *proofs.Verifier, r proofs.Receipt, record *proofs.EvidenceRecord, in io.Reader) (proofs.Evidence, error) {
	if record != nil {
		return v.VerifyRecord(r, *record, time.UnixMilli(q.Now), in)
	}
	return v.Verify(r, in)
}

// only is the file of that kind, nil if there is none.
func (q *question) only(k kind) (found *file, err error) {
	for i, f := range q.files {
		if f.Kind != k {
			continue
		}
		if found != nil {
			return nil, faulty("fault-two-"+string(k), found.Name, f.Name)
		}
		found = &q.files[i]
	}
	return found, nil
}

// record is the evidence record beside the receipt, if there is one.
func (q *question) record() (*proofs.EvidenceRecord, error) {
	f, err := q.only(kindEvidence)
	if f == nil || err != nil {
		return nil, err
	}
	data, err := f.read(proofs.MaxEvidenceRecord)
	if err != nil {
		return nil, faulty("fault-unreadable", f.Name)
	}
	// What is no record at all parses to the zero one, which is refused as malformed.
	record, _ := proofs.ParseEvidenceRecord(data)
	return &record, nil
}

// judge chooses the policy: the visitor's own, or else the newest of the site's that does not
// refuse the receipt, or where there is no site the one that came along. The site's roots of
// time-stamp authorities, or those that came along, go with such policies alone: beside the
// visitor's policy they would pass for the visitor's choice.
func (q *question) judge(r proofs.Receipt, along *certificate.Checked) (v *proofs.Verifier, own bool, err error) {
	roots, err := q.roots()
	if err != nil {
		return nil, false, err
	}
	offered := q.Site
	if along != nil { // its fingerprint may be one that the visitor knows
		q.Site.Policies = append(slices.Clip(offered.Policies), string(along.Policy))
	}
	policy, err := q.policy()
	if err != nil {
		return nil, false, err
	}
	if along != nil && len(offered.Policies) == 0 {
		offered = site{q.Site.Policies, string(along.Roots)}
	}
	if policy != nil {
		return proofs.NewVerifier(*policy, plugged(roots)...), true, nil
	}
	if roots == nil && offered.Roots != "" {
		roots = []byte(offered.Roots)
	}
	for _, text := range offered.Policies {
		p, err := proofs.ParsePolicy([]byte(text))
		if err != nil {
			return nil, false, faulty("fault-site")
		}
		found := proofs.NewFoundVerifier(p, plugged(roots)...)
		if v == nil {
			v = found
		}
		if e, err := found.Verify(r, nil); err == nil && e.Outcome() != proofs.Refused {
			return found, false, nil
		}
	}
	if v == nil {
		return nil, false, faulty("fault-no-policy")
	}
	return v, false, nil
}

// plugged is what muniment verify plugs in too. Roots were parsed before.
func plugged(roots []byte) []proofs.Option {
	options := []proofs.Option{mldsa.Plugged(), sm.Plugged()}
	if a := authorities(roots); a != nil {
		options = append(options, proofs.WithTimestamps(a))
	}
	return options
}

// roots are those that the visitor brought, nil if none.
func (q *question) roots() ([]byte, error) {
	f, err := q.only(kindRoots)
	if f == nil || err != nil {
		return nil, err
	}
	data, err := f.read(maxRoots)
	if err != nil {
		return nil, faulty("fault-unreadable", f.Name)
	}
	if _, err := rfc3161.ParseRoots(data); err != nil {
		return nil, faulty("fault-roots", f.Name)
	}
	return data, nil
}

var policyLine = regexp.MustCompile(`^policy line (\d+): `)

// policy is the visitor's own: a file, pasted, or one of the site's whose fingerprint they
// know from elsewhere, which comes to the same. nil: they brought none.
func (q *question) policy() (*proofs.Policy, error) {
	f, err := q.only(kindPolicy)
	if err != nil {
		return nil, err
	}
	text := []byte(q.Policy)
	switch {
	case f != nil && q.Policy != "":
		return nil, faulty("fault-two-policy", f.Name, "")
	case f != nil:
		if text, err = f.read(maxPolicy); err != nil {
			return nil, faulty("fault-unreadable", f.Name)
		}
	}
	fingerprint, err := q.fingerprint()
	if err != nil {
		return nil, err
	}
	if len(text) == 0 && f == nil {
		return q.known(fingerprint)
	}
	p, err := parsePolicy(text, f == nil)
	if err != nil {
		if line := policyLine.FindStringSubmatch(err.Error()); line != nil {
			return nil, faulty("fault-policy-line", line[1])
		}
		return nil, faulty("fault-policy")
	}
	if fingerprint != "" && p.Fingerprint() != fingerprint {
		return nil, faulty("fault-fingerprint-of-policy", p.Fingerprint())
	}
	return &p, nil
}

// parsePolicy reads a policy. A pasted one has lost what the clipboard makes of line ends, and
// often the last of them; the fingerprint tells whether the bytes are those that were meant.
func parsePolicy(text []byte, pasted bool) (proofs.Policy, error) {
	if pasted {
		s := strings.ReplaceAll(string(text), "\r\n", "\n")
		if !strings.HasSuffix(s, "\n") {
			s += "\n"
		}
		text = []byte(s)
	}
	return proofs.ParsePolicy(text)
}

// fingerprint is what the visitor typed, without the blanks that are between its groups.
func (q *question) fingerprint() (string, error) {
	s := strings.ToLower(strings.Map(func(r rune) rune {
		if strings.ContainsRune(" \t\r\n:-\u3000\u00a0", r) {
			return -1
		}
		return r
	}, q.Fingerprint))
	if s != "" && !regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(s) {
		return "", faulty("fault-fingerprint-form", fmt.Sprint(len(s)))
	}
	return s, nil
}

// known is the site's policy of that fingerprint. Who knows the fingerprint has chosen the
// policy: no other has it.
func (q *question) known(fingerprint string) (*proofs.Policy, error) {
	if fingerprint == "" {
		return nil, nil
	}
	for _, text := range q.Site.Policies {
		if p, err := proofs.ParsePolicy([]byte(text)); err == nil && p.Fingerprint() == fingerprint {
			return &p, nil
		}
	}
	return nil, faulty("fault-fingerprint-other")
}

package certificate

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/proofs/mldsa"
	"github.com/muniment/muniment/proofs/rfc3161"
	"github.com/muniment/muniment/proofs/sm"
)

// Template is the version of what certificates look like: of the words, the layout, the font
// and the form of the file. Whoever changes a byte of any raises it; a program knows one.
const Template = 1

// Language is what a certificate is written in.
type Language string

// The languages.
const (
	English Language = "en"
	Chinese Language = "zh"
	Both    Language = "both" // side by side
)

// Profile is for whom a certificate is laid out.
type Profile string

// The profiles.
const (
	Plain Profile = "plain"
	PRC   Profile = "prc" // in the order of arts 16 to 19 of the Online Litigation Rules
	FRE   Profile = "fre" // with a draft certification under Rule 902(13) and (14)
)

// Bounds of what goes into a certificate.
const (
	// MaxDocument is the most bytes of a document that is embedded.
	MaxDocument = 16 << 20
	// MaxFile is more bytes than any certificate has.
	MaxFile      = MaxDocument + 8<<20
	maxStatement = 2000 // characters
	maxURL       = 200  // bytes
	maxActs      = 20
	maxName      = 2000    // bytes
	maxTexts     = 1 << 20 // bytes: a thousand matters of 200 characters
)

// Act is a notice in a deposit's standing.
type Act struct {
	Index  uint64    `json:"index"`
	Time   time.Time `json:"time"`
	Act    string    `json:"act"`
	Matter string    `json:"matter,omitempty"`
}

// Standing is how a deposit stands by its notices, as the depository says.
type Standing struct {
	Deposit string    `json:"deposit"` // its id
	State   string    `json:"state"`   // kept, held, erasure-asked or erased
	Until   time.Time `json:"until,omitzero"`
	Matters []string  `json:"matters,omitempty"`
	Acts    []Act     `json:"acts,omitempty"` // the newest, in their order
	Earlier int       `json:"earlier,omitempty"`
}

// Issue is what a certificate says beside its evidence. It stands in the file as
// certificate.json, in these very bytes.
type Issue struct {
	Template  int       `json:"template"`
	Language  Language  `json:"language"`
	Profile   Profile   `json:"profile"`
	Issued    time.Time `json:"issued"`               // UTC, whole seconds
	VerifyURL string    `json:"verify_url,omitempty"` // of the verify page; empty: there is none
	Statement string    `json:"statement,omitempty"`  // the tenant's own words
	Standing  Standing  `json:"standing"`
	Signer    *Signed   `json:"signer,omitempty"` // whose signature it will bear; nil: none
}

// Signed names the certificate of who signs. Dated says that the signature bears a time-stamp.
type Signed struct {
	Subject string `json:"subject"` // common name and organisation
	Issuer  string `json:"issuer"`
	Serial  string `json:"serial"` // decimal
	Chain   string `json:"chain"`  // hex SHA-256 of its certificate and those that issued it, in DER
	Dated   bool   `json:"dated"`
}

// Input is all that a certificate is made from. The same input gives the same bytes.
type Input struct {
	Issue
	Receipt  []byte // a receipt's file
	Policy   []byte // the policy's file that it is judged by
	Roots    []byte // PEM, of the authorities whose time-stamps are believed; nil: none are, nor is the signature dated
	Facts    []byte // the receipt's file of the fact sheet in force; may be nil
	Document []byte // nil: it is not embedded
	Logo     []byte // the tenant's, a PNG; may be nil
}

// ErrNotProved: a certificate certifies what is verified, and this is not.
var ErrNotProved = errors.New("the receipt does not verify under this policy")

// ErrInput: this can be no certificate's input.
var ErrInput = errors.New("no certificate can be made of this")

// inputError is an ErrInput that one file is to blame for.
type inputError struct {
	file string
	err  error
}

func (e *inputError) Error() string   { return ErrInput.Error() + ": " + e.file + ": " + e.err.Error() }
func (e *inputError) Unwrap() []error { return []error{ErrInput, e.err} }

func (i Issue) check() error {
	bad := func(what string) error { return &inputError{issueName, errors.New(what)} }
	switch {
	case i.Template != Template:
		return bad(fmt.Sprintf("template %d is not known here", i.Template))
	case i.Language != English && i.Language != Chinese && i.Language != Both:
		return bad("no such language")
	case sayTemplates[i.Profile] == phrase{}:
		return bad("no such profile")
	case i.Issued.IsZero() || i.Issued.Nanosecond() != 0 || i.Issued.Location() != time.UTC || i.Issued.Year() > 9999:
		return bad("the time of issue is no whole second in UTC")
	case len([]rune(i.Statement)) > maxStatement || len(i.VerifyURL) > maxURL:
		return bad("something is too long")
	case len(i.Standing.Acts) > maxActs:
		return bad("too many acts")
	case sayStates[i.Standing.State] == phrase{}:
		return bad("no such state")
	}
	switch texts := strings.Join(i.texts(), ""); {
	case len(texts) > maxTexts:
		return bad("it says too much")
	case !utf8.ValidString(texts): // JSON would write something else
		return bad("something is no UTF-8")
	case i.Signer != nil && len(i.Signer.Subject)+len(i.Signer.Issuer)+len(i.Signer.Serial) > maxName:
		return bad("the signer's name is too long")
	}
	return nil
}

// texts are all that is not one of a few words.
func (i Issue) texts() []string {
	out := append([]string{i.VerifyURL, i.Statement, i.Standing.Deposit}, i.Standing.Matters...)
	for _, a := range i.Standing.Acts {
		out = append(out, a.Act, a.Matter)
	}
	if s := i.Signer; s != nil {
		out = append(out, s.Subject, s.Issuer, s.Serial, s.Chain)
	}
	return out
}

// json is certificate.json.
func (i Issue) json() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(i)
	return b.Bytes(), err
}

// parseIssue reads certificate.json: only what json would write.
func parseIssue(data []byte) (Issue, error) {
	var i Issue
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&i); err != nil {
		return i, err
	}
	again, err := i.json()
	if err == nil && !bytes.Equal(again, data) {
		err = errors.New("certificate.json is spelled in another way than it is written in")
	}
	return i, err
}

// proof is what the input proves.
type proof struct {
	evidence proofs.Evidence
	receipt  proofs.Receipt
	facts    proofs.Evidence // zero without a sheet
}

// plugged are the options of the verifier of a certificate's receipts, with the roots of a PEM
// file, if there are any.
func plugged(roots []byte) ([]proofs.Option, error) {
	options := []proofs.Option{mldsa.Plugged(), sm.Plugged()}
	if roots == nil {
		return options, nil
	}
	parsed, err := rfc3161.ParseRoots(roots)
	if err != nil {
		return nil, err
	}
	return append(options, proofs.WithTimestamps(rfc3161.NewAuthorities(parsed))), nil
}

// prove judges the input's receipts by the input's policy.
func (in Input) prove() (p proof, err error) {
	policy, err := proofs.ParsePolicy(in.Policy)
	if err != nil {
		return p, &inputError{policyName, err}
	}
	options, err := plugged(in.Roots)
	if err != nil {
		return p, &inputError{rootsName, err}
	}
	verifier := proofs.NewVerifier(policy, options...)
	if p.receipt, err = proofs.ParseReceipt(in.Receipt); err != nil {
		return p, &inputError{receiptName, err}
	}
	var document io.Reader
	if in.Document != nil {
		document = bytes.NewReader(in.Document)
	}
	if p.evidence, err = verified(verifier, p.receipt, document); err != nil {
		return p, err
	}
	if in.Facts == nil {
		return p, nil
	}
	sheet, err := proofs.ParseReceipt(in.Facts)
	if err != nil {
		return p, &inputError{factsName, err}
	}
	if p.facts, err = verified(verifier, sheet, nil); err == nil && (p.facts.Entry.Kind != proofs.KindFacts || p.facts.Index >= p.evidence.Size) {
		err = &inputError{factsName, errors.New("it is no fact sheet in force at this checkpoint")}
	}
	return p, err
}

func verified(v *proofs.Verifier, r proofs.Receipt, document io.Reader) (proofs.Evidence, error) {
	e, err := v.Verify(r, document)
	if err == nil && e.Outcome() != proofs.Verified {
		err = &NotProvedError{e.Reason}
	}
	return e, err
}

// NotProvedError is an ErrNotProved with the reason.
type NotProvedError struct{ Reason proofs.Reason }

func (e *NotProvedError) Error() string { return ErrNotProved.Error() + ": " + string(e.Reason) }
func (e *NotProvedError) Unwrap() error { return ErrNotProved }

// crockford has no letters that are read as others.
var crockford = base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").WithPadding(base32.NoPadding)

// number is a certificate's number: the day of issue, and 80 bits of the digest of all that
// it is made from, deposit, checkpoint and time of issue among it. So no two certificates
// have one number, and one that is made again has the same.
func (in Input) number(files []attachment) string {
	h := sha256.New()
	h.Write([]byte("muniment/certificate@v1\n"))
	for _, f := range files {
		fmt.Fprintf(h, "%s %x\n", f.name, sha256.Sum256(f.data))
	}
	code := crockford.EncodeToString(h.Sum(nil)[:10])
	return in.Issued.Format("20060102") + "-" + strings.Join([]string{code[:4], code[4:8], code[8:12], code[12:]}, "-")
}

// attachment is a file that stands in the certificate.
type attachment struct {
	name, media, relation string
	about                 phrase
	data                  []byte
}

// Names of files in a certificate.
const (
	issueName      = "certificate.json"
	receiptName    = "receipt.tlog-proof"
	policyName     = "policy"
	checkpointName = "checkpoint"
	factsName      = "facts.tlog-proof"
	rootsName      = "timestamp-roots.pem"
	logoName       = "logo.png"
	documentName   = "document" // and the ending of the document's name
)

var sayFileAbout = map[string]phrase{
	issueName:      {"what the certificate says beside the receipt", "证书在回执之外的记载"},
	receiptName:    {"the receipt", "回执"},
	policyName:     {"the policy it was judged by here", "本证书所依据的信任策略"},
	checkpointName: {"the signed checkpoint, as in the receipt", "回执中的签名检查点"},
	factsName:      {"the depository's fact sheet, with its proof", "存证机构信息表及其证明"},
	rootsName:      {"roots of the time-stamp authorities", "时间戳机构的根证书"},
	logoName:       {"the logo above", "上方的标识"},
	documentName:   {"the document itself", "存证文件本身"},
	"timestamp":    {"a time-stamp of the receipt", "回执中的时间戳"},
}

// files are what the certificate embeds, in the order in which they stand.
func (in Input) files(p proof) ([]attachment, error) {
	issue, err := in.json()
	if err != nil {
		return nil, err
	}
	const text, binary = "text/plain", "application/octet-stream"
	all := []attachment{
		{issueName, "application/json", "Data", phrase{}, issue},
		{receiptName, text, "Data", phrase{}, in.Receipt},
		{policyName, text, "Supplement", phrase{}, in.Policy},
		{checkpointName, text, "Supplement", phrase{}, p.receipt.Checkpoint},
	}
	for i, token := range p.receipt.Timestamps {
		all = append(all, attachment{fmt.Sprintf("timestamp-%d.tst", i+1), binary, "Supplement", phrase{}, token})
	}
	for _, f := range []attachment{
		{rootsName, text, "Supplement", phrase{}, in.Roots},
		{factsName, text, "Supplement", phrase{}, in.Facts},
		{logoName, "image/png", "Supplement", phrase{}, in.Logo},
		{documentName + ending(p.evidence), binary, "Source", phrase{}, in.Document},
	} {
		if f.data != nil {
			all = append(all, f)
		}
	}
	for i, f := range all {
		stem, _, _ := strings.Cut(f.name, "-")
		if strings.HasPrefix(f.name, documentName) {
			stem = documentName
		}
		about, exact := sayFileAbout[f.name]
		if !exact {
			about = sayFileAbout[stem]
		}
		all[i].about = about
	}
	return all, nil
}

// ending is the ending of the document's name where it is one that a file may have.
func ending(e proofs.Evidence) string {
	v, _ := e.Record.Get("content.name")
	name, _ := v.Text()
	at := strings.LastIndexByte(name, '.')
	if at < 0 || len(name)-at < 2 || len(name)-at > 9 {
		return ""
	}
	end := strings.ToLower(name[at+1:])
	if strings.Trim(end, "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
		return ""
	}
	return "." + end
}

package bundle

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/muniment/muniment/proofs"
)

// A Judge is whoever checks a bundle, and what they bring.
type Judge struct {
	// Policy is the judge's own; nil: those in the bundle are used, which prove nothing about
	// who signed.
	Policy *proofs.Policy
	// Found are policies that neither came with the bundle nor are the judge's own, the one in
	// force first, such as those of the site where a page was loaded. Where there are any they
	// are used instead of those in the bundle, and prove as little.
	Found []proofs.Policy
	// Options returns what is plugged into verifiers, and whether it dates: whether roots of
	// time-stamp authorities are among it. found are the roots in the bundle, nil beside the
	// judge's own policy.
	Options func(found []byte) (options []proofs.Option, dates bool)
	Now     time.Time
	// Certificate looks into a certificate's file, and leaves the receipts in it to the bundle.
	// nil: nobody looks into them, and the report says so.
	Certificate func(data []byte) Paper
	// Reading, unless nil, wraps the reader of each document and certificate, to count or to end
	// the reading.
	Reading func(file string, r io.Reader) io.Reader
}

// A Paper is what is known of a certificate.
type Paper struct {
	Number  string
	Deposit string // the id that it says it is of
	Signer  string // as it is named in it; empty: it bears no signature
	Policy  string // fingerprint of the one it was made under
	Receipt proofs.Receipt
	Facts   *proofs.Receipt // of the fact sheet in it; nil: there is none
	// Refused says why it must not be relied on; nil: it is, byte for byte, what Receipt gives.
	Refused func(proofs.Language) string
	Unknown bool // Refused says that its version is not known, which decides nothing
}

// A Result is what became of one deposit.
type Result struct {
	Line     Line
	Receipt  proofs.Receipt
	Evidence proofs.Evidence
	Paper    *Paper // of a certificate that holds and is of this deposit; nil: there is none
}

// Name is what the depositor called the document; it may be empty.
func (r Result) Name() string { return textOf(r.Evidence.Record.Get, "content.name") }

// A Report is what became of a bundle.
type Report struct {
	Origin   string
	Contract string
	Count    uint64 // deposits that the case had, as the manifest says
	// Policy is the fingerprint of the judge's policy, or of that in force in the bundle. Own
	// is whether it is the judge's.
	Policy    string
	Own       bool
	Another   bool      // Own, and the policy in force in the bundle is another one
	Findings  []Finding // what differs; each is a reason to refuse the bundle
	Missing   []Range   // numbers of the case that are not here
	Unchecked []string  // files of the manifest that a bundle of this version does not know
	Deposits  []Result  // by ascending number
}

// Outcome is that of the whole: Refused if anything differs, Undecided if something is
// missing or the policy was found in the bundle, or if anything of it is.
func (r Report) Outcome() proofs.Outcome {
	undecided := len(r.Missing) > 0 || len(r.Deposits) == 0
	for _, d := range r.Deposits {
		undecided = undecided || d.Evidence.Outcome() == proofs.Undecided
	}
	switch {
	case len(r.Findings) > 0:
		return proofs.Refused
	case undecided:
		return proofs.Undecided
	}
	return proofs.Verified
}

// checking is one check.
type checking struct {
	*Bundle
	judge     Judge
	manifest  Manifest
	report    Report
	verifiers []*proofs.Verifier // the judge's, or those of the policies found, the one in force first
	dates     bool
}

// Check judges a bundle. The error is that of reading it; what is damaged or altered is in
// the report, by name.
func (b *Bundle) Check(j Judge) (Report, error) {
	c := &checking{Bundle: b, judge: j}
	c.report.Findings = slices.Clone(b.odd)
	data, err := b.read(ManifestName, maxManifest)
	if err == nil {
		c.manifest, err = parseManifest(data)
	} else if !damaged(err) {
		return c.report, err
	}
	if err != nil {
		c.find(ManifestMalformed, ManifestName)
		c.manifest = Manifest{}
		return c.report, nil
	}
	c.report.Origin, c.report.Contract, c.report.Count = c.manifest.Origin, c.manifest.Contract, c.manifest.Count
	if err := c.names(); err != nil {
		return c.report, err
	}
	if err := c.policies(); err != nil || len(c.verifiers) == 0 {
		return c.report, err
	}
	for _, l := range c.manifest.Deposits {
		if err := c.deposit(l); err != nil {
			return c.report, err
		}
	}
	if n := len(c.report.Deposits); n > 0 {
		c.report.Policy = c.report.Deposits[n-1].Evidence.Policy
	}
	c.chain()
	return c.report, nil
}

func (c *checking) find(what Difference, file string, args ...string) {
	c.report.Findings = append(c.report.Findings, Finding{What: what, File: file, Args: args})
}

// damaged reports whether an error of reading says that the bytes are not those that were
// packed, and not that the disk failed.
func damaged(err error) bool {
	var corrupt flate.CorruptInputError
	return errors.Is(err, zip.ErrChecksum) || errors.Is(err, zip.ErrFormat) || errors.Is(err, zip.ErrAlgorithm) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, errLonger) || errors.As(err, &corrupt)
}

// names holds the files that are there against those that the manifest names, and small ones
// against their digests. Documents are read once, with their receipts.
func (c *checking) names() error {
	used := map[string]bool{policyName: true, rootsName: true, pageName: true, readmeName: true}
	for _, l := range c.manifest.Deposits {
		stem := fmt.Sprintf("%04d", l.Number)
		fits := l.Receipt == receiptsFolder+stem+".tlog-proof" && (l.Evidence == "" || l.Evidence == evidenceFolder+stem+".evidence") &&
			(l.Certificate == "" || l.Certificate == certificatesFolder+stem+".pdf" && c.manifest.Certificates == certificatesEach) &&
			(l.Document == "" || strings.HasPrefix(l.Document, documentsFolder+stem+"-"))
		for _, name := range []string{l.Receipt, l.Evidence, l.Certificate, l.Document} {
			_, listed := c.manifest.Files[name]
			fits = fits && (name == "" || listed)
		}
		if !fits {
			c.find(LineOther, ManifestName, stem)
		}
		if l.Certificate == "" && c.manifest.Certificates == certificatesEach {
			c.find(CertificateMissing, ManifestName, fmt.Sprint(l.Number))
		}
		used[l.Receipt], used[l.Evidence], used[l.Certificate], used[l.Document] = true, true, true, true
	}
	for _, name := range c.order {
		if _, named := c.manifest.Files[name]; !named && name != ManifestName {
			c.find(FileStray, name)
		}
	}
	listed := make([]string, 0, len(c.manifest.Files))
	for name := range c.manifest.Files {
		listed = append(listed, name)
	}
	slices.Sort(listed)
	for _, name := range listed {
		folder, _, nested := strings.Cut(name, "/")
		known := !nested || slices.Contains([]string{receiptsFolder, evidenceFolder, certificatesFolder, documentsFolder}, folder+"/")
		fingerprint, earlier := strings.CutPrefix(name, policiesFolder)
		switch {
		case earlier && fingerprint == c.manifest.Files[name].SHA256: // a fingerprint is the digest
		case earlier, known && !used[name]:
			c.find(FileStray, name)
		case !known:
			c.report.Unchecked = append(c.report.Unchecked, name)
		}
		if strings.HasPrefix(name, documentsFolder) && used[name] {
			continue
		}
		if err := c.sum(name, nil); err != nil {
			return err
		}
	}
	return nil
}

// sum reads a file to its end and holds it against the manifest.
func (c *checking) sum(name string, r io.Reader) error {
	f, there := c.files[name]
	want, named := c.manifest.Files[name]
	if !there || !named {
		c.find(FileMissing, name)
		return nil
	}
	if r == nil {
		in, err := f.Open()
		if err != nil {
			return c.unread(name, err)
		}
		defer in.Close()
		r = in
	}
	h := sha256.New()
	n, err := io.Copy(h, r)
	if err != nil {
		return c.unread(name, err)
	}
	c.same(name, Sum{n, hex.EncodeToString(h.Sum(nil))}, want)
	return nil
}

func (c *checking) same(name string, got, want Sum) {
	if got != want {
		c.find(FileDiffers, name, got.SHA256, want.SHA256)
	}
}

// unread notes a file whose bytes are damaged; any other error of reading is returned.
func (c *checking) unread(name string, err error) error {
	if !damaged(err) {
		return fmt.Errorf("%s: %w", name, err)
	}
	c.find(FileDamaged, name)
	return nil
}

// policies makes the verifiers.
func (c *checking) policies() error {
	if c.judge.Policy != nil {
		options, dates := c.judge.Options(nil)
		c.verifiers, c.dates = []*proofs.Verifier{proofs.NewVerifier(*c.judge.Policy, options...)}, dates
		c.report.Policy, c.report.Own = c.judge.Policy.Fingerprint(), true
		found, err := c.read(policyName, maxPolicy)
		c.report.Another = err == nil && !bytes.Equal(found, []byte(c.judge.Policy.String()))
		return nil
	}
	var roots []byte
	if _, there := c.files[rootsName]; there {
		var err error
		if roots, err = c.read(rootsName, maxRoots); err != nil {
			return c.unread(rootsName, err)
		}
	}
	options, dates := c.judge.Options(roots)
	c.dates = dates
	inside, err := c.inside()
	if err != nil {
		return err
	}
	found := c.judge.Found
	if len(found) == 0 {
		found = inside
	}
	for _, p := range found {
		c.verifiers = append(c.verifiers, proofs.NewFoundVerifier(p, options...))
	}
	if len(found) > 0 {
		c.report.Policy = found[0].Fingerprint()
	}
	return nil
}

// inside are the policies in the bundle, the one in force first.
func (c *checking) inside() (out []proofs.Policy, err error) {
	for _, name := range c.policyNames() { // what is not there was told already
		data, err := c.read(name, maxPolicy)
		if err != nil {
			if err := c.unread(name, err); err != nil {
				return nil, err
			}
			continue
		}
		p, err := proofs.ParsePolicy(data)
		if err != nil {
			c.find(PolicyMalformed, name)
			continue
		}
		out = append(out, p)
	}
	return out, nil
}

// policyNames are the files of policies, the one in force first.
func (b *Bundle) policyNames() (names []string) {
	if _, there := b.files[policyName]; there {
		names = append(names, policyName)
	}
	for _, name := range b.order {
		if strings.HasPrefix(name, policiesFolder) {
			names = append(names, name)
		}
	}
	return names
}

// Policies are those in the bundle that are any, the one in force first. They prove nothing
// about who signed, unless the judge knows a fingerprint from elsewhere.
func (b *Bundle) Policies() (out []proofs.Policy) {
	for _, name := range b.policyNames() {
		if data, err := b.read(name, maxPolicy); err == nil {
			if p, err := proofs.ParsePolicy(data); err == nil {
				out = append(out, p)
			}
		}
	}
	return out
}

// deposit judges one deposit.
func (c *checking) deposit(l Line) error {
	data, err := c.read(l.Receipt, proofs.MaxReceipt)
	if err != nil && !damaged(err) {
		if _, there := c.files[l.Receipt]; there {
			return err
		}
		return nil // told already
	}
	// What is no receipt at all parses to the zero Receipt, which Verify refuses as malformed.
	r, _ := proofs.ParseReceipt(data)
	record, err := c.record(l)
	if err != nil {
		return err
	}
	e, err := c.verify(l, r, record)
	if err != nil {
		return err
	}
	paper, err := c.certificate(l, e)
	if err != nil {
		return err
	}
	c.report.Deposits = append(c.report.Deposits, Result{l, r, e, paper})
	if e.Outcome() == proofs.Refused {
		file := l.Receipt
		if e.Document == proofs.DocumentDiffers {
			file = l.Document
		}
		c.report.Findings = append(c.report.Findings, Finding{What: DepositRefused, File: file, says: verdictOf(e)})
	}
	if e.Level == "" {
		return nil
	}
	if held, _ := e.Held(); held && l.Document == "" {
		c.find(DocumentMissing, ManifestName, fmt.Sprint(l.Number))
	}
	number, _ := member(e, "case.seq").Integer()
	for _, claim := range []struct {
		what     Difference
		says, is string
	}{
		{NumberOther, fmt.Sprint(l.Number), fmt.Sprint(number)},
		{ContractOther, c.manifest.Contract, textOf(e.Record.Get, "contract.number")},
		{OriginOther, c.manifest.Origin, e.Origin},
	} {
		if claim.says != claim.is {
			c.find(claim.what, l.Receipt, claim.says, claim.is)
		}
	}
	return nil
}

func member(e proofs.Evidence, name string) proofs.Value {
	v, _ := e.Record.Get(name)
	return v
}

// record is the evidence record of a deposit; nil where there is none, or nothing dates it.
func (c *checking) record(l Line) (*proofs.EvidenceRecord, error) {
	if _, there := c.files[l.Evidence]; !there || !c.dates {
		return nil, nil
	}
	data, err := c.read(l.Evidence, proofs.MaxEvidenceRecord)
	if err != nil && !damaged(err) {
		return nil, err
	}
	// What is no record at all parses to the zero one, which is refused as malformed.
	record, _ := proofs.ParseEvidenceRecord(data)
	return &record, nil
}

// verifier is the first that does not refuse the receipt.
func (c *checking) verifier(r proofs.Receipt) *proofs.Verifier {
	for _, v := range c.verifiers {
		if e, err := v.Verify(r, nil); err == nil && e.Outcome() != proofs.Refused {
			return v
		}
	}
	return c.verifiers[0]
}

// verify judges a receipt and the document beside it, of which the manifest's digest is
// checked too.
func (c *checking) verify(l Line, r proofs.Receipt, record *proofs.EvidenceRecord) (proofs.Evidence, error) {
	v := c.verifier(r)
	judge := func(document io.Reader) (proofs.Evidence, error) {
		if record != nil {
			return v.VerifyRecord(r, *record, c.judge.Now, document)
		}
		return v.Verify(r, document)
	}
	f, there := c.files[l.Document]
	if !there {
		if l.Document != "" {
			c.find(FileMissing, l.Document)
		}
		return judge(nil)
	}
	in, err := f.Open()
	if err != nil {
		e, _ := judge(nil)
		return e, c.unread(l.Document, err)
	}
	defer in.Close()
	want, named := c.manifest.Files[l.Document]
	var reader io.Reader = &bounded{in, want.Size}
	if c.judge.Reading != nil {
		reader = c.judge.Reading(l.Document, reader)
	}
	counted := &counting{Reader: reader}
	e, err := judge(counted)
	switch {
	case err != nil:
		e, _ := judge(nil)
		return e, c.unread(l.Document, err)
	case !named: // told already
	case e.DocumentSHA256 == "": // it was not read
		err = c.sum(l.Document, counted)
	default:
		c.same(l.Document, Sum{counted.n, e.DocumentSHA256}, want)
	}
	return e, err
}

// counting counts what is read.
type counting struct {
	io.Reader
	n int64
}

// Read implements io.Reader.
func (c *counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += int64(n)
	return n, err
}

var errLonger = errors.New("it is longer than the manifest says")

// bounded ends with an error behind the size that a file should have: what was packed may be
// endless.
type bounded struct {
	io.Reader
	left int64
}

// Read implements io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.Reader.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, errLonger
	}
	return n, err
}

// chain holds the deposits against one another: each names the leaf of the one before, all are
// one tenant's, and what is missing is what the manifest says is missing.
func (c *checking) chain() {
	c.report.Missing = missing(c.manifest.Count, c.manifest.Deposits)
	if !slices.Equal(c.report.Missing, c.manifest.Missing) {
		c.find(MissingOther, ManifestName)
	}
	var last *Result
	for i := range c.report.Deposits {
		d := &c.report.Deposits[i]
		if d.Evidence.Level == "" {
			last = nil
			continue
		}
		prev := textOf(d.Evidence.Record.Get, "case.prev")
		switch {
		case d.Line.Number == 1 && prev != "",
			last != nil && last.Line.Number+1 == d.Line.Number && prev != hex.EncodeToString(last.Evidence.Leaf[:]):
			c.find(PrevOther, d.Line.Receipt, fmt.Sprint(d.Line.Number))
		}
		if last != nil && last.Evidence.Index >= d.Evidence.Index {
			c.find(OrderOther, d.Line.Receipt, fmt.Sprint(d.Line.Number))
		}
		if last != nil && textOf(last.Evidence.Record.Get, "tenant.registration") != textOf(d.Evidence.Record.Get, "tenant.registration") {
			c.find(TenantOther, d.Line.Receipt)
		}
		last = d
	}
}

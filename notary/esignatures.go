package notary

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/muniment/muniment/notary/esignature"
	"github.com/muniment/muniment/proofs"
)

// What is found of electronic signatures inside a PDF stands in its record, as the depository's
// own statement of the day it came in: content.signatures. The document is read back for it
// from where it was stored, so that no upload holds memory while it comes.

// maxExamined is how many PDFs are in memory to be looked into, each of at most
// esignature.MaxSize; the others wait.
const maxExamined = 2

// unexaminedSize is why a PDF has content.signatures.unexamined.
const unexaminedSize = "too-large"

// signatureFindings is what was found in a document; nil: it is no PDF.
type signatureFindings struct {
	unexamined string // why it was not looked into; empty: it was
	found      []esignature.Finding
}

// examine looks into a stored document for electronic signatures, and judges what the tenant
// demands of them.
func (n *Notary) examine(ctx context.Context, in *intake, start []byte, name string, key dataKey) error {
	if esignature.IsPDF(start) {
		var err error
		if in.signatures, err = n.findings(ctx, in, name, key); err != nil {
			return err
		}
	}
	return in.checks.signatures(in.signatures)
}

func (n *Notary) findings(ctx context.Context, in *intake, name string, key dataKey) (*signatureFindings, error) {
	if in.size > esignature.MaxSize {
		return &signatureFindings{unexamined: unexaminedSize}, nil
	}
	select {
	case n.examining <- struct{}{}:
		defer func() { <-n.examining }()
	case <-ctx.Done():
		return nil, ctx.Err() // nothing was kept
	}
	data, err := n.reread(ctx, in, name, key)
	if err != nil {
		return nil, err
	}
	var roots *esignature.Roots
	if n.config.SignatureRoots != nil {
		roots = &esignature.Roots{Pool: n.config.SignatureRoots, At: in.received}
	}
	return &signatureFindings{found: esignature.Examine(data, roots)}, nil
}

// reread reads a document that was just stored.
func (n *Notary) reread(ctx context.Context, in *intake, name string, key dataKey) ([]byte, error) {
	blob, err := n.config.Blobs.Open(ctx, name)
	if err != nil {
		return nil, n.unavailable(err)
	}
	defer blob.Close()
	plain, size, err := key.openDocument(blob)
	if err != nil {
		return nil, n.unavailable(err)
	}
	if size != in.size {
		return nil, n.unavailable(fmt.Errorf("%w: the document %s has %d bytes, stored were %d", ErrDamaged, name, size, in.size))
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(io.NewSectionReader(plain, 0, size), data); err != nil {
		return nil, n.unavailable(err)
	}
	if proofs.Hash(sha256.Sum256(data)) != in.digest {
		return nil, n.unavailable(fmt.Errorf("%w: the document %s reads as another than was stored", ErrDamaged, name))
	}
	return data, nil
}

// members are the findings as a record has them. brief leaves out what certificates say, for
// records that have no room for it.
func (s *signatureFindings) members(brief bool) (proofs.Record, error) {
	if s == nil {
		return nil, nil
	}
	if s.unexamined != "" {
		v, err := proofs.Text(s.unexamined)
		return proofs.Record{{Name: "content.signatures.unexamined", Value: v}}, err
	}
	found := s.found
	if brief {
		found = slices.Clone(found)
		for i, f := range found {
			found[i] = esignature.Finding{State: f.State, Reason: f.Reason, Kind: f.Kind, Covers: f.Covers, Whole: f.Whole}
		}
	}
	json, err := esignature.JSON(found)
	if err != nil {
		return nil, err
	}
	v, err := proofs.ParseValue(json)
	return proofs.Record{{Name: "content.signatures", Value: v}}, err
}

// SignatureRule is what a tenant demands of electronic signatures inside its documents.
type SignatureRule string

// The rules. Intact: the document is a PDF, one signature is intact and covers all of it, and
// none is altered; a time-stamp of the document is no signature. Trusted: besides, the certificate of such a one leads to Config.SignatureRoots.
const (
	SignatureIntact  SignatureRule = "intact"
	SignatureTrusted SignatureRule = "trusted"
)

// signatures judges findings by the tenant's rule.
func (c Checks) signatures(s *signatureFindings) error {
	if c.Signature == "" {
		return nil
	}
	refuse := func(code CheckCode, reason string) error {
		return &CheckError{code, "content.signatures", "by your rules the document carries an intact electronic signature; " + reason}
	}
	switch {
	case s == nil:
		return refuse(CheckUnsigned, "this is no PDF")
	case s.unexamined != "":
		return refuse(CheckUnsigned, fmt.Sprintf("this PDF is larger than %d bytes, and was not looked into", esignature.MaxSize))
	case !slices.ContainsFunc(s.found, func(f esignature.Finding) bool { return f.Kind != esignature.KindTimestamp }):
		return refuse(CheckUnsigned, "this PDF has none")
	}
	whole := false
	for i, f := range s.found {
		switch {
		case f.State == esignature.Altered:
			return refuse(CheckAltered, fmt.Sprintf("signature %d of this PDF is altered (%s)", i+1, f.Reason))
		case f.State == esignature.Intact && f.Kind == esignature.KindSignature && f.Whole && (c.Signature != SignatureTrusted || f.Trusted != nil && *f.Trusted):
			whole = true
		}
	}
	if !whole {
		return refuse(CheckAltered, "none in this PDF covers all of it, is understood and, where that is demanded, trusted")
	}
	return nil
}

// ParseSignatureRoots reads the certificates, in PEM, of authorities whose certificates for
// electronic signatures are to be believed.
func ParseSignatureRoots(data []byte) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) || !bytes.Contains(data, []byte("-----BEGIN CERTIFICATE-----")) {
		return nil, errors.New("no certificates in PEM")
	}
	return pool, nil
}

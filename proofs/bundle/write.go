package bundle

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/muniment/muniment/proofs"
)

// ErrDocument is wrapped when a document that is to be written is not the one of its receipt.
var ErrDocument = errors.New("the document is not the one of its receipt")

// A Case is what a bundle has besides deposits.
type Case struct {
	Contract string
	Count    uint64 // deposits that the case has
	Policy   proofs.Policy
	Earlier  []proofs.Policy // that were in force before
	Roots    []byte          // of the depository's time-stamp authorities, PEM; may be empty
	Page     []byte          // verify.html
	// Certificates: each deposit has one. Else none has.
	Certificates bool
}

// A Deposit is one of a case.
type Deposit struct {
	Number  uint64
	Receipt proofs.Receipt
	Record  *proofs.EvidenceRecord // nil: it was not dated
	// Certificate is the PDF where the Case has them, without the document in it.
	Certificate []byte
	// Document is what the depository holds; nil: nothing. It is read once, and never held in
	// memory.
	Document io.Reader
}

// A Writer writes a bundle, deposit by deposit.
type Writer struct {
	zip      *zip.Writer
	modified time.Time
	manifest Manifest
	of       Case
}

// NewWriter begins a bundle. Deposits are added by ascending number.
func NewWriter(w io.Writer, c Case) *Writer {
	certificates := certificatesNone
	if c.Certificates {
		certificates = certificatesEach
	}
	return &Writer{
		zip: zip.NewWriter(w), of: c,
		manifest: Manifest{
			Format: format, Origin: c.Policy.Logs[0].Name, Contract: c.Contract, Count: c.Count, Certificates: certificates, Files: map[string]Sum{},
		},
	}
}

// Add writes a deposit. An error leaves the bundle unfinished, and to be thrown away.
func (w *Writer) Add(d Deposit) error {
	// The files bear the time of the deposit: the same case gives the same bytes.
	w.modified = d.Receipt.Entry.Time
	stem := fmt.Sprintf("%04d", d.Number)
	line := Line{Number: d.Number, Receipt: receiptsFolder + stem + ".tlog-proof"}
	if err := w.write(line.Receipt, d.Receipt.Marshal()); err != nil {
		return err
	}
	if d.Record != nil {
		line.Evidence = evidenceFolder + stem + ".evidence"
		if err := w.write(line.Evidence, d.Record.Marshal()); err != nil {
			return err
		}
	}
	if w.of.Certificates != (d.Certificate != nil) {
		return fmt.Errorf("deposit %d: a bundle has a certificate of each deposit, or of none", d.Number)
	}
	if d.Certificate != nil {
		line.Certificate = certificatesFolder + stem + ".pdf"
		if err := w.write(line.Certificate, d.Certificate); err != nil {
			return err
		}
	}
	if d.Document != nil {
		line.Document = documentsFolder + FileName(stem+"-"+textOf(d.Receipt.Member, "content.name"))
		if err := w.stream(line.Document, zip.Store, d.Document); err != nil {
			return err
		}
		if w.manifest.Files[line.Document].SHA256 != textOf(d.Receipt.Member, "content.sha256") {
			return fmt.Errorf("deposit %d: %w", d.Number, ErrDocument)
		}
	}
	w.manifest.Deposits = append(w.manifest.Deposits, line)
	return nil
}

// Close writes what belongs to the whole case, and the manifest. It does not close the
// writer below.
func (w *Writer) Close() error {
	type file struct {
		name string
		data []byte
	}
	files := []file{{policyName, []byte(w.of.Policy.String())}}
	for _, p := range w.of.Earlier {
		files = append(files, file{policiesFolder + p.Fingerprint(), []byte(p.String())})
	}
	if len(w.of.Roots) > 0 {
		files = append(files, file{rootsName, w.of.Roots})
	}
	files = append(files, file{readmeName, []byte(readme)}, file{pageName, w.of.Page})
	for _, f := range files {
		if err := w.write(f.name, f.data); err != nil {
			return err
		}
	}
	w.manifest.Missing = missing(w.manifest.Count, w.manifest.Deposits)
	if err := w.write(ManifestName, w.manifest.marshal()); err != nil {
		return err
	}
	return w.zip.Close()
}

func (w *Writer) write(name string, data []byte) error {
	return w.stream(name, zip.Deflate, bytes.NewReader(data))
}

func (w *Writer) stream(name string, method uint16, from io.Reader) error {
	to, err := w.zip.CreateHeader(&zip.FileHeader{Name: name, Method: method, Modified: w.modified.UTC()})
	if err != nil {
		return err
	}
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(to, h), from)
	w.manifest.Files[name] = Sum{n, hex.EncodeToString(h.Sum(nil))}
	return err
}

// textOf is a member that is text; else it is empty.
func textOf(member func(string) (proofs.Value, bool), name string) string {
	v, _ := member(name)
	s, _ := v.Text()
	return s
}

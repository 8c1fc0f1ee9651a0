package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
)

const (
	// maxRecord bounds the record's JSON, and a digest-only deposit's whole body.
	maxRecord = 64 << 10
	// framing is room for the boundaries and headers of a multipart body, and for
	// what its reader takes in ahead.
	framing = 32 << 10
	maxKey  = 255
)

var errIdempotencyKey = refuse(idempotencyKeyRequired,
	fmt.Sprintf("Send one Idempotency-Key header of 1 to %d printable ASCII characters.", maxKey))

// decode reads a deposit from a request, as far as the document's first byte.
func (s *server) decode(r *http.Request, key string) (notary.Deposit, error) {
	d := notary.Deposit{Key: key}
	if !validKey(key) {
		return d, errIdempotencyKey
	}
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case err == nil && kind == "application/json":
		d.Claims, err = s.decodeDigest(r)
	case err == nil && kind == "multipart/form-data" && params["boundary"] != "":
		d.Claims, d.Document, err = s.decodeUpload(r, params["boundary"])
	default:
		err = refuse(unsupportedMediaType, "Send multipart/form-data with a record and a document, or application/json for a digest only.")
	}
	return d, err
}

func validKey(key string) bool {
	return key != "" && len(key) <= maxKey && strings.IndexFunc(key, func(c rune) bool { return c < ' ' || c > '~' }) < 0
}

// decodeDigest reads {"record": {…}} and nothing else.
func (s *server) decodeDigest(r *http.Request) (proofs.Record, error) {
	b, err := s.body(r, maxRecord, fmt.Sprintf("The body is larger than %d bytes.", maxRecord))
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(b)
	if err != nil {
		return nil, err
	}
	return parseDigest(data)
}

// badRecord refuses what proofs could not read as a record.
func badRecord(member string, err error) error {
	return &refusal{problem: invalidRecord, detail: reason(err), member: member}
}

// decodeUpload reads the record of a multipart body and opens its document. Neither
// is kept in memory beyond the record's bound.
func (s *server) decodeUpload(r *http.Request, boundary string) (proofs.Record, io.Reader, error) {
	what := fmt.Sprintf("The document is larger than %d bytes, or the record than %d.", s.MaxDocument, maxRecord)
	b, err := s.body(r, s.MaxDocument+maxRecord+2*framing, what)
	if err != nil {
		return nil, nil, err
	}
	b.allow = maxRecord + framing
	u := &upload{formBody: newForm(b, boundary, "record and then document, once each"), left: s.MaxDocument}
	record, err := u.record()
	if err != nil {
		return nil, nil, err
	}
	if err := u.open(&record); err != nil {
		return nil, nil, err
	}
	b.allow += s.MaxDocument + framing
	if err := u.wait(); err != nil {
		return nil, nil, err
	}
	return record, u, nil
}

// upload is a form with a document as its last part. It reads as the document, and
// reports its end only when the whole body has come and was in order: what was cut
// off is never taken for a document.
type upload struct {
	*formBody
	part *multipart.Part // the document
	left int64           // bytes that the document may still have
	came []byte          // and were not asked for yet
	err  error           // once the document has ended
}

// worthwhile is how much of a document has come before storage is troubled with it,
// in bytes: a crowd of slow callers holds no files and no keys.
const worthwhile = 16 << 10

// wait reads the document's first bytes.
func (u *upload) wait() error {
	first, err := io.ReadAll(io.LimitReader(u, worthwhile))
	u.came = first
	return err
}

// cause finds out why a deposit failed: a connection that breaks ends the context at
// once, and storage may notice that before the document's reader does. What has not
// been read to its end cannot have been kept.
func (u *upload) cause(err error) error {
	switch {
	case errors.Is(u.err, io.EOF) || !errors.Is(err, notary.ErrUnavailable):
		return err
	case u.body.err != nil:
		return u.body.err
	case u.body.ctx.Err() != nil && !errors.Is(context.Cause(u.body.ctx), context.DeadlineExceeded): // that is storage's doing
		return u.body.fault(u.body.ctx.Err())
	}
	return err
}

// record reads the part of that name.
func (u *upload) record() (proofs.Record, error) {
	p, err := u.due("record")
	if err != nil {
		return nil, err
	}
	if kind := p.Header.Get("Content-Type"); kind != "" {
		if kind, _, err := mime.ParseMediaType(kind); err != nil || kind != "application/json" {
			return nil, refuse(unsupportedMediaType, "The part record must be application/json.")
		}
	}
	data, err := u.whole(p, "record", maxRecord)
	if err != nil {
		return nil, err
	}
	return parseRecord(data)
}

// open begins the document's part, and takes from its headers what the record does
// not say.
func (u *upload) open(record *proofs.Record) error {
	p, err := u.due("document")
	if err != nil {
		return err
	}
	u.part = p
	for name, said := range map[string]string{"content.name": p.FileName(), "content.type": p.Header.Get("Content-Type")} {
		if _, there := record.Get(name); there || said == "" {
			continue
		}
		v, err := proofs.Text(said)
		if err != nil {
			return badRecord(name, err)
		}
		if *record, err = proofs.NewRecord(append(*record, proofs.Member{Name: name, Value: v})...); err != nil {
			return badRecord(name, err)
		}
	}
	return nil
}

// Read implements io.Reader over the document.
func (u *upload) Read(p []byte) (int, error) {
	if len(u.came) > 0 {
		n := copy(p, u.came)
		u.came = u.came[n:]
		return n, nil
	}
	if u.err != nil {
		return 0, u.err
	}
	n, err := u.part.Read(p)
	u.left -= int64(n)
	switch {
	case u.left < 0:
		n, u.err = 0, refuse(tooLarge, u.body.what)
	case errors.Is(err, io.EOF):
		u.err = u.end()
	case err != nil:
		u.err = u.fault(err)
	}
	return n, u.err
}

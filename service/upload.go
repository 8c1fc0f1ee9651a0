package service

import (
	"bytes"
	"context"
	"encoding/json"
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
	if key == "" || len(key) > maxKey || strings.IndexFunc(key, func(c rune) bool { return c < ' ' || c > '~' }) >= 0 {
		return d, errIdempotencyKey
	}
	if coding := r.Header.Get("Content-Encoding"); coding != "" && coding != "identity" {
		return d, refuse(unsupportedMediaType, "A body with a Content-Encoding is not accepted; send it as it is.")
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

// decodeDigest reads {"record": {…}} and nothing else.
func (s *server) decodeDigest(r *http.Request) (proofs.Record, error) {
	what := fmt.Sprintf("The body is larger than %d bytes.", maxRecord)
	if r.ContentLength > maxRecord {
		return nil, refuse(tooLarge, what)
	}
	b := s.body(r, maxRecord, what)
	data, err := io.ReadAll(b)
	if err != nil {
		return nil, err
	}
	record, err := envelope(data, "record")
	if err != nil {
		return nil, err
	}
	return parseRecord(record)
}

// envelope returns the value of the one field that the JSON object has and must
// have. encoding/json alone would pass unknown, repeated and otherwise spelled
// fields over.
func envelope(data []byte, field string) (json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	syntax := refuse(malformedJSON, `The body is not a JSON object of the form {"`+field+`": {…}}.`)
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, syntax
	}
	var value json.RawMessage
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, syntax
		}
		if name != field {
			return nil, refuse(malformedJSON, fmt.Sprintf("There is no field %q; the only one is %q.", name, field))
		}
		if value != nil {
			return nil, refuse(malformedJSON, fmt.Sprintf("The field %q stands twice.", field))
		}
		if err := d.Decode(&value); err != nil {
			return nil, syntax
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, syntax
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, refuse(malformedJSON, "There is more after the JSON object.")
	}
	if value == nil {
		return nil, refuse(malformedJSON, fmt.Sprintf("The field %q is missing.", field))
	}
	return value, nil
}

// parseRecord reads a flat object of members; the empty one too, since the
// depository adds members of its own.
func parseRecord(data []byte) (proofs.Record, error) {
	var compact bytes.Buffer
	if err := json.Compact(&compact, data); err != nil {
		return nil, refuse(malformedJSON, "The record is not a JSON object.")
	}
	if compact.String() == "{}" {
		return nil, nil
	}
	record, err := proofs.ParseMembers(string(data))
	if err != nil {
		return nil, badRecord("", err)
	}
	return record, nil
}

// badRecord refuses what proofs could not read as a record.
func badRecord(member string, err error) error {
	detail := strings.TrimPrefix(err.Error(), proofs.ErrMalformed.Error()+": ")
	return &refusal{problem: invalidRecord, detail: detail, member: member}
}

// decodeUpload reads the record of a multipart body and opens its document. Neither
// is kept in memory beyond the record's bound.
func (s *server) decodeUpload(r *http.Request, boundary string) (proofs.Record, io.Reader, error) {
	what := fmt.Sprintf("The document is larger than %d bytes, or the record than %d.", s.MaxDocument, maxRecord)
	if r.ContentLength > s.MaxDocument+maxRecord+2*framing {
		return nil, nil, refuse(tooLarge, what)
	}
	b := s.body(r, maxRecord+framing, what)
	u := &upload{body: b, parts: multipart.NewReader(b, boundary), left: s.MaxDocument}
	record, err := u.record()
	if err != nil {
		return nil, nil, err
	}
	if err := u.open(&record); err != nil {
		return nil, nil, err
	}
	b.allow += s.MaxDocument + framing
	return record, u, nil
}

// upload is a multipart body: a record, then a document, then nothing. It reads as
// the document, and reports its end only when the whole body has come and was in
// order: what was cut off is never taken for a document.
type upload struct {
	body  *body
	parts *multipart.Reader
	part  *multipart.Part // the document
	left  int64           // bytes that the document may still have
	err   error           // once the document has ended
}

// next returns the next part, which must be of that name. Parts are read raw: a
// transfer encoding undone on the way would change the evidence.
func (u *upload) next(name string) (*multipart.Part, error) {
	p, err := u.parts.NextRawPart()
	if err == io.EOF {
		return nil, refuse(malformedMultipart, "The part "+name+" is missing.")
	}
	if err != nil {
		return nil, u.fault(err)
	}
	if p.FormName() != name {
		return nil, refuse(malformedMultipart, "The parts are record and then document, once each, in this order; here "+name+" is due.")
	}
	for _, h := range []string{"Content-Encoding", "Content-Transfer-Encoding"} {
		switch strings.ToLower(p.Header.Get(h)) {
		case "", "identity", "binary", "8bit", "7bit":
		default:
			return nil, refuse(unsupportedMediaType, "The part "+name+" has a "+h+"; send it as it is.")
		}
	}
	return p, nil
}

// fault is what an error of the multipart reader is to the caller: the body's own
// where the body broke off, since half a header looks malformed.
func (u *upload) fault(err error) error {
	switch {
	case u.body.err != nil:
		return u.body.err
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errTruncated
	}
	return refuse(malformedMultipart, "The body is not multipart/form-data as RFC 7578 describes it.")
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
	p, err := u.next("record")
	if err != nil {
		return nil, err
	}
	if kind := p.Header.Get("Content-Type"); kind != "" {
		if kind, _, err := mime.ParseMediaType(kind); err != nil || kind != "application/json" {
			return nil, refuse(unsupportedMediaType, "The part record must be application/json.")
		}
	}
	data, err := io.ReadAll(io.LimitReader(p, maxRecord+1))
	if err != nil {
		return nil, u.fault(err)
	}
	if len(data) > maxRecord {
		return nil, refuse(tooLarge, fmt.Sprintf("The record is larger than %d bytes.", maxRecord))
	}
	return parseRecord(data)
}

// open begins the document's part, and takes from its headers what the record does
// not say.
func (u *upload) open(record *proofs.Record) error {
	p, err := u.next("document")
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

// end sees to it that nothing comes after the document but the last boundary. It
// returns io.EOF if all is well.
func (u *upload) end() error {
	// NextRawPart wraps io.EOF when the body broke off, and returns it bare at the
	// final boundary.
	switch _, err := u.parts.NextRawPart(); {
	case err == nil:
		return refuse(malformedMultipart, "No part may follow the document.")
	case err != io.EOF:
		return u.fault(err)
	}
	if _, err := io.Copy(io.Discard, u.body); err != nil {
		return err
	}
	return io.EOF
}

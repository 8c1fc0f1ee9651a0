package service

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/api"
)

const (
	maxBatch = 32 << 20 // bytes of a batch
	maxLine  = 64 << 10 // bytes of one of its lines, without the LF
	// lineCost and memberCost are what a line and a member take in memory beside
	// their bytes.
	lineCost   = 128
	memberCost = 48
	ndjson     = "application/x-ndjson"
)

// CreateBatch implements POST /v1/deposits:batch.
func (s *server) CreateBatch(w http.ResponseWriter, r *http.Request, params api.CreateBatchParams) {
	prefer := s.preferences(r.Header)
	if prefer.minimal {
		prefer.applied = append(prefer.applied, "return=minimal")
	}
	held := share{of: &s.decoding, tenant: of(r).principal.Tenant.ID}
	defer held.release()
	receipts, err := s.batch(r, params, prefer, &held)
	prefer.tell(w.Header(), err)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	private(w, ndjson)
	w.WriteHeader(http.StatusCreated)
	writeBatch(w, receipts, !prefer.minimal)
}

func (s *server) batch(r *http.Request, params api.CreateBatchParams, prefer preferences, held *share) ([]proofs.Receipt, error) {
	who, key := of(r).principal, params.IdempotencyKey
	sure, err := witnessed(params.Assurance)
	if err != nil {
		return nil, err
	}
	switch {
	case !who.Role.MayDeposit(): // before 32 MiB of it are read
		return nil, notary.ErrForbidden
	case !validKey(key):
		return nil, errIdempotencyKey
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != ndjson {
		return nil, refuse(unsupportedMediaType, "Send a batch as "+ndjson+".")
	}
	// As many as there are lines may be too many; one is, here and now.
	if refused := s.limits.spent(who.Tenant.ID); refused != nil {
		return nil, refused
	}
	b, err := s.body(r, maxBatch, fmt.Sprintf("The batch is larger than %d bytes.", maxBatch))
	if err != nil {
		return nil, err
	}
	lines, err := decodeBatch(b, who, held)
	if err != nil {
		return nil, err
	}
	if err := s.limits.take(who.Tenant.ID, len(lines)); err != nil {
		return nil, err
	}
	return s.Notary.DepositBatch(r.Context(), who, notary.DigestBatch{Key: key, Lines: lines, Until: prefer.until, Witnessed: sure})
}

// decodeBatch reads the body to its end. Where lines are wrong it names every one.
func decodeBatch(from io.Reader, who notary.Principal, held *share) ([]proofs.Record, error) {
	in := &lines{from: bufio.NewReaderSize(from, 4<<10), held: held}
	var records []proofs.Record
	failed := map[int]*notary.InvalidError{}
	for {
		line, err := in.next()
		if err == io.EOF { //nolint:errorlint // the end of the body is io.EOF itself
			break
		}
		if err != nil {
			return nil, err
		}
		if len(records) == notary.MaxLines {
			return nil, refuse(malformedBatch, fmt.Sprintf("There are more than %d lines. Send the rest as another batch.", notary.MaxLines))
		}
		record, err := parseDigest(line)
		if refused := new(refusal); errors.As(err, &refused) {
			failed[len(records)] = &notary.InvalidError{Member: refused.member, Reason: refused.detail}
		}
		if err := held.take(len(line) + lineCost + memberCost*len(record)); err != nil {
			return nil, err
		}
		records = append(records, record)
	}
	switch {
	case len(records) == 0:
		return nil, refuse(malformedBatch, "There is no line in the body.")
	case len(failed) > 0:
		return nil, notary.BadBatch(who, records, failed)
	}
	return records, nil
}

// lines reads a body line by line. What a line takes while it comes in is held, so
// that many slow callers cannot fill the memory.
type lines struct {
	from *bufio.Reader
	held *share
	n    int
	long []byte // the line, where it did not fit the reader's buffer
}

// next returns the next line without its LF, valid until the call after; io.EOF at
// the end.
func (l *lines) next() ([]byte, error) {
	l.n++
	line, err := l.from.ReadSlice('\n')
	l.long = l.long[:0]
	for errors.Is(err, bufio.ErrBufferFull) && len(l.long)+len(line) <= maxLine {
		if need := len(l.long) + len(line); need > cap(l.long) {
			if err := l.held.take(need); err != nil {
				return nil, err
			}
		}
		l.long = append(l.long, line...)
		line, err = l.from.ReadSlice('\n')
	}
	if len(l.long) > 0 {
		l.long = append(l.long, line...)
		line = l.long
	}
	if err == nil {
		line = line[:len(line)-1]
	}
	switch {
	case err != nil && err != io.EOF && !errors.Is(err, bufio.ErrBufferFull):
		return nil, err
	case len(line) > maxLine:
		return nil, refuse(tooLarge, fmt.Sprintf("Line %d is larger than %d bytes.", l.n, maxLine))
	case err == io.EOF && len(line) == 0:
		return nil, err
	}
	return line, nil
}

// writeBatch writes the receipts of a batch, the checkpoint that they share first. An
// error in writing is the connection's end, and there is nobody left to tell.
func writeBatch(w io.Writer, receipts []proofs.Receipt, disclosures bool) {
	out := bufio.NewWriterSize(w, 32<<10)
	buf := append([]byte(nil), `{"checkpoint":`...)
	buf = appendText(buf, string(receipts[0].Checkpoint))
	buf = append(buf, `,"count":`...)
	buf = strconv.AppendInt(buf, int64(len(receipts)), 10)
	buf = append(buf, "}\n"...)
	for i := range receipts {
		if _, err := out.Write(buf); err != nil {
			return
		}
		buf = appendLine(buf[:0], &receipts[i], disclosures)
	}
	_, _ = out.Write(buf)
	_ = out.Flush()
}

// appendLine appends a receipt without its checkpoint as a BatchLine.
func appendLine(out []byte, r *proofs.Receipt, disclosures bool) []byte {
	id, _ := r.Member("id")
	out = append(append(out, `{"id":`...), id.JSON()...)
	out = strconv.AppendUint(append(out, `,"index":`...), r.Index, 10)
	out = appendText(append(out, `,"entry":`...), r.Entry.String())
	out = append(out, `,"path":[`...)
	for i, h := range r.Path {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(base64.StdEncoding.AppendEncode(append(out, '"'), h[:]), '"')
	}
	out = append(out, ']')
	if disclosures {
		out = proofs.AppendDisclosures(append(out, `,"disclosures":`...), r.Disclosures)
	}
	return append(out, "}\n"...)
}

// appendText appends the JSON of a receipt, checkpoint or entry: printable text and LF.
func appendText(out []byte, text string) []byte {
	out = append(out, '"')
	for line := range strings.Lines(text) {
		line, ended := strings.CutSuffix(line, "\n")
		for {
			i := strings.IndexByte(line, '"')
			if j := strings.IndexByte(line, '\\'); j >= 0 && (i < 0 || j < i) {
				i = j
			}
			if i < 0 {
				break
			}
			out = append(append(out, line[:i]...), '\\', line[i])
			line = line[i+1:]
		}
		out = append(out, line...)
		if ended {
			out = append(out, `\n`...)
		}
	}
	return append(out, '"')
}

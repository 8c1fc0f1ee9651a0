package client

import (
	"bufio"
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/muniment/muniment/proofs"
)

// MaxLines is the most lines that a batch may have.
const MaxLines = 10_000

// maxLine is the most bytes of one line of the answer: disclosures whose every
// character is escaped, an entry, a path.
const maxLine = 128 << 10

// errCut marks an answer that stops before its end. Another attempt may bring all
// of it.
var errCut = fmt.Errorf("%w: it was cut off", ErrAnswer)

// A Batch is digests that are to be deposited together, all of them or none.
type Batch struct {
	// Key is the Idempotency-Key, as in [Deposit]. It stands for all the lines, in
	// their order.
	Key string
	// Lines are the claims of each deposit, 1 to MaxLines, together at most 32 MiB of
	// JSON. Each has content.sha256.
	Lines []proofs.Record
	Wait  time.Duration // as in [Deposit]
	// Witnessed: as in [Deposit].
	Witnessed bool
	Signer    crypto.Signer // signs each line, as in [Deposit]
}

// DepositBatch deposits digests, one behind the other, and returns their receipts in
// the order of the lines, all under one checkpoint. It believes all of them or none:
// each is of the claims of its line, stands right behind the one before, in the log and
// in its case, has an id of its own, and satisfies the verifier if there is one.
//
// Keys, attempts and errors are as with [Client.Deposit]. Where lines cannot be
// deposited, none is, and [Problem.Lines] names each of them.
func (c *Client) DepositBatch(ctx context.Context, b Batch) ([]proofs.Receipt, error) {
	lines, err := b.lines()
	if err != nil {
		return nil, err
	}
	k := call{
		method: http.MethodPost, path: c.assured("/v1/deposits:batch", b.Witnessed), key: b.Key, want: http.StatusCreated,
		limit: maxCheckpoint + int64(len(lines))*maxLine,
	}
	if k.key == "" {
		k.key = rand.Text()
	}
	k.waits(b.Wait)
	k.sends("application/x-ndjson", ndjson(lines))
	var receipts []proofs.Receipt
	k.read = func(_ http.Header, body io.Reader) (err error) {
		receipts, err = c.receiptsOf(body, lines)
		return err
	}
	if err := c.do(ctx, &k); err != nil {
		return nil, err
	}
	return receipts, nil
}

// lines are b.Lines, once each is a record with a digest.
func (b Batch) lines() ([]proofs.Record, error) {
	if len(b.Lines) < 1 || len(b.Lines) > MaxLines {
		return nil, fmt.Errorf("a batch has 1 to %d lines, not %d", MaxLines, len(b.Lines))
	}
	out := make([]proofs.Record, len(b.Lines))
	for i, claims := range b.Lines {
		r, err := proofs.NewRecord(claims...)
		if err == nil {
			err = hasDigest(r)
		}
		if err == nil && b.Signer != nil {
			r, err = proofs.SignDeposit(r, b.Signer)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		out[i] = r
	}
	return out, nil
}

func ndjson(lines []proofs.Record) []byte {
	var out bytes.Buffer
	for _, r := range lines {
		out.WriteString(`{"record":` + r.JSON() + "}\n")
	}
	return out.Bytes()
}

// batchHead is the first line of the answer to a batch.
type batchHead struct {
	Checkpoint string `json:"checkpoint"`
	Count      int    `json:"count"`
}

// batchLine is what the answer says of one deposit.
type batchLine struct {
	ID          string          `json:"id"`
	Index       uint64          `json:"index"`
	Entry       string          `json:"entry"`
	Path        []string        `json:"path"`
	Disclosures json.RawMessage `json:"disclosures"`
}

// receiptsOf reads the answer to a batch, one line at a time.
func (c *Client) receiptsOf(body io.Reader, lines []proofs.Record) ([]proofs.Receipt, error) {
	in := bufio.NewReaderSize(body, max(maxCheckpoint, maxLine))
	var head batchHead
	if err := readLine(in, &head); err != nil {
		return nil, err
	}
	if head.Count != len(lines) {
		return nil, fmt.Errorf("%w: it is of %d deposits, not of %d", ErrAnswer, head.Count, len(lines))
	}
	checkpoint := []byte(head.Checkpoint)
	out := make([]proofs.Receipt, 0, len(lines))
	order := newOrder(len(lines))
	for i, claims := range lines {
		var l batchLine
		if err := readLine(in, &l); err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		r, err := c.receiptOfLine(l, checkpoint, claims)
		if err == nil {
			err = order.next(r)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		out = append(out, r)
	}
	switch _, err := in.ReadByte(); err {
	case io.EOF:
		return out, nil
	case nil:
		return nil, fmt.Errorf("%w: it goes on after its last line", ErrAnswer)
	default:
		return nil, err
	}
}

// readLine reads a line of JSON. What lacks its LF was cut off.
func readLine(in *bufio.Reader, into any) error {
	line, err := in.ReadSlice('\n')
	switch {
	case err == io.EOF:
		return errCut
	case errors.Is(err, bufio.ErrBufferFull):
		return fmt.Errorf("%w: a line is longer than it may be", ErrAnswer)
	case err != nil:
		return err
	}
	return decode(line, into)
}

// receiptOfLine puts a receipt together, and believes it or not.
func (c *Client) receiptOfLine(l batchLine, checkpoint []byte, claims proofs.Record) (proofs.Receipt, error) {
	r := proofs.Receipt{Index: l.Index, Checkpoint: checkpoint}
	var err error
	if r.Entry, err = proofs.ParseEntry(l.Entry); err != nil {
		return r, fmt.Errorf("%w: %w", ErrReceipt, err)
	}
	for _, s := range l.Path {
		h, err := proofs.ParseHash(s)
		if err != nil {
			return r, fmt.Errorf("%w: %w", ErrReceipt, err)
		}
		r.Path = append(r.Path, h)
	}
	if r.Disclosures, err = proofs.ParseDisclosures(string(l.Disclosures)); err != nil {
		return r, fmt.Errorf("%w: %w", ErrReceipt, err)
	}
	if err := c.judge(r); err != nil {
		return r, err
	}
	if err := about(r, claims, false); err != nil {
		return r, err
	}
	if id, _ := textOf(r.Member, "id"); id != l.ID {
		return r, fmt.Errorf("%w: its id is another than its line's", ErrReceipt)
	}
	return r, nil
}

// order checks that receipts follow one another as the lines of one batch do.
type order struct {
	last  *proofs.Receipt
	ids   map[proofs.Value]bool
	cases map[string]place // the newest of each
}

func newOrder(n int) *order {
	return &order{ids: make(map[proofs.Value]bool, n), cases: map[string]place{}}
}

func (o *order) next(r proofs.Receipt) error {
	id, _ := r.Member("id")
	switch {
	case o.last != nil && r.Index != o.last.Index+1:
		return fmt.Errorf("%w: its index %d does not follow %d", ErrReceipt, r.Index, o.last.Index)
	case o.last != nil && r.Entry.Time.Before(o.last.Entry.Time):
		return fmt.Errorf("%w: it is dated before the one that it follows", ErrReceipt)
	case o.ids[id]:
		return fmt.Errorf("%w: its id stands twice in one batch", ErrReceipt)
	}
	o.last, o.ids[id] = &r, true
	contract, ok := textOf(r.Member, "contract.number")
	if !ok {
		return nil
	}
	p, err := placeOf(r.Member, r.Entry.LeafHash())
	if err != nil {
		return fmt.Errorf("%w: %w", ErrReceipt, err)
	}
	if last, ok := o.cases[contract]; ok && !p.follows(last) {
		return fmt.Errorf("%w: number %d of its case does not follow number %d", ErrReceipt, p.seq, last.seq)
	}
	o.cases[contract] = p
	return nil
}

// textOf returns a member that is a string.
func textOf(member func(string) (proofs.Value, bool), name string) (string, bool) {
	v, _ := member(name)
	return v.Text()
}

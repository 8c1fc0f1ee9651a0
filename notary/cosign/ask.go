package cosign

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
)

// maxAnswer bounds the body of an answer, in bytes: a note with as many signatures as it
// may have is smaller.
const maxAnswer = 256 << 10

// Why a witness has not cosigned.
var (
	errRefused  = errors.New("it refuses") // by an HTTP status
	errAnswer   = errors.New("its answer is not one of the protocol")
	errInvalid  = errors.New("its cosignature does not verify, or is of another time")
	errChanging = errors.New("it names one size and then another")
	errUnproved = errors.New("the log's growth cannot be proved to it")
)

// dissentError: the witness knows the log as another.
type dissentError struct{ notary.Dissent }

func (e *dissentError) Error() string {
	shown := "and shows no checkpoint for it"
	if e.Note != nil {
		shown = "and shows a checkpoint with the log's signature"
	}
	return fmt.Sprintf("it does not go on from what it cosigned, %d entries, %s", e.Size, shown)
}

// ask asks one witness to cosign one checkpoint, from the size that it is known to have
// cosigned, or names itself.
func (c *Client) ask(ctx context.Context, p *peer, s notary.Sealed) (map[string]proofs.Signature, error) {
	for range 2 {
		status, body, err := c.post(ctx, p, s)
		if err != nil {
			return nil, err
		}
		switch status {
		case http.StatusOK:
			signatures, err := c.read(p, s, body)
			if err == nil {
				p.size = s.Size
			}
			return signatures, err
		case http.StatusConflict:
			size, err := conflicting(body)
			if err != nil {
				return nil, err
			}
			if size > s.Size {
				return nil, c.dissent(ctx, p, s, size)
			}
			p.size = size
		case http.StatusUnprocessableEntity:
			return nil, c.dissent(ctx, p, s, min(p.size, s.Size))
		default:
			return nil, fmt.Errorf("%w: HTTP status %d", errRefused, status)
		}
	}
	return nil, errChanging
}

// conflicting reads what a 409 says.
func conflicting(body []byte) (uint64, error) {
	size, err := strconv.ParseUint(strings.TrimSuffix(string(body), "\n"), 10, 63)
	if err != nil || fmt.Sprintln(size) != string(body) { // it has one spelling
		return 0, fmt.Errorf("%w: a conflict without the size", errAnswer)
	}
	return size, nil
}

// post sends one add-checkpoint.
func (c *Client) post(ctx context.Context, p *peer, s notary.Sealed) (status int, body []byte, err error) {
	old := min(p.size, s.Size)
	var request bytes.Buffer
	fmt.Fprintf(&request, "old %d\n", old)
	if old > 0 && old < s.Size {
		path, err := s.Prove(ctx, old, s.Size)
		if err != nil {
			return 0, nil, fmt.Errorf("%w: %w", errUnproved, err)
		}
		for _, h := range path {
			request.WriteString(h.String() + "\n")
		}
	}
	request.WriteByte('\n')
	request.Write(s.Note)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url+"/add-checkpoint", &request)
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Content-Type", "text/plain; charset=utf-8")
	return c.do(r)
}

// do sends a request and reads a bounded answer.
func (c *Client) do(r *http.Request) (status int, body []byte, err error) {
	resp, err := c.http.Do(r)
	if err != nil {
		return 0, nil, unquoted(err)
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return 0, nil, unquoted(err)
	}
	if len(body) > maxAnswer {
		return 0, nil, fmt.Errorf("%w: it is larger than %d bytes", errAnswer, maxAnswer)
	}
	return resp.StatusCode, body, nil
}

// unquoted is an error without what the other side has said: that has no place in a log.
func unquoted(err error) error {
	var told net.Error
	var op *net.OpError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &told) && told.Timeout():
		return errors.New("it did not answer in time")
	case errors.As(err, &certificate):
		return errors.New("its TLS certificate does not hold")
	case errors.As(err, &op):
		return op
	}
	return errors.New("it broke off, or did not speak HTTP; try its address with curl")
}

// read takes the cosignatures out of an answer: those of the witness's own keys that
// verify and are of about now. What else stands there is passed over.
func (c *Client) read(p *peer, s notary.Sealed, body []byte) (map[string]proofs.Signature, error) {
	text := s.String()
	note, err := proofs.ParseNote(append([]byte(text+"\n"), body...))
	if err != nil || note.Text != text {
		return nil, fmt.Errorf("%w: it holds no signatures", errAnswer)
	}
	out := map[string]proofs.Signature{}
	for _, signature := range note.Signatures {
		name, at, ok := c.verifier.Cosignature(text, signature)
		// The checkpoint cannot have been cosigned before its newest entry was made.
		sane := !at.After(time.Now().Add(clockSkew)) && !at.Before(s.Time.Add(-clockSkew))
		for _, own := range p.names {
			if ok && sane && own == name {
				out[name] = signature
			}
		}
	}
	if len(out) == 0 {
		return nil, errInvalid
	}
	return out, nil
}

// dissent asks a witness that does not go on to show what it holds.
func (c *Client) dissent(ctx context.Context, p *peer, s notary.Sealed, size uint64) error {
	d := &dissentError{notary.Dissent{Size: size}}
	hash := sha256.Sum256([]byte(s.Origin))
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/"+hex.EncodeToString(hash[:])+"/checkpoint", nil)
	if err != nil {
		return d
	}
	status, body, err := c.do(r)
	if err != nil || status != http.StatusOK {
		return d // to show it is not asked of every witness
	}
	if _, outcome, _ := c.logAlone.Checkpoint(body); outcome == proofs.Verified {
		d.Note = body
	}
	return d
}

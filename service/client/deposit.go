package client

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"time"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/api"
)

// A Deposit is what is to be deposited.
type Deposit struct {
	// Key is the Idempotency-Key: 1 to 255 printable ASCII characters that stand for
	// this content for ever. Send the same key after a crash, and there is still one
	// deposit. Empty: a random one, good for this call alone.
	Key string
	// Claims are the members that the depositor states. Where they have no
	// content.sha256, the document is read once more to find it.
	Claims proofs.Record
	// Document opens the document from its first byte, once for each time it is read.
	// Nil: only the digest is deposited, and the document stays here.
	Document func() (io.ReadCloser, error)
	// Size is the document's length in bytes; where the document changed, and has
	// another, nothing is deposited.
	Size int64
	// Wait is how long the server may wait for the seal of what it has committed, in
	// whole seconds; 0: as long as it will. Where the seal is later, the Problem is
	// ProblemSealingDelayed, and with a Wait it is returned at once; so is
	// ProblemWitnessQuorum with Committed set.
	Wait time.Duration
	// Witnessed asks for a receipt that the quorum of the depository's witnesses has
	// cosigned. It is asked for anyway where the verifier's policy demands one.
	Witnessed bool
	// Name and Type stand for content.name and content.type where Claims have none.
	Name, Type string
	// Signer signs the digest and all claims with the depositor's own key, Ed25519 or ECDSA on
	// P-256, which may be one in hardware; nil: as the Claims are. It is asked once.
	Signer crypto.Signer
}

// Deposit deposits a document or a digest and returns its receipt, once it has been
// checked: it is of the digest and the claims that were sent, and it satisfies the
// verifier if there is one.
//
// It repeats what can be repeated, under one key. Where it gives up, the error is a
// [*Problem] if the server answered; sent again with the same key, the same deposit
// is completed and no second one made.
func (c *Client) Deposit(ctx context.Context, d Deposit) (proofs.Receipt, error) {
	claims, err := d.claims()
	if err != nil {
		return proofs.Receipt{}, err
	}
	k := call{method: http.MethodPost, path: c.assured("/v1/deposits", d.Witnessed), key: d.Key, want: http.StatusCreated, limit: maxDeposit}
	if k.key == "" {
		k.key = rand.Text()
	}
	k.waits(d.Wait)
	if err := d.encode(&k, claims); err != nil {
		return proofs.Receipt{}, err
	}
	data, err := c.get(ctx, k)
	if err != nil {
		return proofs.Receipt{}, err
	}
	r, err := c.receiptOf(data)
	if err != nil {
		return proofs.Receipt{}, err
	}
	if err := about(r, claims, d.Document != nil); err != nil {
		return proofs.Receipt{}, err
	}
	return r, nil
}

// assured adds to a path the assurance that is needed.
func (c *Client) assured(path string, witnessed bool) string {
	if witnessed || c.Verifier != nil && c.Verifier.Witnessed() {
		return path + "?assurance=witnessed"
	}
	return path
}

// claims are d.Claims with what d says beside them, and always with the digest: it
// ties the receipt to what was meant.
func (d Deposit) claims() (proofs.Record, error) {
	members := d.Claims
	for name, said := range map[string]string{"content.name": d.Name, "content.type": d.Type} {
		if _, there := d.Claims.Get(name); there || said == "" {
			continue
		}
		v, err := proofs.Text(said)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		members = append(members[:len(members):len(members)], proofs.Member{Name: name, Value: v})
	}
	if _, there := d.Claims.Get("content.sha256"); !there {
		digest, err := d.digest()
		if err != nil {
			return nil, err
		}
		members = append(members[:len(members):len(members)], proofs.Member{Name: "content.sha256", Value: digest})
	}
	r, err := proofs.NewRecord(members...)
	if err != nil {
		return nil, err
	}
	if err := hasDigest(r); err != nil || d.Signer == nil {
		return r, err
	}
	return proofs.SignDeposit(r, d.Signer)
}

func hasDigest(r proofs.Record) error {
	if v, _ := r.Get("content.sha256"); !proofs.TypeDigest.Holds(v) {
		return errors.New("content.sha256 is not 64 lower-case hex digits")
	}
	return nil
}

func (d Deposit) digest() (proofs.Value, error) {
	if d.Document == nil {
		return proofs.Value{}, errors.New("a deposit of a digest needs content.sha256 among its claims")
	}
	f, err := d.Document()
	if err != nil {
		return proofs.Value{}, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return proofs.Value{}, err
	}
	return proofs.Text(hex.EncodeToString(h.Sum(nil)))
}

// encode writes the request's body, as JSON for a digest and as multipart/form-data
// around the document, which is opened anew for each attempt.
func (d Deposit) encode(k *call, claims proofs.Record) error {
	record := []byte(claims.JSON())
	if d.Document == nil {
		body, err := json.Marshal(api.DepositRequest{Record: record})
		if err != nil {
			return err
		}
		k.sends("application/json", body)
		return nil
	}
	head, tail, kind, err := frame(record)
	if err != nil {
		return err
	}
	v, _ := claims.Get("content.sha256")
	want, _ := v.Text()
	k.kind, k.length = kind, int64(len(head))+d.Size+int64(len(tail))
	k.body = func() (io.ReadCloser, error) {
		f, err := d.Document()
		if err != nil {
			return nil, fmt.Errorf("opening the document: %w: %w", errLocal, err)
		}
		doc := &document{from: f, left: d.Size, hash: sha256.New(), want: want}
		return &framed{io.MultiReader(bytes.NewReader(head), doc, bytes.NewReader(tail)), f}, nil
	}
	return nil
}

// frame returns what stands before and after the document in the body. The
// document's name is in the record, where it needs no escaping.
func frame(record []byte) (head, tail []byte, kind string, err error) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	p, err := w.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {`form-data; name="record"`}, "Content-Type": {"application/json"},
	})
	if err != nil {
		return nil, nil, "", err
	}
	if _, err := p.Write(record); err != nil {
		return nil, nil, "", err
	}
	if _, err := w.CreatePart(textproto.MIMEHeader{"Content-Disposition": {`form-data; name="document"`}}); err != nil {
		return nil, nil, "", err
	}
	cut := b.Len()
	if err := w.Close(); err != nil {
		return nil, nil, "", err
	}
	return b.Bytes()[:cut:cut], b.Bytes()[cut:], w.FormDataContentType(), nil
}

// framed closes the document with the body.
type framed struct {
	io.Reader
	io.Closer
}

// errLocal marks what failed on this side, and would fail again.
var errLocal = errors.New("cannot be read")

// document reads a document and ends only if it was the one that was announced. So
// the body of a document that changed is never completed, and the server keeps none
// of it.
type document struct {
	from io.Reader
	left int64 // bytes that must still come
	hash hash.Hash
	want string
}

// Read implements io.Reader.
func (d *document) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := d.from.Read(p)
	d.left -= int64(n)
	d.hash.Write(p[:n])
	switch {
	case d.left < 0:
		return 0, fmt.Errorf("%w: it is longer than it was", ErrChanged)
	case err == io.EOF && d.left > 0:
		return 0, fmt.Errorf("%w: it is shorter than it was", ErrChanged)
	case err == io.EOF && hex.EncodeToString(d.hash.Sum(nil)) != d.want:
		return 0, fmt.Errorf("%w: its SHA-256 is another", ErrChanged)
	case err != nil && err != io.EOF:
		return 0, fmt.Errorf("the document %w: %w", errLocal, err)
	}
	return n, err
}

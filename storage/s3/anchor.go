package s3

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/muniment/muniment/notary"
)

// maxBody is the longest body of a checkpoint.
const maxBody = 4_000

// Anchor is a notary.Anchor in one object, <prefix>anchor. The object holds the body and
// nothing else; its SHA-256 is kept beside it as metadata. Any number of processes may
// use it: each Advance names, by If-Match, the ETag of the body it replaces.
type Anchor struct {
	register register

	mu   sync.Mutex
	last seen // so that an Advance from what is known is one request
}

// seen is what the register held when this process last looked.
type seen struct {
	body []byte
	etag string
}

var _ notary.Anchor = (*Anchor)(nil)

// CreateAnchor makes a register that holds body, durable on return. It is
// notary.ErrExists if there is one.
func CreateAnchor(ctx context.Context, at Bucket, body []byte) error {
	if err := checkBody(body); err != nil {
		return err
	}
	a, err := openRegister(ctx, at, defaultTimeout)
	if err != nil {
		return err
	}
	defer a.Close()
	_, err = a.register.create(ctx, body)
	if err != nil && unmet(err) {
		return fmt.Errorf("s3: create anchor: %w", notary.ErrExists)
	}
	if err != nil {
		return a.register.failed(ctx, "create anchor", err)
	}
	found, err := a.Load(ctx)
	if err == nil && !bytes.Equal(found, body) {
		err = errOther
	}
	return err
}

// OpenAnchor opens the register that CreateAnchor made. A server that ignores the
// conditions of a request is refused, and so is a register that is missing.
func OpenAnchor(ctx context.Context, at Bucket) (*Anchor, error) {
	a, err := openRegister(ctx, at, defaultTimeout)
	if err != nil {
		return nil, err
	}
	if _, err := a.Load(ctx); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

func openRegister(ctx context.Context, at Bucket, timeout time.Duration) (*Anchor, error) {
	// No request is made twice: the answer to the second could not be told from another's.
	b, err := connect(at, timeout, 1)
	if err != nil {
		return nil, err
	}
	if err = b.exists(ctx); err == nil {
		err = b.checkIfMatch(ctx)
	}
	if err != nil {
		b.close()
		return nil, err
	}
	return &Anchor{register: register{b, b.prefix + "anchor"}}, nil
}

// Close gives the idle connections up.
func (a *Anchor) Close() error {
	a.register.close()
	return nil
}

// Load implements notary.Anchor.
func (a *Anchor) Load(ctx context.Context) ([]byte, error) {
	now, err := a.load(ctx)
	if err != nil {
		return nil, err
	}
	return bytes.Clone(now.body), nil
}

func (a *Anchor) load(caller context.Context) (seen, error) {
	if err := caller.Err(); err != nil {
		return seen{}, err
	}
	ctx, cancel := a.register.within(caller, a.register.timeout)
	defer cancel()
	body, etag, err := a.register.read(ctx)
	if missing(err) {
		return seen{}, fmt.Errorf("s3: there is no anchor at %s in the bucket %q: %w", a.register.endpoint, a.register.name, notary.ErrNotFound)
	}
	if err != nil {
		return seen{}, a.register.failed(ctx, "load anchor", err)
	}
	return a.saw(seen{body, etag}), nil
}

func (a *Anchor) saw(now seen) seen {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last = now
	return now
}

// Advance implements notary.Anchor. What another process wrote meanwhile is found by the
// server, under its own lock.
func (a *Anchor) Advance(caller context.Context, prev, next []byte) error {
	if err := checkBody(next); err != nil {
		return err
	}
	if err := caller.Err(); err != nil {
		return err
	}
	a.mu.Lock()
	now := a.last
	a.mu.Unlock()
	if !bytes.Equal(now.body, prev) {
		var err error
		if now, err = a.load(caller); err != nil {
			return err
		}
		if !bytes.Equal(now.body, prev) {
			return conflict()
		}
	}
	ctx, cancel := a.register.within(caller, a.register.timeout)
	defer cancel()
	etag, err := a.register.replace(ctx, now.etag, next)
	if err != nil && unmet(err) {
		return a.beaten(caller, prev, next)
	}
	if err != nil {
		return a.register.failed(ctx, "advance anchor", err)
	}
	a.saw(seen{bytes.Clone(next), etag})
	return nil
}

// beaten finds out why the register no longer had the ETag that was named.
func (a *Anchor) beaten(ctx context.Context, prev, next []byte) error {
	now, err := a.load(ctx)
	switch {
	case err != nil:
		return err
	case bytes.Equal(now.body, next):
		return nil // by a request of ours that something on the way made twice
	case bytes.Equal(now.body, prev):
		return errors.New("s3: advance anchor: the server refused, and holds what was to be replaced")
	}
	return conflict()
}

func conflict() error { return fmt.Errorf("s3: %w", notary.ErrConflict) }

func checkBody(body []byte) error {
	if len(body) == 0 || len(body) > maxBody {
		return fmt.Errorf("s3: a body of %d bytes: an anchor holds 1 to %d", len(body), maxBody)
	}
	return nil
}

// register is one object that is replaced by conditional puts alone.
type register struct {
	*bucket
	key string
}

const digestHeader = "Muniment-Sha256"

func (r register) put(ctx context.Context, body []byte, condition func(*minio.PutObjectOptions)) (etag string, err error) {
	sum := sha256.Sum256(body)
	digest := hex.EncodeToString(sum[:])
	opts := minio.PutObjectOptions{
		UserMetadata:         map[string]string{digestHeader: digest, checksumHeader: base64.StdEncoding.EncodeToString(sum[:])},
		DisableContentSha256: true,
	}
	condition(&opts)
	info, err := r.core.PutObject(ctx, r.name, r.key, bytes.NewReader(body), int64(len(body)), "", digest, opts)
	return info.ETag, err
}

func (r register) create(ctx context.Context, body []byte) (etag string, err error) {
	return r.put(ctx, body, func(o *minio.PutObjectOptions) { o.SetMatchETagExcept("*") })
}

func (r register) replace(ctx context.Context, etag string, body []byte) (string, error) {
	return r.put(ctx, body, func(o *minio.PutObjectOptions) { o.SetMatchETag(etag) })
}

// read returns the body only if it is whole.
func (r register) read(ctx context.Context) (body []byte, etag string, err error) {
	answer, info, _, err := r.core.GetObject(ctx, r.name, r.key, minio.GetObjectOptions{})
	if err != nil {
		return nil, "", err
	}
	defer answer.Close()
	body, err = io.ReadAll(io.LimitReader(answer, maxBody+1))
	if err != nil {
		return nil, "", err
	}
	sum := sha256.Sum256(body)
	whole := info.Metadata.Get("X-Amz-Meta-"+digestHeader) == hex.EncodeToString(sum[:])
	if !whole || int64(len(body)) != info.Size || info.ETag == "" {
		return nil, "", fmt.Errorf("%w: the anchor is not the body that was put", notary.ErrDamaged)
	}
	return body, info.ETag, checkBody(body)
}

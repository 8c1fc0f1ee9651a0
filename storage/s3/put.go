package s3

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/muniment/muniment/notary"
)

const (
	// partSize is the least that S3 takes for a part that is not the last.
	partSize = 5 << 20
	maxParts = 10_000
	// partBuffers bounds the memory of documents on their way: 160 MiB, beside what small
	// ones take.
	partBuffers = 32
	// smallSize is what a document that fits takes in memory; few contracts are larger.
	smallSize = 256 << 10
)

var smallBuffers = sync.Pool{New: func() any { return new([smallSize]byte) }}

// Put implements notary.Blobs. A document shorter than a part goes as one object, a larger
// one as a multipart upload. Until the request that gives it its name nothing is visible;
// from that request on ctx no longer ends the Put, which then knows how it ended: what was
// stored is read back whole, and taken away again if it is not what was sent.
//
// Each upload carries a random mark. By that a Put whose answer was lost knows its own
// object from another's under the same name.
func (b *Blobs) Put(ctx context.Context, name string, r io.Reader) (int64, error) {
	at, key, err := b.place(name)
	if err != nil {
		return 0, err
	}
	u := newUpload(at, key)
	small := smallBuffers.Get().(*[smallSize]byte)
	defer smallBuffers.Put(small)
	n, err := fill(ctx, r, small[:])
	u.take(small[:n])
	if errors.Is(err, io.EOF) {
		return u.done(u.single(ctx, small[:n]))
	}
	if err != nil {
		return 0, err
	}
	part, err := b.takePart(ctx, at.timeout)
	if err != nil {
		return 0, err
	}
	defer func() { b.parts <- part }()
	copy(part, small[:])
	n, err = fill(ctx, r, part[smallSize:])
	u.take(part[smallSize : smallSize+n])
	if errors.Is(err, io.EOF) {
		err = u.single(ctx, part[:smallSize+n])
	} else if err == nil {
		err = u.multipart(ctx, r, part)
	}
	return u.done(err)
}

// fill reads until buf is full, and returns io.EOF if r ended before.
func fill(ctx context.Context, r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) {
		if err := ctx.Err(); err != nil {
			return n, err
		}
		k, err := r.Read(buf[n:])
		n += k
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// takePart waits for a buffer to be free.
func (b *Blobs) takePart(ctx context.Context, patience time.Duration) ([]byte, error) {
	select {
	case part := <-b.parts:
		if part == nil {
			part = make([]byte, partSize)
		}
		return part, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(patience):
		return nil, errors.New("s3: put: too many large documents are on their way")
	}
}

// upload is one object on its way.
type upload struct {
	*bucket
	key  string
	mark string
	sum  hash.Hash
	size int64
	// lock and until are Object Lock's from the beginning; empty: there is none.
	lock  minio.RetentionMode
	until time.Time
}

func newUpload(b *bucket, key string) *upload {
	return &upload{bucket: b, key: key, mark: rand.Text(), sum: sha256.New()}
}

func (u *upload) take(p []byte) {
	u.sum.Write(p)
	u.size += int64(len(p))
}

func (u *upload) done(err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return u.size, nil
}

const markHeader = "Muniment-Upload"

// options are those of a request that creates an object: with the checksum, which the
// server compares with what it received, by S3's name.
func (u *upload) options(header, checksum string) minio.PutObjectOptions {
	return minio.PutObjectOptions{
		UserMetadata:         map[string]string{markHeader: u.mark, header: checksum},
		Mode:                 u.lock,
		RetainUntilDate:      u.until,
		DisableContentSha256: true, // not in chunks: the digest of the whole is known
	}
}

const (
	checksumHeader    = "x-amz-checksum-sha256"
	checksumAlgorithm = "x-amz-checksum-algorithm"
)

// single puts a body that is wholly in memory.
func (u *upload) single(caller context.Context, body []byte) error {
	if err := caller.Err(); err != nil {
		return err
	}
	ctx, cancel := u.within(context.WithoutCancel(caller), 2*u.timeout)
	defer cancel()
	return u.settle(ctx, u.create(ctx, body))
}

func (u *upload) create(ctx context.Context, body []byte) error {
	sum := sha256.Sum256(body)
	opts := u.options(checksumHeader, base64.StdEncoding.EncodeToString(sum[:]))
	opts.SetMatchETagExcept("*")
	_, err := u.core.PutObject(ctx, u.name, u.key, bytes.NewReader(body), int64(len(body)), "", hex.EncodeToString(sum[:]), opts)
	return err
}

// settle finds out what became of the request that was to give the object its name.
func (u *upload) settle(ctx context.Context, err error) error {
	if err != nil && (unmet(err) || minio.ToErrorResponse(err).Code == minio.NoSuchUpload) {
		// Perhaps by an earlier attempt of our own whose answer was lost.
		o, seen := u.stat(ctx)
		switch {
		case seen == nil && u.ours(o):
			err = nil
		case seen == nil:
			return fmt.Errorf("s3: put: %w", notary.ErrExists)
		case !missing(seen):
			return u.undo(ctx, u.failed(ctx, "put", seen))
		}
	}
	if err != nil {
		failed := u.failed(ctx, "put", err)
		if refused(err) {
			return failed
		}
		return u.undo(ctx, failed)
	}
	if err := u.verify(ctx); err != nil {
		return u.undo(ctx, err)
	}
	return nil
}

// verify reads the object back.
func (u *upload) verify(ctx context.Context) error {
	body, err := u.get(ctx, u.key, "", 0, u.size, u.size)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errOther
	}
	if missing(err) {
		return fmt.Errorf("%w: it is not there", errOther)
	}
	if err != nil {
		return u.failed(ctx, "read back", err)
	}
	defer body.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, io.LimitReader(body, u.size+1))
	if err != nil {
		return u.failed(ctx, "read back", err)
	}
	if n != u.size || !bytes.Equal(sum.Sum(nil), u.sum.Sum(nil)) {
		return errOther
	}
	return nil
}

var errOther = errors.New("s3: put: the server took the object and gives back another")

func (u *upload) stat(ctx context.Context) (minio.ObjectInfo, error) {
	return u.core.StatObject(ctx, u.name, u.key, minio.StatObjectOptions{})
}

func (u *upload) ours(o minio.ObjectInfo) bool {
	return o.Metadata.Get("X-Amz-Meta-"+markHeader) == u.mark
}

// undo takes back what a Put that fails has, or may have, stored.
func (u *upload) undo(ctx context.Context, err error) error {
	if undone := u.discard(ctx); undone != nil {
		return fmt.Errorf("%w; it may be there, for the sweep to take: %w", err, undone)
	}
	return err
}

// discard takes the object away if it is this upload's and nobody else's.
func (u *upload) discard(ctx context.Context) error {
	ctx, cancel := u.within(context.WithoutCancel(ctx), u.timeout)
	defer cancel()
	o, err := u.stat(ctx)
	if missing(err) {
		return nil
	}
	if err == nil && u.ours(o) {
		err = u.remove(ctx, u.key, o.VersionID)
	}
	if err != nil {
		return u.failed(ctx, "take back", err)
	}
	return nil
}

// multipart sends part, and what is still in r, in parts one after the other.
func (u *upload) multipart(caller context.Context, r io.Reader, part []byte) error {
	id, err := u.begin(caller)
	if err != nil {
		return u.failed(caller, "put", err)
	}
	parts, err := u.send(caller, id, r, part)
	if err == nil {
		err = caller.Err()
	}
	if err != nil {
		return u.abort(caller, id, err)
	}
	// The object comes to be with this request: from here on as with a single put.
	ctx, cancel := u.within(context.WithoutCancel(caller), 2*u.timeout+moving(u.size))
	defer cancel()
	if err := u.settle(ctx, u.complete(ctx, id, parts)); err != nil {
		return u.abort(caller, id, err)
	}
	return nil
}

func (u *upload) begin(caller context.Context) (id string, err error) {
	ctx, cancel := u.within(caller, u.timeout)
	defer cancel()
	return u.core.NewMultipartUpload(ctx, u.name, u.key, u.options(checksumAlgorithm, "SHA256"))
}

func (u *upload) complete(ctx context.Context, id string, parts []minio.CompletePart) error {
	ctx, cancel := u.within(ctx, u.timeout)
	defer cancel()
	var opts minio.PutObjectOptions
	opts.SetMatchETagExcept("*")
	_, err := u.core.CompleteMultipartUpload(ctx, u.name, u.key, id, parts, opts)
	return err
}

// send sends the parts: buf first, which is full, and then what r gives, through buf.
func (u *upload) send(ctx context.Context, id string, r io.Reader, buf []byte) ([]minio.CompletePart, error) {
	var parts []minio.CompletePart
	n, end := len(buf), error(nil)
	for n > 0 {
		if len(parts) == maxParts {
			return nil, fmt.Errorf("s3: put: a document may have %d bytes", int64(maxParts)*partSize)
		}
		part, err := u.sendPart(ctx, id, len(parts)+1, buf[:n])
		if err != nil {
			return nil, u.failed(ctx, "put", err)
		}
		parts = append(parts, part)
		if end != nil {
			break
		}
		if n, end = fill(ctx, r, buf); end != nil && !errors.Is(end, io.EOF) {
			return nil, end
		}
		u.take(buf[:n])
	}
	return parts, nil
}

func (u *upload) sendPart(ctx context.Context, id string, number int, body []byte) (minio.CompletePart, error) {
	ctx, cancel := u.within(ctx, 2*u.timeout)
	defer cancel()
	sum := sha256.Sum256(body)
	checksum := base64.StdEncoding.EncodeToString(sum[:])
	part, err := u.core.PutObjectPart(ctx, u.name, u.key, id, number, bytes.NewReader(body), int64(len(body)), minio.PutObjectPartOptions{
		Sha256Hex:            hex.EncodeToString(sum[:]),
		CustomHeader:         http.Header{http.CanonicalHeaderKey(checksumHeader): {checksum}},
		DisableContentSha256: true,
	})
	return minio.CompletePart{PartNumber: number, ETag: part.ETag, ChecksumSHA256: checksum}, err
}

// abort gives the parts' room back.
func (u *upload) abort(caller context.Context, id string, err error) error {
	ctx, cancel := u.within(context.WithoutCancel(caller), u.timeout)
	defer cancel()
	aborted := u.core.AbortMultipartUpload(ctx, u.name, u.key, id)
	if aborted != nil && minio.ToErrorResponse(aborted).Code != minio.NoSuchUpload {
		return fmt.Errorf("%w; its parts may be there: %w", err, u.failed(ctx, "abort", aborted))
	}
	return err
}

package s3

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"

	"github.com/minio/minio-go/v7"
)

// exists makes sure of the bucket and of the credentials.
func (b *bucket) exists(caller context.Context) error {
	ctx, cancel := b.within(caller, b.timeout)
	defer cancel()
	found, err := b.core.BucketExists(ctx, b.name)
	switch status := minio.ToErrorResponse(err).StatusCode; {
	case status == http.StatusForbidden || status == http.StatusUnauthorized:
		return fmt.Errorf("s3: %s refuses these credentials for the bucket %q", b.endpoint, b.name)
	case status == http.StatusMovedPermanently || status == http.StatusBadRequest:
		return fmt.Errorf("s3: %s refuses the region that is set for the bucket %q", b.endpoint, b.name)
	case err != nil:
		return b.failed(ctx, "open", err)
	case !found:
		return fmt.Errorf("s3: there is no bucket %q at %s: create it", b.name, b.endpoint)
	}
	return nil
}

// checkLock makes sure that the bucket can retain, if it must, and retains nothing by
// itself: what is not committed yet must remain deletable.
func (b *bucket) checkLock(caller context.Context, asked bool) error {
	ctx, cancel := b.within(caller, b.timeout)
	defer cancel()
	enabled, mode, _, _, err := b.core.GetObjectLockConfig(ctx, b.name)
	answer := minio.ToErrorResponse(err)
	switch {
	case err != nil && answer.StatusCode != http.StatusNotFound && answer.StatusCode != http.StatusNotImplemented:
		return b.failed(ctx, "read the Object Lock of the bucket", err)
	case mode != nil:
		return fmt.Errorf("s3: the bucket %q has a default retention, so that nothing could be swept from it: remove the rule", b.name)
	case asked && enabled != "Enabled":
		return fmt.Errorf("s3: the bucket %q has no Object Lock, which retention asks for: create one with it", b.name)
	}
	return nil
}

// checkCreateOnly makes sure that an object is created once and never replaced, in each of
// the ways in which Put creates one.
func (b *bucket) checkCreateOnly(ctx context.Context) error {
	body := []byte("first")
	u := newUpload(b, b.scratch())
	u.take(body)
	if err := u.single(ctx, body); err != nil {
		return err
	}
	err := b.replaces(ctx, u.key)
	if undone := u.discard(ctx); undone != nil && err == nil {
		return undone
	}
	return err
}

// replaces tries to put another object where there is one.
func (b *bucket) replaces(caller context.Context, key string) error {
	ctx, cancel := b.within(caller, 2*b.timeout)
	defer cancel()
	other := newUpload(b, key)
	if err := b.mustRefuse(ctx, "a put", "If-None-Match", other.create(ctx, []byte("second"))); err != nil {
		return errors.Join(err, other.discard(ctx))
	}
	id, err := other.begin(ctx)
	if err != nil {
		return b.failed(ctx, "check", err)
	}
	part, err := other.sendPart(ctx, id, 1, []byte("third"))
	if err != nil {
		return other.abort(ctx, id, b.failed(ctx, "check", err))
	}
	err = b.mustRefuse(ctx, "a multipart upload", "If-None-Match", other.complete(ctx, id, []minio.CompletePart{part}))
	if err != nil {
		err = errors.Join(err, other.discard(ctx))
	}
	return other.abort(ctx, id, err)
}

// mustRefuse judges the answer to a request whose condition does not hold.
func (b *bucket) mustRefuse(ctx context.Context, request, condition string, err error) error {
	switch {
	case err == nil:
		return fmt.Errorf("s3: %s ignores %s of %s: objects could be overwritten unseen, so it cannot be used", b.endpoint, condition, request)
	case minio.ToErrorResponse(err).StatusCode != http.StatusPreconditionFailed:
		return b.failed(ctx, "check "+condition, err)
	}
	return nil
}

// checkIfMatch makes sure that an object is replaced by who names its ETag, and by nobody
// else. It leaves nothing behind.
func (b *bucket) checkIfMatch(caller context.Context) error {
	ctx, cancel := b.within(caller, 2*b.timeout)
	defer cancel()
	r := register{b, b.prefix + "anchor-probe/" + rand.Text()}
	first, err := r.create(ctx, []byte("first"))
	if err != nil {
		return b.failed(ctx, "check If-Match", err)
	}
	err = r.mustCompare(ctx, first)
	if removed := b.removeAll(ctx, r.key); removed != nil && err == nil {
		return b.failed(ctx, "check If-Match", removed)
	}
	return err
}

func (r register) mustCompare(ctx context.Context, first string) error {
	_, err := r.create(ctx, []byte("second"))
	if err := r.mustRefuse(ctx, "a put", "If-None-Match", err); err != nil {
		return err
	}
	second, err := r.replace(ctx, first, []byte("second"))
	if err != nil {
		return r.failed(ctx, "check If-Match", err)
	}
	_, err = r.replace(ctx, first, []byte("third"))
	if err := r.mustRefuse(ctx, "a put", "If-Match", err); err != nil {
		return err
	}
	found, etag, err := r.read(ctx)
	if err != nil {
		return r.failed(ctx, "check If-Match", err)
	}
	if etag != second || !bytes.Equal(found, []byte("second")) {
		return fmt.Errorf("s3: %s does not give back what it took, so it cannot be used", r.endpoint)
	}
	return nil
}

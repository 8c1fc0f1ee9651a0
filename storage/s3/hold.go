package s3

import (
	"context"
	"net/http"

	"github.com/minio/minio-go/v7"
)

// Hold implements notary.Blobs, by the legal hold of Object Lock. In a bucket without it
// there are no holds. Where every document has one by configuration, none is lifted.
func (b *Blobs) Hold(caller context.Context, name string, on bool) error {
	at, key, err := b.place(name)
	if err != nil {
		return err
	}
	if err := caller.Err(); err != nil {
		return err
	}
	if !on && b.retention.LegalHold {
		return nil
	}
	ctx, cancel := at.within(caller, 3*at.timeout)
	defer cancel()
	if locks, err := at.locks(ctx); err != nil || !locks {
		return err
	}
	o, err := at.core.StatObject(ctx, at.name, key, minio.StatObjectOptions{})
	if err != nil {
		return at.failed(ctx, "hold", err)
	}
	status := minio.LegalHoldDisabled
	if on {
		status = minio.LegalHoldEnabled
	}
	if has := o.Metadata.Get("X-Amz-Object-Lock-Legal-Hold"); has == string(status) || has == "" && !on {
		return nil
	}
	err = at.core.PutObjectLegalHold(ctx, at.name, key, minio.PutObjectLegalHoldOptions{VersionID: o.VersionID, Status: &status})
	if err != nil {
		return at.failed(ctx, "hold", err)
	}
	return nil
}

// locks reports whether the bucket has Object Lock.
func (b *bucket) locks(ctx context.Context) (bool, error) {
	enabled, _, _, _, err := b.core.GetObjectLockConfig(ctx, b.name)
	if answer := minio.ToErrorResponse(err); answer.StatusCode == http.StatusNotFound || answer.StatusCode == http.StatusNotImplemented {
		return false, nil
	}
	if err != nil {
		return false, b.failed(ctx, "read the Object Lock of the bucket", err)
	}
	return enabled == "Enabled", nil
}

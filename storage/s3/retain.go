package s3

import (
	"context"
	"errors"
	"time"

	"github.com/minio/minio-go/v7"
)

func (r Retention) check() error {
	switch {
	case r.Years < 0 || r.Days < 0 || r.Years > 1_000 || r.Days > 365_000:
		return errors.New("s3: a retention is 0 to 1,000 years and 0 to 365,000 days")
	case r.Mode != "" && r.Mode != string(minio.Compliance) && r.Mode != string(minio.Governance):
		return errors.New("s3: the mode of a retention is COMPLIANCE or GOVERNANCE")
	}
	return nil
}

func (r Retention) asked() bool { return r.timed() || r.LegalHold }
func (r Retention) timed() bool { return r.Years > 0 || r.Days > 0 }

// Retain implements notary.Blobs, by Object Lock. What the object has already is read
// first, and only ever added to: a later date, a legal hold. COMPLIANCE stays; what has
// GOVERNANCE gets it only if the server lets these credentials, and is an error if not.
func (b *Blobs) Retain(caller context.Context, name string, since, until time.Time) error {
	at, key, err := b.place(name)
	if err != nil {
		return err
	}
	if err := caller.Err(); err != nil {
		return err
	}
	if !b.retention.asked() {
		return nil
	}
	ctx, cancel := at.within(caller, 2*at.timeout)
	defer cancel()
	o, err := at.core.StatObject(ctx, at.name, key, minio.StatObjectOptions{})
	if err != nil {
		return at.failed(ctx, "retain", err)
	}
	if end := b.retention.until(since); b.retention.timed() || !until.IsZero() {
		if until = inSeconds(until); until.After(end) {
			end = until
		}
		if err := at.retain(ctx, key, o, b.retention, end); err != nil {
			return at.failed(ctx, "retain", err)
		}
	}
	if b.retention.LegalHold && o.Metadata.Get("X-Amz-Object-Lock-Legal-Hold") != string(minio.LegalHoldEnabled) {
		on := minio.LegalHoldEnabled
		err := at.core.PutObjectLegalHold(ctx, at.name, key, minio.PutObjectLegalHoldOptions{VersionID: o.VersionID, Status: &on})
		if err != nil {
			return at.failed(ctx, "retain", err)
		}
	}
	return nil
}

func (b *bucket) retain(ctx context.Context, key string, o minio.ObjectInfo, r Retention, until time.Time) error {
	mode := minio.RetentionMode(r.Mode)
	has, to := lockOf(o)
	if has == minio.Compliance {
		mode = has
	}
	if to.After(until) {
		until = to
	}
	if has == mode && to.Equal(until) {
		return nil
	}
	err := b.core.PutObjectRetention(ctx, b.name, key, minio.PutObjectRetentionOptions{
		Mode: &mode, RetainUntilDate: &until, VersionID: o.VersionID,
	})
	if err == nil {
		return nil
	}
	// Another replica may have been faster, or an answer lost.
	o, seen := b.core.StatObject(ctx, b.name, key, minio.StatObjectOptions{VersionID: o.VersionID})
	if seen != nil {
		return errors.Join(err, seen)
	}
	if has, to := lockOf(o); !to.Before(until) && (has == mode || has == minio.Compliance) {
		return nil
	}
	return err
}

// until is in whole seconds, which is what a server keeps, and never earlier than asked.
func (r Retention) until(since time.Time) time.Time {
	return inSeconds(since.UTC().AddDate(r.Years, 0, r.Days))
}

// inSeconds is t in whole seconds, and never earlier.
func inSeconds(t time.Time) time.Time { return t.UTC().Add(time.Second - 1).Truncate(time.Second) }

// lockOf is how an object is retained now; a zero time: not.
func lockOf(o minio.ObjectInfo) (minio.RetentionMode, time.Time) {
	until, err := time.Parse(time.RFC3339, o.Metadata.Get("X-Amz-Object-Lock-Retain-Until-Date"))
	if err != nil {
		return "", time.Time{}
	}
	return minio.RetentionMode(o.Metadata.Get("X-Amz-Object-Lock-Mode")), until
}

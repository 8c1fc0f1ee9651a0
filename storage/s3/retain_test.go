package s3

import (
	"errors"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/muniment/muniment/notary"
)

// TestRetained: what is retained cannot be deleted, not even by who retained it, version
// by version; what is not can.
func TestRetained(t *testing.T) {
	for what, r := range map[string]Retention{
		"years":      {Years: 10},
		"compliance": {Days: 1, Mode: "COMPLIANCE"},
		"governance": {Days: 1, Mode: "GOVERNANCE"},
		"legal hold": {LegalHold: true},
		"both":       {Days: 3, LegalHold: true},
	} {
		t.Run(what, func(t *testing.T) {
			at := newBucket(t, true)
			b := open(t, Config{Bucket: at, Retention: r})
			kept, content := put(t, b, 1000)
			orphan, _ := put(t, b, 1000)
			for range 2 {
				if err := b.Retain(t.Context(), kept, time.Now(), time.Time{}); err != nil {
					t.Fatal(err)
				}
			}
			if err := b.Delete(t.Context(), kept); err == nil || errors.Is(err, notary.ErrNotFound) {
				t.Errorf("Delete of what is retained: %v", err)
			}
			holds(t, b, kept, content)
			if err := b.Delete(t.Context(), orphan); err != nil {
				t.Errorf("Delete of an orphan: %v", err)
			}
			if err := b.Retain(t.Context(), orphan, time.Now(), time.Time{}); !errors.Is(err, notary.ErrNotFound) {
				t.Errorf("Retain of what is gone: %v, want ErrNotFound", err)
			}
			if err := b.Retain(t.Context(), name(), time.Now(), time.Time{}); !errors.Is(err, notary.ErrNotFound) {
				t.Errorf("Retain of what never was: %v, want ErrNotFound", err)
			}
			if n := len(versions(t, b)); n != 1 {
				t.Errorf("%d versions are in the bucket, want that of the retained one", n)
			}
		})
	}
}

// TestRetainNeverShortens: an earlier date, a weaker mode or a shorter period changes
// nothing, and a later one does.
func TestRetainNeverShortens(t *testing.T) {
	at := newBucket(t, true)
	with := func(r Retention) *Blobs { return open(t, Config{Bucket: at, Retention: r}) }
	now := time.Now().Truncate(time.Second).UTC()
	governed, _ := put(t, with(Retention{}), 10)
	complied, _ := put(t, with(Retention{}), 10)
	for i, step := range []struct {
		n     string
		r     Retention
		since time.Time
		mode  minio.RetentionMode
		until time.Time
	}{
		{governed, Retention{Days: 10, Mode: "GOVERNANCE"}, now, minio.Governance, now.AddDate(0, 0, 10)},
		{governed, Retention{Days: 10, Mode: "GOVERNANCE"}, now.AddDate(0, 0, -1), minio.Governance, now.AddDate(0, 0, 10)},
		{governed, Retention{Days: 5, Mode: "GOVERNANCE"}, now, minio.Governance, now.AddDate(0, 0, 10)},
		{governed, Retention{Days: 10, Mode: "GOVERNANCE"}, now.AddDate(0, 0, 1), minio.Governance, now.AddDate(0, 0, 11)},
		{complied, Retention{Days: 11}, now, minio.Compliance, now.AddDate(0, 0, 11)},
		{complied, Retention{Days: 2}, now, minio.Compliance, now.AddDate(0, 0, 11)},
		{complied, Retention{Days: 1, Mode: "GOVERNANCE"}, now, minio.Compliance, now.AddDate(0, 0, 11)},
		{complied, Retention{Days: 12, Mode: "GOVERNANCE"}, now, minio.Compliance, now.AddDate(0, 0, 12)},
		{complied, Retention{Years: 10}, now.Add(time.Millisecond), minio.Compliance, now.AddDate(10, 0, 0).Add(time.Second)},
		{complied, Retention{LegalHold: true}, now, minio.Compliance, now.AddDate(10, 0, 0).Add(time.Second)},
	} {
		b := with(step.r)
		if err := b.Retain(t.Context(), step.n, step.since, time.Time{}); err != nil {
			t.Errorf("step %d: %v", i, err)
		}
		mode, until, err := b.main.core.GetObjectRetention(t.Context(), at.Bucket, step.n, "")
		if err != nil || *mode != step.mode || !until.Equal(step.until) {
			t.Errorf("step %d: %v until %v, %v; want %s until %v", i, mode, until, err, step.mode, step.until)
		}
	}
	// A server does not make GOVERNANCE into COMPLIANCE for who may not bypass it. The
	// document is then not protected as configured, and Retain says so.
	if err := with(Retention{Days: 20}).Retain(t.Context(), governed, now, time.Time{}); err == nil {
		t.Error("Retain says that a governed document is in COMPLIANCE")
	}
	if held := versions(t, with(Retention{})); len(held) != 2 {
		t.Errorf("%d versions", len(held))
	}
}

// TestRetainUntil: a deposit's own date makes the store's period longer, and never shorter.
func TestRetainUntil(t *testing.T) {
	at := newBucket(t, true)
	b := open(t, Config{Bucket: at, Retention: Retention{Days: 10}})
	now := time.Now().Truncate(time.Second).UTC()
	kept, _ := put(t, b, 10)
	for i, step := range []struct{ until, want time.Time }{
		{now.AddDate(0, 0, 3), now.AddDate(0, 0, 10)},
		{now.AddDate(5, 0, 0).Add(time.Millisecond), now.AddDate(5, 0, 0).Add(time.Second)},
		{time.Time{}, now.AddDate(5, 0, 0).Add(time.Second)},
		{now.AddDate(1, 0, 0), now.AddDate(5, 0, 0).Add(time.Second)},
	} {
		if err := b.Retain(t.Context(), kept, now, step.until); err != nil {
			t.Errorf("step %d: %v", i, err)
		}
		_, until, err := b.main.core.GetObjectRetention(t.Context(), at.Bucket, kept, "")
		if err != nil || !until.Equal(step.want) {
			t.Errorf("step %d: until %v, %v; want %v", i, until, err, step.want)
		}
	}
}

func versions(t *testing.T, b *Blobs) (all []minio.ObjectInfo) {
	t.Helper()
	opts := minio.ListObjectsOptions{Recursive: true, WithVersions: true}
	for o := range b.main.core.ListObjectsIter(t.Context(), b.main.name, opts) {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
		all = append(all, o)
	}
	return all
}

// TestRetainNothing: without retention nothing is asked of the server.
func TestRetainNothing(t *testing.T) {
	at := newBucket(t, false)
	l, through := newLiar(t, at)
	b := open(t, Config{Bucket: through})
	before := l.requests.Load()
	if err := b.Retain(t.Context(), name(), time.Now(), time.Time{}); err != nil {
		t.Error(err)
	}
	if n := l.requests.Load() - before; n != 0 {
		t.Errorf("%d requests", n)
	}
}

// TestDeleteAllVersions: what others did to an object of the bucket does not keep any of
// its bytes from erasure.
func TestDeleteAllVersions(t *testing.T) {
	at := newBucket(t, true)
	b := open(t, Config{Bucket: at})
	n, _ := put(t, b, 1000)
	if err := b.main.remove(t.Context(), n, ""); err != nil { // leaves a marker, and the bytes
		t.Fatal(err)
	}
	put(t, b, 10)
	if len(versions(t, b)) != 3 {
		t.Fatal("the bucket keeps no versions: the test shows nothing")
	}
	if err := b.Delete(t.Context(), n); err != nil {
		t.Error(err)
	}
	for _, o := range versions(t, b) {
		if o.Key == n {
			t.Errorf("version %s is there", o.VersionID)
		}
	}
}

// TestProbeLeavesNothing, not even a version.
func TestProbeLeavesNothing(t *testing.T) {
	b := open(t, Config{Bucket: newBucket(t, true), Retention: Retention{Days: 1}})
	for range 3 {
		if err := b.Probe(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if left := versions(t, b); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

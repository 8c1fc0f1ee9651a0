package s3

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"golang.org/x/sync/errgroup"

	"github.com/muniment/muniment/notary"
)

// Blobs is a notary.Blobs in a bucket, and perhaps in further ones for some tenants:
//
//	<prefix><tenant>/<id>      an object, never written to again
//	<prefix>probe/<random>     what Probe and OpenBlobs put there and take away
//
// Segments stand in the same bucket.
type Blobs struct {
	main      *bucket
	tenants   map[notary.ID]*bucket
	retention Retention
	parts     chan []byte // buffers of partSize, nil until first used
}

var _ notary.Blobs = (*Blobs)(nil)

// OpenBlobs makes sure that the buckets are there and keep to what Put and Retain rely on.
func OpenBlobs(ctx context.Context, c Config) (*Blobs, error) {
	if err := c.Retention.check(); err != nil {
		return nil, err
	}
	if c.Retention.Mode == "" {
		c.Retention.Mode = string(minio.Compliance)
	}
	b := &Blobs{tenants: map[notary.ID]*bucket{}, retention: c.Retention, parts: make(chan []byte, partBuffers)}
	for range partBuffers {
		b.parts <- nil
	}
	var err error
	if b.main, err = openBucket(ctx, c.Bucket, c); err != nil {
		return nil, err
	}
	for id, at := range c.Tenants {
		if b.tenants[id], err = openBucket(ctx, at, c); err != nil {
			delete(b.tenants, id)
			return nil, errors.Join(fmt.Errorf("tenant %s: %w", id, err), b.Close())
		}
	}
	return b, nil
}

func openBucket(ctx context.Context, at Bucket, c Config) (*bucket, error) {
	b, err := connect(at, c.Timeout, attempts)
	if err != nil {
		return nil, err
	}
	err = b.exists(ctx)
	if err == nil {
		err = b.checkLock(ctx, c.Retention.asked())
	}
	if err == nil {
		err = b.checkCreateOnly(ctx)
	}
	if err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

// Close gives the idle connections up. Calls under way are not ended.
func (b *Blobs) Close() error {
	b.main.close()
	for _, at := range b.tenants {
		at.close()
	}
	return nil
}

// place is where an object is kept. Only names of the notary's making have one.
func (b *Blobs) place(name string) (at *bucket, key string, err error) {
	tenant, ok := parseName(name)
	if !ok {
		return nil, "", fmt.Errorf("s3: not a name <tenant>/<id> of lower-case UUIDs: %w", notary.ErrNotFound)
	}
	at = b.at(tenant)
	return at, at.prefix + name, nil
}

func parseName(name string) (tenant notary.ID, ok bool) {
	first, second, _ := strings.Cut(name, "/")
	tenant, err := notary.ParseID(first)
	if err != nil {
		return notary.ID{}, false
	}
	_, err = notary.ParseID(second)
	return tenant, err == nil
}

func (b *Blobs) at(tenant notary.ID) *bucket {
	if at, ok := b.tenants[tenant]; ok {
		return at
	}
	return b.main
}

// List implements notary.Blobs. The time is the store's. Of a bucket that is another
// tenant's, or that was this one's once, nothing is named that Open would look for
// elsewhere.
func (b *Blobs) List(ctx context.Context, before time.Time, fn func(name string) error) error {
	if err := b.list(ctx, b.main, "", before, fn); err != nil {
		return err
	}
	for tenant, at := range b.tenants {
		if err := b.list(ctx, at, tenant.String()+"/", before, fn); err != nil {
			return err
		}
	}
	return nil
}

func (b *Blobs) list(ctx context.Context, at *bucket, under string, before time.Time, fn func(name string) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	opts := minio.ListObjectsOptions{Prefix: at.prefix + under, Recursive: true}
	for o := range at.core.ListObjectsIter(ctx, at.name, opts) {
		if o.Err != nil {
			return at.failed(ctx, "list", o.Err)
		}
		name := strings.TrimPrefix(o.Key, at.prefix)
		if name > "g" {
			return ctx.Err() // a listing is in order, and behind the UUIDs stand segments without end
		}
		tenant, ok := parseName(name)
		if !ok || b.at(tenant) != at || !o.LastModified.Before(before) {
			continue
		}
		if err := fn(name); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// Delete implements notary.Blobs. Where the bucket keeps versions all go, and the markers
// that others' deletions left.
func (b *Blobs) Delete(ctx context.Context, name string) error {
	at, key, err := b.place(name)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx, cancel := at.within(ctx, 2*at.timeout)
	defer cancel()
	if err := at.removeAll(ctx, key); err != nil {
		return at.failed(ctx, "delete", err)
	}
	return nil
}

// removeAll deletes every version of an object.
func (b *bucket) removeAll(ctx context.Context, key string) error {
	opts := minio.ListObjectsOptions{Prefix: key, Recursive: true, WithVersions: true}
	for o := range b.core.ListObjectsIter(ctx, b.name, opts) {
		if o.Err != nil {
			return o.Err
		}
		if o.Key != key {
			continue
		}
		if err := b.remove(ctx, key, o.VersionID); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// remove deletes one version of an object; empty: the only one.
func (b *bucket) remove(ctx context.Context, key, version string) error {
	err := b.core.RemoveObject(ctx, b.name, key, minio.RemoveObjectOptions{VersionID: version})
	if missing(err) {
		return nil
	}
	return err
}

// Probe implements notary.Blobs, in each bucket.
func (b *Blobs) Probe(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var all errgroup.Group
	all.SetLimit(8)
	for _, at := range append([]*bucket{b.main}, b.others()...) {
		all.Go(func() error { return at.probe(ctx) })
	}
	return all.Wait()
}

func (b *Blobs) others() []*bucket {
	var all []*bucket
	for _, at := range b.tenants {
		all = append(all, at)
	}
	return all
}

// probe puts a few bytes, reads them back and takes them away.
func (b *bucket) probe(ctx context.Context) error {
	u := newUpload(b, b.scratch())
	body := []byte(rand.Text())
	u.take(body)
	if err := u.single(ctx, body); err != nil {
		return err
	}
	return u.discard(ctx)
}

// scratch is a new name that no document has.
func (b *bucket) scratch() string { return b.prefix + "probe/" + rand.Text() }

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
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"golang.org/x/sync/errgroup"

	"github.com/muniment/muniment/notary"
)

// Segments is a notary.Segments in the bucket of the documents:
//
//	<prefix>segments/<origin>/<from>-<to>-<begin>-<end>   rows, locked as documents are for a time
//	<prefix>keys/<origin>/<from>-<to>-<begin>-<end>       their wrapped keys, never locked
//	<prefix>accounts/<origin>/<name>                      tenants, and hashes of API keys
//	<prefix>frozen/<origin>                               why the log has ended
//
// Sizes are 16 hexadecimal digits, so that a listing is in their order; hashes are 64.
type Segments struct {
	*bucket
	retention Retention
}

var _ notary.Segments = (*Segments)(nil)

// OpenSegments makes sure of the bucket as OpenBlobs does. Tenants' own buckets are not
// used: a segment holds rows of many tenants.
func OpenSegments(ctx context.Context, c Config) (*Segments, error) {
	if err := c.Retention.check(); err != nil {
		return nil, err
	}
	if c.Retention.Mode == "" {
		c.Retention.Mode = string(minio.Compliance)
	}
	b, err := openBucket(ctx, c.Bucket, c)
	if err != nil {
		return nil, err
	}
	if err := b.checkIfMatch(ctx); err != nil {
		b.close()
		return nil, err
	}
	return &Segments{b, c.Retention}, nil
}

// Close gives the idle connections up.
func (s *Segments) Close() error {
	s.close()
	return nil
}

func (s *Segments) key(folder string, n notary.SegmentName) string {
	return s.prefix + folder + "/" + n.Origin + "/" + n.String()
}

// Put implements notary.Segments. The keys come first: who dies in between leaves keys that
// ListKeys finds, and never rows that nobody can open.
func (s *Segments) Put(ctx context.Context, name notary.SegmentName, segment, keys []byte) error {
	if len(segment) > notary.MaxSegment || len(keys) > notary.MaxSegment {
		return fmt.Errorf("s3: a segment has at most %d bytes", notary.MaxSegment)
	}
	if err := s.newUpload("keys", name).put(ctx, keys); err != nil && !errors.Is(err, notary.ErrExists) {
		return err
	}
	u := s.newUpload("segments", name)
	if s.retention.timed() {
		u.lock, u.until = minio.RetentionMode(s.retention.Mode), s.retention.until(time.Now())
	}
	err := u.put(ctx, segment)
	if errors.Is(err, notary.ErrExists) {
		return s.same(ctx, name, segment)
	}
	return err
}

func (s *Segments) newUpload(folder string, name notary.SegmentName) *upload {
	return newUpload(s.bucket, s.key(folder, name))
}

// put creates an object with that body, which is read back.
func (u *upload) put(ctx context.Context, body []byte) error {
	u.take(body)
	return u.single(ctx, body)
}

// same demands that the segment that is there is the one that was to be put.
func (s *Segments) same(ctx context.Context, name notary.SegmentName, segment []byte) error {
	there, _, err := s.read(ctx, "segments", name)
	if err != nil {
		return err
	}
	if !bytes.Equal(there, segment) {
		return fmt.Errorf("%w: s3: the segment of entries %d to %d is there with other rows", notary.ErrDamaged, name.From, name.To)
	}
	return nil
}

// read returns the newest version of an object, whole.
func (s *Segments) read(caller context.Context, folder string, name notary.SegmentName) (body []byte, etag string, err error) {
	return s.readKey(caller, s.key(folder, name))
}

func (s *Segments) readKey(caller context.Context, key string) (body []byte, etag string, err error) {
	if err := caller.Err(); err != nil {
		return nil, "", err
	}
	ctx, cancel := s.within(caller, s.timeout+moving(notary.MaxSegment))
	defer cancel()
	answer, info, _, err := s.core.GetObject(ctx, s.name, key, minio.GetObjectOptions{})
	if err != nil {
		return nil, "", s.failed(ctx, "load segment", err)
	}
	defer answer.Close()
	body, err = io.ReadAll(io.LimitReader(answer, notary.MaxSegment+1))
	if err != nil {
		return nil, "", s.failed(ctx, "load segment", err)
	}
	if int64(len(body)) != info.Size || info.ETag == "" {
		return nil, "", fmt.Errorf("%w: s3: a segment is not as long as it was", notary.ErrDamaged)
	}
	return body, info.ETag, nil
}

// Load implements notary.Segments.
func (s *Segments) Load(ctx context.Context, name notary.SegmentName) (segment, keys []byte, err error) {
	var both errgroup.Group
	both.Go(func() (err error) {
		segment, _, err = s.read(ctx, "segments", name)
		return err
	})
	both.Go(func() (err error) {
		keys, _, err = s.read(ctx, "keys", name)
		if errors.Is(err, notary.ErrNotFound) {
			return nil
		}
		return err
	})
	if err := both.Wait(); err != nil {
		return nil, nil, err
	}
	return segment, keys, nil
}

// List implements notary.Segments.
func (s *Segments) List(ctx context.Context, origin string, from uint64, fn func(notary.SegmentName) error) error {
	return s.list(ctx, "segments", origin, from, fn)
}

// ListKeys implements notary.Segments.
func (s *Segments) ListKeys(ctx context.Context, origin string, from uint64, fn func(notary.SegmentName) error) error {
	return s.list(ctx, "keys", origin, from, fn)
}

func (s *Segments) list(ctx context.Context, folder, origin string, from uint64, fn func(notary.SegmentName) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	under := s.prefix + folder + "/" + origin + "/"
	opts := minio.ListObjectsOptions{Prefix: under, Recursive: true, StartAfter: under + fmt.Sprintf("%016x", from)}
	last := uint64(0)
	for o := range s.core.ListObjectsIter(ctx, s.name, opts) {
		if o.Err != nil {
			return s.failed(ctx, "list segments", o.Err)
		}
		name, ok := notary.ParseSegmentName(origin, strings.TrimPrefix(o.Key, under))
		if !ok || name.From < from {
			continue
		}
		if name.From < last {
			return errors.New("s3: the server does not list in the order of names, so it cannot be used")
		}
		last = name.From
		if err := fn(name); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// editTries bounds how often keys are edited that others edit at the same time.
const editTries = 100

// EditKeys implements notary.Segments. The object is replaced under its ETag, read back,
// and every version but the newest destroyed, also those that an earlier call left which
// did not come to its end.
func (s *Segments) EditKeys(caller context.Context, name notary.SegmentName, edit func(keys []byte) ([]byte, error)) error {
	key := s.key("keys", name)
	for range editTries {
		keys, etag, err := s.readKey(caller, key)
		if errors.Is(err, notary.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		edited, err := edit(bytes.Clone(keys))
		if err != nil {
			return err
		}
		if bytes.Equal(edited, keys) {
			return s.removeOld(caller, key)
		}
		err = s.replaceKeys(caller, key, etag, edited)
		if err != nil && unmet(err) {
			continue // another's edit came first
		}
		if err != nil {
			return s.failed(caller, "edit keys", err)
		}
		// What is there now, and not what was answered, counts; so it is looked at again.
	}
	return errors.New("s3: edit keys: too many others edit them")
}

func (s *Segments) replaceKeys(caller context.Context, key, etag string, body []byte) error {
	ctx, cancel := s.within(caller, s.timeout)
	defer cancel()
	sum := sha256.Sum256(body)
	opts := minio.PutObjectOptions{
		UserMetadata:         map[string]string{markHeader: rand.Text(), checksumHeader: base64.StdEncoding.EncodeToString(sum[:])},
		DisableContentSha256: true,
	}
	opts.SetMatchETag(etag)
	_, err := s.core.PutObject(ctx, s.name, key, bytes.NewReader(body), int64(len(body)), "", hex.EncodeToString(sum[:]), opts)
	return err
}

// removeOld destroys every version of an object but the newest.
func (s *Segments) removeOld(caller context.Context, key string) error {
	ctx, cancel := s.within(caller, 2*s.timeout)
	defer cancel()
	opts := minio.ListObjectsOptions{Prefix: key, Recursive: true, WithVersions: true}
	for o := range s.core.ListObjectsIter(ctx, s.name, opts) {
		if o.Err != nil {
			return s.failed(ctx, "destroy old keys", o.Err)
		}
		if o.Key != key || o.IsLatest {
			continue
		}
		if err := s.remove(ctx, key, o.VersionID); err != nil {
			return s.failed(ctx, "destroy old keys", err)
		}
	}
	return ctx.Err()
}

var accountName = regexp.MustCompile(`^[a-z]+-[0-9a-f-]{36,64}$`)

// KeepAccount implements notary.Segments.
func (s *Segments) KeepAccount(ctx context.Context, origin, name string, body []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !accountName.MatchString(name) {
		return errors.New("s3: not the name of an account")
	}
	err := newUpload(s.bucket, s.prefix+"accounts/"+origin+"/"+name).put(ctx, body)
	if errors.Is(err, notary.ErrExists) {
		return nil
	}
	return err
}

// DropAccount implements notary.Segments.
func (s *Segments) DropAccount(ctx context.Context, origin, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !accountName.MatchString(name) {
		return errors.New("s3: not the name of an account")
	}
	if err := s.removeAll(ctx, s.prefix+"accounts/"+origin+"/"+name); err != nil {
		return s.failed(ctx, "drop an account", err)
	}
	return nil
}

// KeptAccounts implements notary.Segments.
func (s *Segments) KeptAccounts(ctx context.Context, origin string, fn func(name string, body []byte) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	under := s.prefix + "accounts/" + origin + "/"
	for o := range s.core.ListObjectsIter(ctx, s.name, minio.ListObjectsOptions{Prefix: under, Recursive: true}) {
		if o.Err != nil {
			return s.failed(ctx, "list accounts", o.Err)
		}
		name := strings.TrimPrefix(o.Key, under)
		if !accountName.MatchString(name) {
			continue
		}
		body, _, err := s.readKey(ctx, o.Key)
		if err != nil {
			return err
		}
		if err := fn(name, body); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// Freeze implements notary.Segments.
func (s *Segments) Freeze(ctx context.Context, origin string, why []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	err := newUpload(s.bucket, s.prefix+"frozen/"+origin).put(ctx, why)
	if errors.Is(err, notary.ErrExists) {
		return nil
	}
	return err
}

// Frozen implements notary.Segments.
func (s *Segments) Frozen(ctx context.Context, origin string) ([]byte, error) {
	why, _, err := s.readKey(ctx, s.prefix+"frozen/"+origin)
	return why, err
}

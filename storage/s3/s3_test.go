package s3

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/storage/storagetest"
	"github.com/muniment/muniment/storage/storagetest/servers"
)

// server is a real one, shared by the tests: each has buckets of its own.
var server *servers.S3

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "muniment-s3-")
	if err == nil {
		defer os.RemoveAll(dir)
		server, err = servers.StartS3(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer server.Kill()
	return m.Run()
}

var buckets atomic.Int64

// newBucket makes one of the shared server; lock: with Object Lock.
func newBucket(t testing.TB, lock bool) Bucket {
	t.Helper()
	name := fmt.Sprintf("test-%d", buckets.Add(1))
	if err := server.MakeBucket(name, lock); err != nil {
		t.Fatal(err)
	}
	return Bucket{Endpoint: server.Endpoint, Bucket: name, AccessKey: server.AccessKey, SecretKey: server.SecretKey}
}

func open(t testing.TB, c Config) *Blobs {
	t.Helper()
	b, err := OpenBlobs(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func TestBlobs(t *testing.T) {
	for kind, c := range map[string]Config{
		"plain":    {},
		"prefixed": {Bucket: Bucket{Prefix: "depository/one/"}},
		"retained": {Retention: Retention{Days: 1, Mode: "GOVERNANCE"}},
	} {
		t.Run(kind, func(t *testing.T) {
			configs := map[notary.Blobs]Config{}
			storagetest.Blobs(t, storagetest.BlobsHarness{
				New: func(t testing.TB) notary.Blobs {
					c := c
					at := newBucket(t, c.Retention.asked())
					at.Prefix = c.Prefix
					c.Bucket = at
					b := open(t, c)
					configs[b] = c
					return b
				},
				Reopen: func(t testing.TB, b notary.Blobs) notary.Blobs { return open(t, configs[b]) },
			})
		})
	}
}

func TestAnchor(t *testing.T) {
	places := map[notary.Anchor]Bucket{}
	opened := func(t testing.TB, at Bucket) notary.Anchor {
		t.Helper()
		a, err := OpenAnchor(context.Background(), at)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { a.Close() })
		places[a] = at
		return a
	}
	storagetest.Anchor(t, storagetest.AnchorHarness{
		New: func(t testing.TB, body []byte) notary.Anchor {
			at := newBucket(t, false)
			if err := CreateAnchor(t.Context(), at, body); err != nil {
				t.Fatal(err)
			}
			return opened(t, at)
		},
		Reopen: func(t testing.TB, a notary.Anchor) notary.Anchor { return opened(t, places[a]) },
		Second: func(t testing.TB, a notary.Anchor) notary.Anchor { return opened(t, places[a]) },
		Missing: func(t testing.TB) (notary.Anchor, error) {
			a, err := OpenAnchor(t.Context(), newBucket(t, false))
			if a == nil {
				return nil, err
			}
			return a, err
		},
	})
}

func TestSegments(t *testing.T) {
	for kind, c := range map[string]Config{
		"plain":    {},
		"prefixed": {Bucket: Bucket{Prefix: "depository/one/"}},
		"retained": {Retention: Retention{Days: 1, Mode: "GOVERNANCE"}},
	} {
		t.Run(kind, func(t *testing.T) {
			configs := map[notary.Segments]Config{}
			opened := func(t testing.TB, c Config) notary.Segments {
				t.Helper()
				s, err := OpenSegments(t.Context(), c)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { s.Close() })
				configs[s] = c
				return s
			}
			storagetest.Segments(t, storagetest.SegmentsHarness{
				New: func(t testing.TB) notary.Segments {
					c := c
					at := newBucket(t, c.Retention.asked())
					at.Prefix = c.Prefix
					c.Bucket = at
					return opened(t, c)
				},
				Reopen: func(t testing.TB, s notary.Segments) notary.Segments { return opened(t, configs[s]) },
				Versions: func(t testing.TB, s notary.Segments, name notary.SegmentName) [][]byte {
					return keyVersions(t, s.(*Segments), name)
				},
			})
		})
	}
}

// keyVersions reads every version of a segment's keys that the bucket still has.
func keyVersions(t testing.TB, s *Segments, name notary.SegmentName) (all [][]byte) {
	t.Helper()
	key := s.key("keys", name)
	for o := range s.core.ListObjectsIter(t.Context(), s.name, minio.ListObjectsOptions{Prefix: key, Recursive: true, WithVersions: true}) {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
		body, _, _, err := s.core.GetObject(t.Context(), s.name, key, minio.GetObjectOptions{VersionID: o.VersionID})
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(body)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, data)
	}
	return all
}

// TestSegmentsAreLocked: Object Lock protects segments, and never their keys.
func TestSegmentsAreLocked(t *testing.T) {
	s, err := OpenSegments(t.Context(), Config{Bucket: newBucket(t, true), Retention: Retention{Days: 1}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	name := notary.SegmentName{Origin: "log.example/test/1", To: 1}
	if err := s.Put(t.Context(), name, []byte("rows"), []byte("keys")); err != nil {
		t.Fatal(err)
	}
	for folder, locked := range map[string]bool{"segments": true, "keys": false} {
		err := s.removeAll(t.Context(), s.key(folder, name))
		if (err != nil) != locked {
			t.Errorf("removing from %s: %v", folder, err)
		}
	}
}

// Package s3 keeps blobs, and a register for an anchor, in any object store that speaks
// S3, with Object Lock where documents are to be retained.
//
// # What is relied on
//
// An answer of success means that the object is durable; reads and listings see it at
// once, and listings are in ascending order of names; If-None-Match: * creates and never replaces, on a put and on the completion of a
// multipart upload; If-Match replaces only the object with that ETag. What can be asked of
// a server it is asked when the store is opened, on objects made for the purpose: one that
// ignores a condition is refused. What a server says of an object is not relied on: Put
// reads it back whole and compares it with what was sent before it returns.
//
// # Buckets
//
// A bucket of documents that are retained has Object Lock, and so versions, but no default
// retention: the sweep could not take away what a deposit that was never committed left.
// A rule of the bucket should abort multipart uploads older than a day: a crash leaves
// their parts, which no listing of objects shows. A bucket of an anchor should have no
// versions: each seal would leave one.
//
// # Time
//
// A server that stops answering, or stops in the middle of a body, is given up after
// Config.Timeout. A call makes few requests one after another, and ends within three times
// that, but for the bytes of large objects, which must keep moving.
package s3

import (
	"time"

	"github.com/muniment/muniment/notary"
)

// Bucket is where objects are, and who may put them there.
type Bucket struct {
	Endpoint  string // URL, http or https, without a path
	Region    string // empty: us-east-1
	Bucket    string
	Prefix    string // of all names in the bucket; empty, or ends in "/"
	AccessKey string
	SecretKey string
}

// Retention is how a document is protected once its deposit is committed.
type Retention struct {
	// Years and Days from the entry's time on; both 0: not for a time.
	Years, Days int
	// Mode is COMPLIANCE or GOVERNANCE (Object Lock); empty: COMPLIANCE.
	Mode string
	// LegalHold is put on each document as well.
	LegalHold bool
}

// Config says where documents are kept, and how.
type Config struct {
	Bucket
	// Tenants are those whose documents are kept elsewhere: in another region, say.
	Tenants   map[notary.ID]Bucket
	Retention Retention
	// Timeout bounds one request to the store, bodies of large objects left out. 0: 10 s.
	Timeout time.Duration
}

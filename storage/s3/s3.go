// Package s3 keeps blobs, and a register for an anchor, in any object store that speaks
// S3, with Object Lock where documents are to be retained.
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

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/storage"
	"github.com/muniment/muniment/storage/dir"
	"github.com/muniment/muniment/storage/postgres"
	"github.com/muniment/muniment/storage/s3"
)

// servicesWithin bounds the look at PostgreSQL and S3 before their contents are read.
const servicesWithin = 30 * time.Second

// services checks what is kept outside the directory, each by itself.
func (e *examination) services(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, servicesWithin)
	defer cancel()
	c := e.config.storage(slog.New(slog.DiscardHandler), nil)
	if c.Postgres != nil {
		e.database(ctx, *c.Postgres)
	}
	if c.S3 != nil {
		e.objects(ctx, *c.S3)
	}
	for _, a := range c.Anchors {
		e.register(ctx, a)
	}
	e.together(ctx)
}

func (e *examination) database(ctx context.Context, c postgres.Config) {
	ledger, err := postgres.Open(ctx, c)
	if err != nil {
		e.add("ledger", wrong, "see that PostgreSQL runs where ledger.postgres.url says (munimentd config), takes this login and keeps what it acknowledges; munimentd migrate lays its schema out", "%v", err)
		return
	}
	defer ledger.Close()
	single, err := ledger.SingleCopy(ctx)
	switch {
	case err != nil:
		e.add("ledger", wrong, "see PostgreSQL's own log", "%v", err)
	case single:
		e.add("ledger", doubtful, "add a synchronous standby (synchronous_standby_names)", "PostgreSQL answers, in schema %s; single-copy: what it acknowledges is on one machine only", c.Schema)
	default:
		e.add("ledger", sound, "", "PostgreSQL answers, in schema %s, and a synchronous standby has what it acknowledges", c.Schema)
	}
}

func (e *examination) objects(ctx context.Context, c s3.Config) {
	blobs, err := s3.OpenBlobs(ctx, c)
	if err != nil {
		e.add("blobs", wrong, "see that the object store runs where blobs.s3.endpoint says (munimentd config), and that the bucket is there, for this access key, with Object Lock if documents are to be retained", "%v", err)
		return
	}
	defer blobs.Close()
	segments, err := s3.OpenSegments(ctx, c)
	if err != nil {
		e.add("blobs", wrong, "see that these credentials may also list and delete versions, and put objects on a condition: segments need it", "%v", err)
		return
	}
	defer segments.Close()
	kept := "are not locked against deletion"
	if r := c.Retention; r.Years > 0 || r.Days > 0 || r.LegalHold {
		kept = "are locked by Object Lock"
	}
	e.add("blobs", sound, "", "S3 answers, bucket %s, where documents %s", c.Bucket.Bucket, kept)
}

// register checks an anchor that is not the one in the directory.
func (e *examination) register(ctx context.Context, a storage.AnchorConfig) {
	mend := "put this log's own anchor back, never an older one"
	body, err := storage.ReadAnchor(ctx, a)
	switch {
	case errors.Is(err, notary.ErrNotFound):
		e.add("anchor", wrong, mend+", or, if another holds what was sealed, munimentd anchor add "+a.String(), "%s is missing: %v", placeOf(a), err)
	case err != nil:
		e.add("anchor", wrong, mend+", and see that what keeps it can be reached", "%s: %v", placeOf(a), err)
	default:
		e.heldBy(placeOf(a), mend, body)
	}
}

// placeOf says where a register is, for people.
func placeOf(a storage.AnchorConfig) string {
	switch {
	case a.S3 != nil:
		return "s3, bucket " + a.S3.Bucket
	case a.Postgres != nil:
		return "postgres, schema " + a.Postgres.Schema
	}
	return dir.AnchorPath(a.Dir)
}

// heldBy judges what an anchor holds.
func (e *examination) heldBy(where, mend string, body []byte) {
	cp, err := proofs.ParseCheckpoint(string(body))
	if err != nil {
		e.add("anchor", wrong, mend, "%s holds no checkpoint", where)
		return
	}
	if e.policy != nil && cp.Origin != e.policy.Logs[0].Name {
		e.add("anchor", wrong, mend, "%s is of the log %s, the policy of %s", where, cp.Origin, e.policy.Logs[0].Name)
		return
	}
	if e.anchor == nil || cp.Size > e.anchor.Size {
		e.anchor = &cp
	}
	what := fmt.Sprintf("%d entries are sealed", cp.Size)
	if len(e.config.Anchors) > 0 {
		what += " at " + where
	}
	e.add("anchor", sound, "", "%s", what)
}

// places are the directories that the engines keep things in.
func (c *config) places() []string {
	var all []string
	if c.Ledger == "pebble" {
		all = append(all, filepath.Join(c.Dir, "ledger"))
	}
	if c.Blobs == "dir" {
		all = append(all, filepath.Join(c.Dir, "blobs"))
	}
	if len(c.Anchors) == 0 {
		all = append(all, filepath.Join(c.Dir, "anchor"))
	}
	for _, a := range c.Anchors {
		if path, ok := strings.CutPrefix(a, "dir:"); ok {
			all = append(all, path)
		}
	}
	return all
}

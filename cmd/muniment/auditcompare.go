package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"sync"

	"github.com/muniment/muniment/service/client"
)

// comparedHead is what another source shows of the log. As JSON its names are stable.
type comparedHead struct {
	URL     string `json:"url"`
	Outcome string `json:"outcome"` // consistent, fork, ahead or unread
	Size    uint64 `json:"size,omitempty"`
	Root    string `json:"root,omitempty"`
}

// other is another source of the log's checkpoints: a replica, a mirror, a witness.
type other struct {
	url    string
	reader *client.Client
	head
	err error
}

// others reads what the other sources show, several at once.
func (a *auditor) others(ctx context.Context) []other {
	out := make([]other, len(a.compare))
	turn := make(chan struct{}, auditParallel)
	var all sync.WaitGroup
	for i, url := range a.compare {
		all.Go(func() {
			turn <- struct{}{}
			defer func() { <-turn }()
			out[i] = a.other(ctx, url)
		})
	}
	all.Wait()
	return out
}

// other reads what one source shows: checkpoint under its address or, where there is
// none, what a witness has there of the policy's log, under the hex SHA-256 of its origin.
func (a *auditor) other(ctx context.Context, url string) other {
	address := strings.TrimSuffix(strings.TrimRight(url, "/"), "/checkpoint")
	o := other{url: url, reader: a.reader(address)}
	note, err := o.reader.Checkpoint(ctx)
	if p, ok := problemOf(err); ok && p.Status == 404 {
		sum := sha256.Sum256([]byte(a.origin))
		o.reader = a.reader(address + "/" + hex.EncodeToString(sum[:]))
		note, err = o.reader.Checkpoint(ctx)
	}
	if err != nil {
		o.err = err
		return o
	}
	o.head, o.err = judge(a.signed, url, note)
	return o
}

// compareAll holds what others show against what the log shows, or else against what is
// mirrored.
func (a *auditor) compareAll(ctx context.Context, found *audited, others []other, mirrored head) {
	ours := found.shown
	if ours.note == nil {
		ours = mirrored
	}
	for _, o := range others {
		c := comparedHead{URL: o.url, Outcome: "unread"}
		switch {
		case o.err != nil:
			found.undecided(o.url, o.err)
		case ours.note == nil:
		case o.Origin != ours.Origin:
			found.undecided(o.url, sayTwoLogs.err(ours.Origin, o.Origin))
		default:
			c.Size, c.Root = o.Size, o.Root.String()
			c.Outcome = a.compareOne(ctx, found, o, ours)
		}
		found.Compared = append(found.Compared, c)
	}
}

// compareOne holds one source against the log.
func (a *auditor) compareOne(ctx context.Context, found *audited, o other, ours head) string {
	forks := len(found.Alarms)
	if o.Size <= ours.Size {
		from := a.log
		if from == nil {
			from = o.reader
		}
		same, err := a.hold(ctx, found, o.head, ours, from)
		switch {
		case err != nil:
			found.trouble(o.url, err)
			return "unread"
		case same:
			return "consistent"
		}
		return "fork"
	}
	// It has more than the log shows. A witness has no tiles: then only time tells.
	same, err := a.hold(ctx, found, ours, o.head, o.reader)
	if err == nil && !same && len(found.Alarms) > forks {
		return "fork"
	}
	if a.log != nil && found.shown.note != nil {
		found.lag(o.url, ours.Size, o.Size)
	}
	return "ahead"
}

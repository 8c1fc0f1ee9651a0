package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/client"
)

// clockTolerance is how far the clocks of a log, of its witnesses and of this machine may
// lie apart.
const clockTolerance = 5 * time.Minute

// pass audits one time: what the log shows, what is behind it, and what others are shown.
// What is wrong is in what it returns.
func (a *auditor) pass(ctx context.Context) *audited {
	began := a.now()
	found := &audited{Policy: a.judged.Fingerprint, Mirror: a.dir, Alarms: []alarm{}, lang: a.lang}
	// Others first: none of them can then be ahead of a log that hides nothing.
	others := a.others(ctx)
	had := a.mirror.Size()
	newest, ok := a.advance(ctx, found)
	if ok {
		a.examine(found, newest)
		a.records(ctx, found)
		a.papers(ctx, found, newest)
	}
	a.compareAll(ctx, found, others, newest)
	a.settleLag(found)
	found.Size, found.Fresh = a.mirror.Size(), a.mirror.Size()-min(had, a.mirror.Size())
	found.Outcome, _ = found.gravest()
	found.Took = a.now().Sub(began).Seconds()
	return found
}

// advance takes the log's newest checkpoint, holds it against the one believed so far,
// and brings the mirror up to it. It returns the one that is mirrored.
func (a *auditor) advance(ctx context.Context, found *audited) (head, bool) {
	if a.log == nil {
		return a.offline(ctx, found)
	}
	before, err := a.believed()
	if err != nil {
		found.trouble(a.dir, err)
		return head{}, false
	}
	note, err := a.log.Checkpoint(ctx)
	if err != nil {
		found.undecided(a.log.Log, err)
		return a.kept(found)
	}
	now, err := judge(a.signed, a.log.Log, note)
	if err != nil {
		found.trouble(a.log.Log, err)
		return a.kept(found)
	}
	found.Origin, found.shown = now.Origin, now
	if before.note != nil && !a.continues(ctx, found, before, now) {
		return a.kept(found)
	}
	if _, err := judge(a.judged, a.log.Log, note); err != nil {
		found.trouble(a.log.Log, err)
		return a.kept(found)
	}
	if err := a.mirror.Remember(note); err != nil {
		found.undecided(a.dir, err)
		return a.kept(found)
	}
	if err := a.fill(ctx, note, now.Checkpoint); err != nil {
		a.filled(found, err)
		return a.kept(found)
	}
	return now, true
}

// undecided raises what kept the audit from its work.
func (r *audited) undecided(at string, err error) {
	r.raise(alarm{Alarm: alarmUndecided, At: at}, sayMemberWrong.with(at, err))
}

// filled raises why the mirror could not be filled.
func (a *auditor) filled(found *audited, err error) {
	if errors.Is(err, client.ErrMirror) {
		err = mirrorFault(a.dir, err)
	}
	at := a.dir
	if a.log != nil {
		at = a.log.Log
	}
	found.trouble(at, err)
}

// offline checks the mirror as it lies on disk.
func (a *auditor) offline(ctx context.Context, found *audited) (head, bool) {
	note := a.mirror.Checkpoint()
	if note == nil {
		found.undecided(a.dir, sayMirrorEmpty.err())
		return head{}, false
	}
	h, err := judge(a.judged, a.dir, note)
	if err != nil {
		found.trouble(a.dir, err)
		return head{}, false
	}
	found.Origin = h.Origin
	if err := a.fill(ctx, note, h.Checkpoint); err != nil {
		a.filled(found, err)
		return head{}, false
	}
	return h, true
}

// believed is the newest checkpoint of earlier audits; its note is nil at the first.
func (a *auditor) believed() (head, error) {
	note, err := a.mirror.Newest()
	if err != nil || note == nil {
		return head{}, err
	}
	h, err := judge(a.signed, a.dir, note)
	if err != nil {
		return head{}, sayMirrorOfAnother.err(a.dir, err)
	}
	return h, nil
}

// kept is what an earlier audit mirrored, where the log shows nothing that could be.
func (a *auditor) kept(found *audited) (head, bool) {
	note := a.mirror.Checkpoint()
	if note == nil {
		return head{}, false
	}
	h, err := judge(a.signed, a.dir, note)
	if err != nil {
		found.trouble(a.dir, err)
		return head{}, false
	}
	found.Origin = h.Origin
	return h, true
}

// continues holds the log's checkpoint against the one believed so far, and reports
// whether it goes on from there.
func (a *auditor) continues(ctx context.Context, found *audited, before, now head) bool {
	if before.Origin != now.Origin {
		found.undecided(a.log.Log, sayTwoLogs.err(before.Origin, now.Origin))
		return false
	}
	if now.Size < before.Size {
		same, err := a.hold(ctx, found, now, before, a.log)
		if err != nil || same {
			found.lag(a.log.Log, now.Size, before.Size)
		}
		return false
	}
	same, err := a.hold(ctx, found, before, now, a.log)
	if err != nil {
		found.trouble(a.log.Log, err)
	}
	return err == nil && same
}

// hold compares two checkpoints, and raises a fork with its proof. The newer one's tiles
// come from disk, or from whom it came.
func (a *auditor) hold(ctx context.Context, found *audited, older, newer head, from *client.Client) (same bool, err error) {
	var tiles proofs.TileReader = a.mirror
	if newer.Size > a.mirror.Size() {
		if from == nil {
			return false, sayMirrorShort.err(a.mirror.Size(), newer.Size)
		}
		tiles = from.Tiles(ctx)
	}
	c, err := compare(tiles, older, newer)
	if err != nil || c.Outcome != "fork" {
		return err == nil, err
	}
	files, err := keepFork(a.dir, older, newer, c)
	if err != nil {
		a.screen.complain(a.dir, err) // what was found counts more
	}
	found.raise(
		alarm{Alarm: alarmFork, At: newer.name, Old: &c.Old, New: &c.New, Files: files},
		sayForkFound.with(c.Origin, c.Old, older.name, c.New, newer.name))
	return false, nil
}

// A lagging log shows less than it signed.
type lagging struct {
	at            string
	shown, signed uint64
}

func (r *audited) lag(at string, shown, signed uint64) {
	r.lagging = append(r.lagging, lagging{at, shown, signed})
}

// settleLag raises a log that shows less than it signed: for a while it may lag, and
// then it was rolled back. A log that could not be read is neither.
func (a *auditor) settleLag(found *audited) {
	if found.shown.note == nil {
		return
	}
	since, err := a.mirror.Behind(len(found.lagging) > 0, a.now())
	if err != nil {
		found.undecided(a.dir, err)
	}
	for _, l := range found.lagging {
		x := alarm{Alarm: alarmUndecided, At: l.at, Old: &l.signed, New: &l.shown}
		says := sayLagging.with(l.at, l.shown, l.signed)
		if a.now().Sub(since) >= a.lag {
			x.Alarm = alarmRollback
			says = sayRolledBack.with(l.at, l.shown, l.signed, proofs.FormatTime(since))
		}
		found.raise(x, says)
	}
}

// fill brings the mirror up to a checkpoint, and shows how far it is.
func (a *auditor) fill(ctx context.Context, note []byte, cp proofs.Checkpoint) error {
	how := client.Filling{From: a.log, Again: a.again || a.log == nil, Parallel: a.parallel}
	work := cp.Size - min(a.mirror.Have(), cp.Size)
	if how.Again {
		work = cp.Size
	}
	p := newProgress(a.screen, sayEntriesOf, int(work), 0, int64(work))
	if a.watch == 0 || work > quietWork {
		how.Progress = p.advance
	}
	defer p.end()
	err := a.mirror.Fill(ctx, note, cp, how)
	a.again = a.again && err != nil
	return err
}

// quietWork is what a watch does without showing its progress.
const quietWork = 10_000

// examine looks at what the mirrored log says: its rules, its clock, its witnesses.
func (a *auditor) examine(found *audited, h head) {
	found.Root = h.Root.String()
	for _, b := range a.mirror.Breaches() {
		to := b.Index + 1
		found.raise(alarm{Alarm: alarmBreach, From: &b.Index, To: &to, Rule: b.Rule}, breachRules[b.Rule].with(fmt.Sprint(b.Index)))
	}
	now, last := a.now(), a.mirror.Last()
	fresh := last
	if !last.IsZero() {
		found.Newest = proofs.FormatTime(last)
	}
	if last.After(now.Add(clockTolerance)) {
		found.raise(alarm{Alarm: alarmUndecided}, sayEntryAhead.with(proofs.FormatTime(last), proofs.FormatTime(now)))
	}
	var cosigned time.Time
	for _, s := range a.judged.Signatures(h.note) {
		if s.Time.IsZero() {
			continue
		}
		if s.Time.After(now.Add(clockTolerance)) || s.Time.Before(last.Add(-clockTolerance)) {
			found.raise(alarm{Alarm: alarmUndecided}, sayCosignedAmiss.with(s.Name, proofs.FormatTime(s.Time), proofs.FormatTime(last)))
		}
		if s.Time.After(cosigned) {
			cosigned = s.Time
		}
	}
	if !cosigned.IsZero() {
		found.Cosigned = proofs.FormatTime(cosigned)
	}
	if cosigned.After(fresh) {
		fresh = cosigned
	}
	if a.stale > 0 && now.Sub(fresh) > a.stale {
		found.raise(alarm{Alarm: alarmStale}, sayStaleLog.with(proofs.FormatTime(fresh)))
	}
}

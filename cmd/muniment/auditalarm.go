package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/client"
)

// What an audit alarms about.
const (
	alarmFork      = "fork"      // two signed histories
	alarmBreach    = "breach"    // an entry under a signed root breaks the log's rules
	alarmRefused   = "refused"   // a checkpoint or a receipt does not satisfy the policy
	alarmRollback  = "rollback"  // less is shown than was signed, for too long
	alarmMissing   = "missing"   // entries or tiles are not there, or not what was signed
	alarmStale     = "stale"     // the log does not move
	alarmUndecided = "undecided" // something could not be read or judged
)

// alarmCodes are the exit codes, the gravest first.
var alarmCodes = []struct {
	alarm string
	code  int
}{
	{alarmFork, exitRefused}, {alarmBreach, exitRefused}, {alarmRefused, exitRefused},
	{alarmMissing, exitMissing}, {alarmRollback, exitRollback}, {alarmStale, exitStale}, {alarmUndecided, exitFailure},
}

// An alarm is what is wrong. As JSON its names are stable.
type alarm struct {
	Alarm string            `json:"alarm"`
	At    string            `json:"at,omitempty"`    // the address or file that shows it
	Old   *uint64           `json:"old,omitempty"`   // sizes
	New   *uint64           `json:"new,omitempty"`   // likewise
	Piece string            `json:"piece,omitempty"` // path under the log's address
	From  *uint64           `json:"from,omitempty"`  // the entries concerned, up to To-1
	To    *uint64           `json:"to,omitempty"`
	Rule  client.BreachRule `json:"rule,omitempty"`
	Files []string          `json:"files,omitempty"` // that prove it
	Says  string            `json:"says,omitempty"`

	says remark
}

// audited is what one audit came to. As JSON its names are stable.
type audited struct {
	Outcome  string         `json:"outcome"` // sound, or the gravest alarm
	Origin   string         `json:"origin,omitempty"`
	Size     uint64         `json:"size"` // of the newest checkpoint that is mirrored whole
	Root     string         `json:"root,omitempty"`
	Policy   string         `json:"policy"` // fingerprint
	Mirror   string         `json:"mirror"`
	Fresh    uint64         `json:"fresh"`              // entries that are new in the mirror
	Newest   string         `json:"newest,omitempty"`   // time of the newest entry
	Cosigned string         `json:"cosigned,omitempty"` // the newest time of a witness
	Compared []comparedHead `json:"compared,omitempty"`
	Receipts *auditedPapers `json:"receipts,omitempty"`
	Records  int            `json:"records"` // public records fetched and checked
	Alarms   []alarm        `json:"alarms"`
	Took     float64        `json:"seconds"`
	Absent   int            `json:"records_absent,omitempty"`

	lang    proofs.Language // of what the alarms say
	shown   head            // what the log shows, signed by it; without a note it shows nothing
	lagging []lagging
}

// maxAlarms bounds the alarms of one kind.
const maxAlarms = 20

func (r *audited) raise(a alarm, says remark) {
	of := 0
	for _, x := range r.Alarms {
		if x.Alarm == a.Alarm {
			of++
		}
	}
	if of == maxAlarms {
		return
	}
	a.says, a.Says = says, says.in(r.lang)
	r.Alarms = append(r.Alarms, a)
}

// code is the exit code that the alarms come to.
func (r *audited) code() int {
	_, code := r.gravest()
	return code
}

func (r *audited) gravest() (string, int) {
	for _, c := range alarmCodes {
		if slices.ContainsFunc(r.Alarms, func(a alarm) bool { return a.Alarm == c.alarm }) {
			return c.alarm, c.code
		}
	}
	return "sound", 0
}

// trouble raises what an error stands for: what the log shows, or a failure on the way.
func (r *audited) trouble(at string, err error) {
	var piece *client.PieceError
	var own *fault
	var p *client.Problem
	a := alarm{Alarm: alarmUndecided, At: at}
	switch {
	case errors.As(err, &piece):
		a.Alarm, a.Piece, a.From, a.To = alarmMissing, piece.Path, &piece.From, &piece.To
		r.raise(a, sayPieceWrong.with(at, piece.Path, piece.From, piece.To-1, pieceCause(piece.Err)))
		return
	case errors.As(err, &own) && own.refused:
		a.Alarm = alarmRefused
	case errors.As(err, &own) && own.phrase == sayTilesWrong, errors.Is(err, client.ErrAnswer):
		a.Alarm = alarmMissing
	case errors.As(err, &p) && p.Refused():
		a.Alarm = alarmMissing
	}
	says := sayMemberWrong.with(at, err)
	if own != nil && own.phrase == sayCheckpointFails { // it names the place itself
		says = own.remark
	}
	r.raise(a, says)
}

// pieceCause is what is wrong with a piece, without the address again.
func pieceCause(err error) error {
	if errors.Is(err, client.ErrLog) {
		return sayPieceUnsigned.err()
	}
	return err
}

// alert tells the webhook and the textfile what is wrong, each alarm once until it ends.
func (a *auditor) alert(ctx context.Context, found *audited) {
	now := map[string]alarm{}
	for _, x := range found.Alarms {
		if _, there := now[x.Alarm]; !there {
			now[x.Alarm] = x
		}
	}
	for _, c := range alarmCodes {
		was, stood := a.standing[c.alarm]
		is, stands := now[c.alarm]
		switch {
		case stands && !stood:
			a.post(ctx, found, is, "raised")
		case stood && !stands:
			a.post(ctx, found, was, "cleared")
		}
	}
	a.standing = now
	if a.textfile != "" {
		if err := a.measure(found); err != nil {
			a.screen.complain(a.textfile, err)
		}
	}
}

// Bounds of telling a webhook.
const (
	webhookTries   = 4
	webhookTimeout = 10 * time.Second
	webhookPause   = time.Second // doubled each time
)

// webhookBody is what a webhook gets. Nothing in it was written by whom it accuses but
// the log's own name.
type webhookBody struct {
	State  string `json:"state"` // raised or cleared
	Origin string `json:"origin"`
	Size   uint64 `json:"size"`
	Time   string `json:"time"`
	Exit   int    `json:"exit"`
	alarm
}

// post tells the webhook. That it cannot be told changes nothing about what was found.
func (a *auditor) post(ctx context.Context, found *audited, is alarm, state string) {
	if a.webhook == "" {
		return
	}
	is.Says = "" // it may quote a server
	code := 0
	if state == "raised" {
		code = found.code()
	}
	body, err := json.Marshal(webhookBody{
		State: state, Origin: found.Origin, Size: found.Size, Time: proofs.FormatTime(a.now()), Exit: code, alarm: is,
	})
	for try := range webhookTries {
		if err != nil && try > 0 && wait(ctx, webhookPause<<(try-1)) != nil {
			break
		}
		if err = a.send(ctx, body); err == nil {
			return
		}
	}
	a.screen.complain(a.webhook, err)
}

func (a *auditor) send(ctx context.Context, body []byte) error {
	// An alarm is told even where the user stops meanwhile.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), webhookTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.webhook, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "muniment")
	h := *a.http
	h.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := h.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return sayWebhookSays.err(fmt.Sprint(resp.StatusCode))
	}
	return nil
}

// wait is a pause that the context can end.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

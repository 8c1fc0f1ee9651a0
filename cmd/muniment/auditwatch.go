package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/muniment/muniment/proofs"
)

// watchOn audits again and again, until it is stopped or a contradiction is proved. Its
// exit code is what the last audit came to.
func (a *auditor) watchOn(ctx context.Context) error {
	var last *audited
	for {
		found := a.pass(ctx)
		if ctx.Err() != nil {
			break
		}
		before := a.standing
		a.alert(ctx, found)
		if err := a.follow(last, found, before); err != nil {
			return err
		}
		last = found
		if worst, code := found.gravest(); worst == alarmFork || worst == alarmBreach {
			return exitError(code)
		}
		if wait(ctx, a.watch) != nil {
			break
		}
	}
	switch {
	case last == nil:
		return ctx.Err()
	case last.code() != 0:
		return exitError(last.code())
	}
	return nil
}

// follow tells what is new since the audit before.
func (a *auditor) follow(last, found *audited, before map[string]alarm) error {
	if last == nil || a.json {
		return a.tell(found)
	}
	for _, x := range found.Alarms {
		if _, stood := before[x.Alarm]; !stood {
			if err := a.screen.prose(sayAlarmAt, proofs.FormatTime(a.now()), x.says); err != nil {
				return err
			}
		}
	}
	for _, c := range alarmCodes {
		was, stood := before[c.alarm]
		if stood && !slices.ContainsFunc(found.Alarms, func(x alarm) bool { return x.Alarm == c.alarm }) {
			if err := a.screen.prose(sayAlarmEnded, proofs.FormatTime(a.now()), was.says); err != nil {
				return err
			}
		}
	}
	return nil
}

// tell says what an audit came to.
func (a *auditor) tell(found *audited) error {
	s := a.screen
	if s.json {
		return s.object(found)
	}
	if found.Origin != "" {
		if err := (head{Checkpoint: proofs.Checkpoint{Origin: found.Origin}}).warn(s); err != nil {
			return err
		}
	}
	if len(found.Alarms) == 0 {
		if err := s.prose(saySound, found.Size, found.Origin); err != nil {
			return err
		}
	}
	for _, x := range found.Alarms {
		if err := s.prose(alarmHeads[x.Alarm], x.says); err != nil {
			return err
		}
		for _, file := range x.Files {
			if err := s.text("  " + plain(file)); err != nil {
				return err
			}
		}
		if x.Alarm == alarmFork {
			if err := s.prose(sayForkAdvice); err != nil {
				return err
			}
		}
	}
	return s.facts(a.facts(found))
}

func (a *auditor) facts(found *audited) []fact {
	rows := []fact{}
	add := func(name phrase, value string) {
		if value != "" {
			rows = append(rows, fact{name, value})
		}
	}
	add(headLog, found.Origin)
	add(headMirror, found.Mirror)
	add(headMirrored, strconv.FormatUint(found.Size, 10))
	add(headFresh, strconv.FormatUint(found.Fresh, 10))
	add(headRoot, found.Root)
	add(headNewest, found.Newest)
	add(headCosigned, found.Cosigned)
	add(headPolicy, found.Policy)
	for _, c := range found.Compared {
		add(comparedHeads[c.Outcome], c.URL)
	}
	if r := found.Receipts; r != nil {
		add(headReceiptsStand, sayOf.in(a.lang, strconv.Itoa(r.Stand), strconv.Itoa(r.Found)))
	}
	return rows
}

// measure writes what was found for the textfile collector of Prometheus' node_exporter.
func (a *auditor) measure(found *audited) error {
	var b bytes.Buffer
	metric := func(name, help, labels string, value any) {
		if help != "" {
			fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s gauge\n", name, help, name)
		}
		fmt.Fprintf(&b, "%s%s %v\n", name, labels, value)
	}
	help := helpAlarm
	for _, c := range alarmCodes {
		n := 0
		for _, x := range found.Alarms {
			if x.Alarm == c.alarm {
				n++
			}
		}
		metric("muniment_audit_alarms", help, `{alarm="`+c.alarm+`"}`, n)
		help = ""
	}
	metric("muniment_audit_mirrored_entries", helpMirrored, "", found.Size)
	metric("muniment_audit_last_timestamp_seconds", helpLast, "", a.now().Unix())
	metric("muniment_audit_duration_seconds", helpTook, "", found.Took)
	if last := a.mirror.Last(); !last.IsZero() {
		metric("muniment_audit_newest_entry_timestamp_seconds", helpNewest, "", last.Unix())
	}
	return replace(a.textfile, b.Bytes(), true)
}

// The texts of metrics are the same in every language.
const (
	helpAlarm    = "What the last audit found wrong, by kind; 0: nothing."
	helpMirrored = "Entries mirrored and checked, under a signed root."
	helpLast     = "When the last audit ended."
	helpTook     = "How long the last audit took."
	helpNewest   = "The time of the newest entry in the mirror."
)

package console

import (
	"fmt"
	"strings"
	"time"

	"github.com/muniment/muniment/notary"
)

// logView is what the page of the log shows.
type logView struct {
	Portrait  notary.Portrait
	Waiting   uint64 // entries committed and not published
	Ready     bool
	Problems  []string
	Notes     []string
	Witnesses []witnessSeen
	Signed    int // how many of them cosigned the newest checkpoint
	Enough    bool
	Steps     []step
	Growth    *chart
	Stamps    []stampSeen
	Late      bool // of time-stamps: the newest is much older than it should be
}

type witnessSeen struct {
	Name string
	Time time.Time // when it cosigned the newest checkpoint; zero: it did not
}

type stampSeen struct {
	Size        uint64
	Time        time.Time
	Authorities string
}

// A step is one box of the picture of what an entry has behind it: good, waiting, bad or none.
type step struct {
	X           int
	State       string
	Name, Value string
	Detail      string
}

// log shows how the log fares. Nothing on the page is anyone's in particular.
func (v *visit) log() error {
	p, err := v.Portrait(v.r.Context())
	if err != nil {
		return err
	}
	l := logView{Portrait: p}
	l.Problems, l.Notes = v.Health(v.r.Context())
	l.Ready = len(l.Problems) == 0
	if p.Committed > p.Published {
		l.Waiting = p.Committed - p.Published
	}
	v.sawWitnesses(&l)
	v.sawStamps(&l)
	if l.Growth, err = v.growing(p.Published); err != nil {
		return err
	}
	l.Steps = v.steps(&l)
	return v.show("log", l)
}

func (v *visit) sawWitnesses(l *logView) {
	at := map[string]time.Time{}
	for _, s := range v.Signatures(l.Portrait.Checkpoint) {
		if s.Witness != "" && s.Time.After(at[s.Witness]) {
			at[s.Witness] = s.Time
		}
	}
	signed := map[string]bool{}
	for _, w := range v.Policy.Witnesses {
		if signed[w.Name] = !at[w.Name].IsZero(); signed[w.Name] {
			l.Signed++
		}
		l.Witnesses = append(l.Witnesses, witnessSeen{w.Name, at[w.Name]})
	}
	l.Enough = v.Policy.Stands(signed)
}

func (v *visit) sawStamps(l *logView) {
	for _, d := range l.Portrait.Dated {
		s := stampSeen{Size: d.Size}
		var names []string
		for _, t := range d.Stamps {
			names = append(names, t.Authority)
			if t.Time.After(s.Time) {
				s.Time = t.Time
			}
		}
		s.Authorities = strings.Join(names, ", ")
		l.Stamps = append(l.Stamps, s)
	}
	if every := l.Portrait.Every; every > 0 && len(l.Stamps) > 0 {
		l.Late = l.Stamps[0].Size < l.Portrait.Published && v.now.Sub(l.Stamps[0].Time) > 3*every
	}
}

// steps are what stands behind an entry, in the order in which it comes.
func (v *visit) steps(l *logView) []step {
	lang := speaker(v.lang)
	say := func(name string, args ...any) string {
		text, err := lang.say(name, args...)
		if err != nil {
			return name
		}
		return text
	}
	p := l.Portrait
	out := []step{{State: "good", Name: say("step-ledger"), Value: count(p.Committed), Detail: say("step-ledger-detail", count(l.Waiting))}}
	sealed := step{State: "good", Name: say("step-sealed"), Value: count(p.Published), Detail: lang.ago(v.now.Sub(p.Status.Checkpoint))}
	if l.Waiting > 0 && v.now.Sub(p.Status.Checkpoint) > 10*time.Second {
		sealed.State = "waiting"
	}
	if len(p.Checkpoint) == 0 {
		sealed.State, sealed.Detail = "waiting", say("step-none-yet")
	}
	if !l.Ready {
		sealed.State = "bad"
	}
	out = append(out, sealed, v.witnessStep(l, say), v.stampStep(l, say, lang), v.treeStep(p.Tree, say))
	for i := range out {
		out[i].X = i * 176
	}
	return out
}

func (v *visit) witnessStep(l *logView, say func(string, ...any) string) step {
	s := step{State: "none", Name: say("step-witnesses"), Value: "—", Detail: say("step-unused")}
	if len(l.Witnesses) > 0 {
		s.State, s.Value, s.Detail = "good", fmt.Sprintf("%d / %d", l.Signed, len(l.Witnesses)), say("step-quorum")
		if !l.Enough {
			s.State, s.Detail = "bad", say("step-no-quorum")
		}
	}
	return s
}

func (v *visit) stampStep(l *logView, say func(string, ...any) string, lang speaker) step {
	s := step{State: "none", Name: say("step-stamps"), Value: "—", Detail: say("step-unused")}
	if len(l.Portrait.Authority) > 0 {
		s.State, s.Detail = "waiting", say("step-none-yet")
		if len(l.Stamps) > 0 {
			s.State, s.Value, s.Detail = "good", count(l.Stamps[0].Size), lang.ago(v.now.Sub(l.Stamps[0].Time))
		}
		if l.Late {
			s.State = "bad"
		}
	}
	return s
}

func (v *visit) treeStep(t *notary.TreeSeen, say func(string, ...any) string) step {
	s := step{State: "none", Name: say("step-tree"), Value: "—", Detail: say("step-unused")}
	switch {
	case t == nil:
	case t.Fault != nil:
		s.State, s.Value, s.Detail = "bad", count(t.Size), say("step-tree-fault")
	case t.Agreed.IsZero():
		s.State, s.Detail = "waiting", say("step-tree-elsewhere")
	default:
		s.State, s.Value, s.Detail = "good", count(t.Size), say("step-tree-agrees")
	}
	return s
}

// ago is how long ago something was, in the one unit that says most.
func (lang speaker) ago(d time.Duration) string {
	n, unit := int(d/time.Second), "seconds"
	switch {
	case d < 2*time.Second:
		return words["ago-now"].in(string(lang))
	case d >= 48*time.Hour:
		n, unit = int(d/(24*time.Hour)), "days"
	case d >= 2*time.Hour:
		n, unit = int(d/time.Hour), "hours"
	case d >= 2*time.Minute:
		n, unit = int(d/time.Minute), "minutes"
	}
	return fmt.Sprintf(words["ago-"+unit].in(string(lang)), n)
}

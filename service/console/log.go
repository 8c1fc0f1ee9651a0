package console

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/muniment/muniment/notary"
)

// days is how far back the picture of the log's growth goes.
const days = 30

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

// growth remembers how many entries there were at the beginning of each day, which does not
// change once the day has begun.
type growth struct {
	mu    sync.Mutex
	known map[time.Time]uint64
}

func (g *growth) at(ctx context.Context, day time.Time, ask func(context.Context, time.Time) (uint64, error)) (uint64, error) {
	g.mu.Lock()
	n, ok := g.known[day]
	g.mu.Unlock()
	if ok {
		return n, nil
	}
	n, err := ask(ctx, day)
	if err != nil {
		return 0, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.known == nil || len(g.known) > 4*days {
		g.known = map[time.Time]uint64{}
	}
	g.known[day] = n
	return n, nil
}

// A chart has a bar for each day.
type chart struct {
	Bars  []bar
	Top   uint64 // what the upper line stands for
	Total uint64 // of all days
	First time.Time
	Last  time.Time
}

type bar struct {
	X, Y, Height int
	Day          time.Time
	Entries      uint64
}

const (
	barStep   = 24
	barHeight = 160
)

// growing is the picture of how many entries came on each of the last days.
func (v *visit) growing(published uint64) (*chart, error) {
	zone := v.zone()
	y, m, d := v.now.In(zone).Date()
	today := time.Date(y, m, d, 0, 0, 0, 0, zone)
	c := &chart{First: today.AddDate(0, 0, 1-days), Last: today}
	before, err := v.growth.at(v.r.Context(), c.First.UTC(), v.SizeAt)
	if err != nil {
		return nil, err
	}
	for i := range days {
		day := c.First.AddDate(0, 0, i)
		after := published
		if i < days-1 {
			if after, err = v.growth.at(v.r.Context(), day.AddDate(0, 0, 1).UTC(), v.SizeAt); err != nil {
				return nil, err
			}
		}
		b := bar{X: i * barStep, Day: day}
		if after > before { // a day's count may be older than what is published
			b.Entries = after - before
		}
		before = after
		c.Total += b.Entries
		c.Top = max(c.Top, b.Entries)
		c.Bars = append(c.Bars, b)
	}
	c.Top = round(c.Top)
	for i := range c.Bars {
		b := &c.Bars[i]
		b.Height = int(b.Entries * barHeight / c.Top)
		if b.Height == 0 && b.Entries > 0 {
			b.Height = 1
		}
		b.Y = barHeight - b.Height
	}
	return c, nil
}

// round is the next number that people like to read on an axis.
func round(n uint64) uint64 {
	for unit := uint64(1); ; unit *= 10 {
		for _, nice := range []uint64{1, 2, 5} {
			if nice*unit >= n {
				return nice * unit
			}
		}
	}
}

package webhook

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"

	"github.com/muniment/muniment/notary"
)

// State is how far a webhook has come. It is stored as JSON.
type State struct {
	// Next is the index from which on nothing was looked at yet. What is below it was
	// delivered, waits, is dead, or was not subscribed to.
	Next    uint64    `json:"next"`
	Waiting []Waiting `json:"waiting,omitempty"` // ascending by index
	Dead    []Dead    `json:"dead,omitempty"`    // the last maxDead, oldest first
}

// Waiting is a call that failed, or one behind it in the same case.
type Waiting struct {
	Index    uint64    `json:"index"`
	Attempts int       `json:"attempts"`
	Due      time.Time `json:"due,omitzero"`
	Reason   string    `json:"reason,omitempty"` // why the last attempt failed
	// Line is by what calls must stay in order: a keyed digest of the contract number.
	Line string `json:"line"`
}

// Dead is a call that was given up.
type Dead struct {
	Index    uint64    `json:"index"`
	Attempts int       `json:"attempts"`
	At       time.Time `json:"at"`
	Reason   string    `json:"reason"`
	Line     string    `json:"line"`
}

const (
	// maxWaiting bounds what waits; beyond it nothing new is looked at.
	maxWaiting = 1000
	// maxDead is how many are remembered. Older ones are forgotten, and still found in
	// the log.
	maxDead = 1000
)

// schedule is after how long a call is made again. After the last it is dead: two days
// and a half, in which somebody will have looked.
var schedule = []time.Duration{
	2 * time.Second, 10 * time.Second, time.Minute, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour,
	6 * time.Hour, 12 * time.Hour, 18 * time.Hour, 24 * time.Hour,
}

// ParseState reads a webhook's state; an empty one is that of the log's beginning.
func ParseState(w notary.Webhook) (State, error) {
	var s State
	if len(w.State) == 0 {
		return s, nil
	}
	return s, json.Unmarshal(w.State, &s)
}

// Marshal returns what ParseState reads.
func (s State) Marshal() []byte {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // it holds nothing that JSON cannot
	}
	return b
}

// failed notes a failed attempt: the call waits, or is dead.
func (s *State) failed(index uint64, line string, now time.Time, reason string) (dead bool) {
	w := s.behind(index, line)
	w.Attempts++
	w.Reason = reason
	if w.Attempts <= len(schedule) {
		w.Due = now.Add(schedule[w.Attempts-1])
		return false
	}
	s.Dead = append(s.Dead, Dead{index, w.Attempts, now, reason, line})
	s.Dead = s.Dead[max(0, len(s.Dead)-maxDead):]
	s.done(index)
	return true
}

// behind notes a call that waits, for the one before it in its line or for its time, and
// returns it.
func (s *State) behind(index uint64, line string) *Waiting {
	at, there := slices.BinarySearchFunc(s.Waiting, index, func(w Waiting, i uint64) int { return cmp.Compare(w.Index, i) })
	if !there {
		s.Waiting = slices.Insert(s.Waiting, at, Waiting{Index: index, Line: line})
	}
	return &s.Waiting[at]
}

// done forgets what waits no more.
func (s *State) done(index uint64) {
	s.Waiting = slices.DeleteFunc(s.Waiting, func(w Waiting) bool { return w.Index == index })
}

// Replay is the state from which everything with index from or more is told again, and
// nothing below it any more.
func (s State) Replay(from uint64) State {
	return State{
		Next:    from,
		Waiting: slices.DeleteFunc(slices.Clone(s.Waiting), func(w Waiting) bool { return w.Index >= from }),
		Dead:    slices.DeleteFunc(slices.Clone(s.Dead), func(d Dead) bool { return d.Index >= from }),
	}
}

// Revive is the state in which what is dead waits to be told once more, at once.
func (s State) Revive() State {
	next := State{Next: s.Next, Waiting: slices.Clone(s.Waiting)}
	for _, d := range s.Dead {
		if len(next.Waiting) == maxWaiting {
			next.Dead = append(next.Dead, d)
			continue
		}
		next.behind(d.Index, d.Line)
	}
	return next
}

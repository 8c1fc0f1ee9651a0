package notarytest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
)

// ErrInjected is the error of a call that was made to fail.
var ErrInjected = errors.New("injected fault")

// A Kind is what goes wrong with a call. A call that writes may fail with its
// effect or without it, and the caller cannot see which.
type Kind int

const (
	// None: nothing goes wrong. A Fault of this kind is there for its Do.
	None Kind = iota
	// Fails: nothing is done, and the call returns an error.
	Fails
	// FailsYetPersisted: all is done, and the call returns an error.
	FailsYetPersisted
	// TimesOut: nothing is done, and the call returns when its context is done.
	TimesOut
	// TimesOutYetPersisted: all is done, and the call returns when its context is done.
	TimesOutYetPersisted
	// Cancelled: nothing is done, and the call returns context.Canceled.
	Cancelled
	// CancelledYetPersisted: all is done, and the call returns context.Canceled.
	CancelledYetPersisted
	// PersistsLater: the call returns an error with nothing done yet; the effect
	// comes about when the lock of the head is taken next, as that of a COMMIT on
	// which the client has hung up. For the call Commit alone.
	PersistsLater
	// Lies: nothing is done, and the call returns as if it were. No contract allows
	// it; storage has been seen to do it. For calls that write, of Append its Commit.
	Lies
)

// Kinds are those that every call may meet within its contract.
var Kinds = []Kind{Fails, FailsYetPersisted, TimesOut, TimesOutYetPersisted, Cancelled, CancelledYetPersisted}

func (k Kind) String() string {
	names := [...]string{"None", "Fails", "FailsYetPersisted", "TimesOut", "TimesOutYetPersisted", "Cancelled", "CancelledYetPersisted", "PersistsLater", "Lies"}
	if k < 0 || int(k) >= len(names) {
		return fmt.Sprintf("Kind(%d)", int(k))
	}
	return names[k]
}

func (k Kind) done() bool {
	return k == None || k == FailsYetPersisted || k == TimesOutYetPersisted || k == CancelledYetPersisted
}

// A Fault is one thing that goes wrong.
type Fault struct {
	// Call is the method: "Append", "Put", "Advance". Two steps within a method
	// count as calls of their own: "Commit" is the write of an Append, after build
	// has returned a batch; "ReadAt" is that of an object opened from Blobs.
	Call string
	// Nth is which call of that method, counted from 1 since the fake was made or
	// Reset; 0 is each of them.
	Nth  int
	Kind Kind
	// Err is what a call that fails returns; nil is ErrInjected.
	Err error
	// Do, if set, runs first, without a lock of the fake's own but Append's and
	// Committed's head lock. It may block, to hold the caller where it stands, or
	// use the fake.
	Do func()
}

// Faults is the script of what goes wrong with a fake, and the count of its
// calls. It is safe for concurrent use.
//
// To meet every point of failure, run a scenario without faults, read Calls, and
// run it again for each method, number and kind.
type Faults struct {
	names []string // of the calls

	mu     sync.Mutex
	script []Fault
	choose func(call string, nth int) Fault
	count  map[string]int
	fired  int
}

// Set adds to the script. Of several faults for one call the first set wins. A
// call that the fake does not have, or a kind that it does not know, is a panic:
// the fault would never happen, and the test prove nothing.
func (f *Faults) Set(faults ...Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, fault := range faults {
		f.check(fault)
		f.script = append(f.script, fault)
	}
}

// Choose asks fn, with the call's name and number, for the fault of each call
// that the script does not speak of; only its Kind, Err and Do are used. Calls
// to fn never overlap. Nil asks nobody.
func (f *Faults) Choose(fn func(call string, nth int) Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.choose = fn
}

// Reset forgets the script and sets all counts to zero.
func (f *Faults) Reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.script, f.choose, f.count, f.fired = nil, nil, nil, 0
}

// Calls returns how many calls of each method there were since the last Reset.
func (f *Faults) Calls() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.count)
}

// Fired returns how many calls have met a fault since the last Reset. A test of a
// fault that did not fire has tested nothing.
func (f *Faults) Fired() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fired
}

func (f *Faults) check(fault Fault) {
	if !slices.Contains(f.names, fault.Call) {
		panic(fmt.Sprintf("notarytest: no call %q; there are %q", fault.Call, f.names))
	}
	if fault.Kind < None || fault.Kind > Lies || fault.Kind == PersistsLater && fault.Call != "Commit" || fault.Kind == Lies && !slices.Contains(writes, fault.Call) {
		panic(fmt.Sprintf("notarytest: %v cannot happen to %s", fault.Kind, fault.Call))
	}
}

// writes are the calls that can lie: they write, and return an error alone or a
// count that the caller could know.
var writes = []string{"Commit", "Publish", "Stamp", "Renew", "CreateTenant", "CreateAPIKey", "ConfirmAPIKey", "DeleteAPIKey", "Put", "Delete", "Hold", "Retain", "Erase", "Advance", "Lead", "Resign", "Announce", "EditKeys", "KeepAccount", "DropAccount", "Freeze"}

// next counts a call and returns its fault.
func (f *Faults) next(call string) Fault {
	f.mu.Lock()
	if f.count == nil {
		f.count = map[string]int{}
	}
	f.count[call]++
	nth := f.count[call]
	fault := Fault{}
	i := slices.IndexFunc(f.script, func(s Fault) bool { return s.Call == call && (s.Nth == nth || s.Nth == 0) })
	if i >= 0 {
		fault = f.script[i]
	} else if f.choose != nil {
		fault = f.choose(call, nth)
		fault.Call = call
		f.check(fault)
	}
	if fault.Kind != None {
		f.fired++
	}
	f.mu.Unlock()
	if fault.Do != nil {
		fault.Do()
	}
	return fault
}

// call is the frame of each method: it counts the call, does what the method does
// if the fault leaves that to be done, and answers as the fault has it. An error
// of the method's own comes before that of the fault, for it is the truth.
func (f *Faults) call(ctx context.Context, call string, do func() error) error {
	fault := f.next(call)
	if err := ctx.Err(); err != nil {
		return err
	}
	if fault.Kind.done() {
		if err := do(); err != nil {
			return err
		}
	}
	return fault.answer(ctx)
}

// answer is the error of a call that met the fault, at the time when it returns.
func (f Fault) answer(ctx context.Context) error {
	switch f.Kind {
	case TimesOut, TimesOutYetPersisted:
		<-ctx.Done()
		return ctx.Err()
	case Cancelled, CancelledYetPersisted:
		return context.Canceled
	case Fails, FailsYetPersisted, PersistsLater:
		if f.Err != nil {
			return f.Err
		}
		return fmt.Errorf("%s: %w", f.Call, ErrInjected)
	}
	return nil
}

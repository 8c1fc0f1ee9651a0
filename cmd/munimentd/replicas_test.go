package main

import (
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"time"
)

// TestReplicasUnderKills is I1 and I2 for three replicas: one after the other is killed
// under load, the writers try the next with the same key, and outsiders keep every
// checkpoint that any of them shows.
func TestReplicasUnderKills(t *testing.T) {
	s := share(t)
	f := s.layout(t, s.postgres.URL(), s.s3.Endpoint).fleet(t, 3)
	l, w := f.lend(t), f.witness(t)
	l.now.Store(f.balanced())
	kills := rounds(6, 300)
	for kill := range kills {
		victim := rand.IntN(3)
		if kill%2 == 0 {
			victim = f.sealer(t)
		}
		f.alive(t, l)
		f.kill(victim)
		time.Sleep(time.Duration(rand.IntN(1500)) * time.Millisecond)
		f.start(t, victim)
		time.Sleep(time.Duration(rand.IntN(1000)) * time.Millisecond)
	}
	f.alive(t, l)
	receipts, _ := l.account(t)
	seen := w.account(t, l.journal, l.now.Load())
	f.stop(t)
	t.Logf("%d kills, %d receipts, none lost; %d checkpoints seen, one log", kills, receipts, seen)
}

// TestHandOverOfReplicas: the sealer is killed, and the next receipt comes through
// another replica within two seconds.
func TestHandOverOfReplicas(t *testing.T) {
	s := share(t)
	f := s.layout(t, s.postgres.URL(), s.s3.Endpoint).fleet(t, 3)
	j := f.keeping()
	var took []time.Duration
	for n := range rounds(4, 100) {
		sealer := f.sealer(t)
		f.kill(sealer)
		begun := time.Now()
		a := &acknowledged{key: "after-" + f.processes[sealer].started.String(), contract: "LC-1", text: "a contract", original: n%2 == 0}
		got, err := a.send(f.up[(sealer+1)%3].Load())
		if err != nil {
			t.Fatalf("the first deposit after the sealer's end: %v", err)
		}
		took = append(took, time.Since(begun))
		if err := j.keep(a, got); err != nil {
			t.Fatal(err)
		}
		f.start(t, sealer)
	}
	slices.Sort(took)
	t.Logf("%d hand-overs; the next receipt after %v (median), %v (slowest)", len(took), took[len(took)/2], took[len(took)-1])
	if slowest := took[len(took)-1]; slowest > 2*time.Second {
		t.Errorf("a hand-over took %v", slowest)
	}
	f.stop(t)
}

// TestStoppedSealerProcess is I2 for a sealer that sleeps past its lease, as a machine
// does that is suspended: another seals meanwhile, and the one that wakes up neither
// forks the log nor shows an older one for long. It follows, or ends itself with 3.
func TestStoppedSealerProcess(t *testing.T) {
	s := share(t)
	f := s.layout(t, s.postgres.URL(), s.s3.Endpoint).fleet(t, 3)
	l, w := f.lend(t), f.witness(t)
	l.now.Store(f.balanced())
	ended := 0
	for range rounds(2, 50) {
		sealer := f.sealer(t)
		f.alive(t, l)
		stale := f.up[sealer].Swap(nil)
		before := len(l.since(0))
		syscall.Kill(f.processes[sealer].pid, syscall.SIGSTOP)
		// It may sleep with the lock of the head in its hand, which the database takes from it.
		time.Sleep(3 * time.Second)
		until(t, 5*time.Second, "sealing while the sealer sleeps", func() bool { return len(l.since(before)) > writers })
		syscall.Kill(f.processes[sealer].pid, syscall.SIGCONT)
		f.up[sealer].Store(stale)
		if !f.follows(t, sealer, stale) {
			ended++
			f.start(t, sealer)
		}
	}
	receipts, _ := l.account(t)
	seen := w.account(t, l.journal, l.now.Load())
	f.stop(t)
	t.Logf("%d ended themselves; %d receipts, %d checkpoints seen, one log", ended, receipts, seen)
}

// follows reports whether a replica that slept shows what the others show now; if not,
// it must have ended itself.
func (f *fleet) follows(t *testing.T, i int, stale *client) bool {
	t.Helper()
	other := f.up[(i+1)%len(f.up)].Load()
	now, err := other.checkpoint()
	if err != nil {
		t.Fatal(err)
	}
	follows := false
	until(t, 10*time.Second, "following or ended", func() bool {
		select {
		case <-f.processes[i].ended:
			return true
		default:
		}
		cp, err := stale.checkpoint()
		follows = err == nil && cp.Size >= now.Size
		return follows
	})
	if !follows {
		f.up[i].Store(nil)
		if code := f.processes[i].exit(t, time.Second); code != exitFatal {
			t.Fatalf("it ended with %d: %s", code, f.processes[i].out)
		}
	}
	return follows
}

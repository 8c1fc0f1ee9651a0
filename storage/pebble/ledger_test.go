package pebble

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/storage/storagetest"
)

// elsewhere names a directory that the test binary opens instead of running tests.
const elsewhere = "MUNIMENT_TEST_OPEN_LEDGER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(elsewhere); dir != "" {
		l, err := Open(context.Background(), Config{Dir: dir})
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println("opened", l.Close())
		return
	}
	os.Exit(m.Run())
}

// openElsewhere opens the ledger in another process and returns what it said.
func openElsewhere(t *testing.T, dir string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), elsewhere+"="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

func symlink(t *testing.T, old, name string) {
	t.Helper()
	if err := os.Mkdir(old, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(old, name); err != nil {
		t.Fatal(err)
	}
}

func TestLedger(t *testing.T) {
	storagetest.Ledger(t, func(t *testing.T) storagetest.Harness {
		config := Config{Dir: t.TempDir(), Fatal: func(err error) { t.Errorf("fatal: %v", err) }}
		l := mustOpen(t, config)
		t.Cleanup(func() {
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		})
		return storagetest.Harness{
			Ledger: l,
			Reopen: func() storagetest.LedgerDriver {
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
				l = mustOpen(t, config)
				return l
			},
		}
	})
}

func mustOpen(t testing.TB, config Config) *Ledger {
	t.Helper()
	l, err := Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// BenchmarkAppend is one commit per operation, of rows of about 600 bytes with five
// look-ups each: id, tenant, two terms, idempotency key.
func BenchmarkAppend(b *testing.B) {
	for _, rows := range []int{1, 64, 256, 1024} {
		b.Run(fmt.Sprint(rows), func(b *testing.B) { benchmarkAppend(b, rows) })
	}
}

func benchmarkAppend(b *testing.B, rows int) {
	l := mustOpen(b, Config{Dir: b.TempDir()})
	defer func() {
		if err := l.Close(); err != nil {
			b.Error(err)
		}
	}()
	log := storagetest.NewLog()
	body := make([]byte, 300)
	for i := range body {
		body[i] = byte(i * 7)
	}
	n := 0
	for b.Loop() {
		b.StopTimer() // building and hashing are the notary's
		specs := make([]storagetest.Spec, rows)
		var lookups notary.Lookups
		for i := range specs {
			contract, hash, key := numbered(1, n), numbered(2, n), numbered(3, n)
			n++
			specs[i] = storagetest.Spec{Tenant: notary.ID{byte(n % 8)}, Contract: &contract, Terms: []notary.Term{contract, hash}}
			lookups.Operations = append(lookups.Operations, notary.Operation{Tenant: specs[i].Tenant, Key: key})
			lookups.Cases = append(lookups.Cases, notary.Case{Tenant: specs[i].Tenant, Contract: contract})
		}
		batch := log.Batch(specs...)
		for i := range batch.Rows {
			batch.Rows[i].Body = append(batch.Rows[i].Body, body...)
			o := lookups.Operations[i]
			o.First, o.Count = batch.Rows[i].Index, 1
			batch.Operations = append(batch.Operations, o)
		}
		log.Took(batch)
		log.Rows, log.Terms, log.Operations = nil, nil, nil
		clear(log.Cases)
		b.StartTimer()
		if err := l.Append(b.Context(), lookups, func(notary.State) (*notary.Batch, error) { return batch, nil }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "rows/s")
}

// numbered is a term that looks random, as keyed digests do.
func numbered(kind, n int) (term notary.Term) {
	x := uint64(kind)<<56 ^ uint64(n)
	for i := range term {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		term[i] = byte(x >> 32)
	}
	return term
}

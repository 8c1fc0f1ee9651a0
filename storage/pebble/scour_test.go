package pebble

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/storage/storagetest"
)

// TestScoured: after Scour no file holds secrets, or a webhook, that were replaced, whether
// they stood in a table, in the log that is written or in one that waits to be used again;
// what took their place is there, and commits and snapshots went on beside it.
func TestScoured(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, Config{Dir: filepath.Join(dir, "ledger")})
	log, tenant := storagetest.NewLog(), notary.ID{1}
	fresh := func() []byte {
		b := make([]byte, 64) // bytes that no compression hides
		rand.Read(b)
		return b
	}
	add := func(rows int) {
		t.Helper()
		var specs []storagetest.Spec
		for range rows {
			specs = append(specs, storagetest.Spec{Tenant: tenant})
		}
		b := log.Batch(specs...)
		for i := range b.Rows {
			b.Rows[i].Secrets = fresh()
		}
		if err := l.Append(t.Context(), notary.Lookups{}, func(notary.State) (*notary.Batch, error) { return b, nil }); err != nil {
			t.Fatal(err)
		}
		log.Took(b)
	}
	var old [][]byte
	reseal := func(from, to uint64) {
		t.Helper()
		for i := from; i < to; i++ {
			r := notary.Resealed{Index: i, Old: log.Rows[i].Secrets, New: fresh()}
			if n, err := l.Reseal(t.Context(), tenant, []notary.Resealed{r}); n != 1 || err != nil {
				t.Fatal(n, err)
			}
			old, log.Rows[i].Secrets = append(old, r.Old[:16]), r.New
		}
	}
	add(400)
	hook := notary.Webhook{ID: notary.ID{7}, Tenant: tenant, Sealed: fresh(), State: []byte("s")}
	if err := l.CreateWebhook(t.Context(), hook); err != nil {
		t.Fatal(err)
	}
	if err := l.guarded(l.db.Flush); err != nil {
		t.Fatal(err)
	}
	add(400)
	reseal(0, 50)
	if err := l.guarded(l.db.Flush); err != nil {
		t.Fatal(err)
	}
	add(400)
	reseal(390, 440)
	reseal(1190, 1200)
	if err := l.ResealWebhook(t.Context(), tenant, hook.ID, hook.Sealed, fresh()); err != nil {
		t.Fatal(err)
	}
	old = append(old, hook.Sealed[:16])
	if holding(t, dir, old[0]) == "" || holding(t, dir, old[len(old)-1]) == "" || holding(t, dir, old[len(old)-2]) == "" {
		t.Fatal("they cannot be seen in the files before: the test proves nothing")
	}
	if err := l.Scour(t.Context()); err != nil {
		t.Fatal(err)
	}
	var left string
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if left = holding(t, dir, old...); left == "" {
			break
		}
	}
	if left != "" {
		t.Error(left)
	}
	add(100)
	if err := log.Check(t.Context(), l); err != nil {
		t.Error(err)
	}
	// A crash right after it.
	if err := os.CopyFS(filepath.Join(dir, "killed"), os.DirFS(filepath.Join(dir, "ledger"))); err != nil {
		t.Fatal(err)
	}
	killed := mustOpen(t, Config{Dir: filepath.Join(dir, "killed")})
	if err := log.Check(t.Context(), killed); err != nil {
		t.Error(err)
	}
	for _, open := range []*Ledger{killed, l} {
		if err := open.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestOldReaders: somebody still reads the store as it was before a key was replaced, or
// destroyed. Neither call says that it is done before that reader has ended, and then no file
// holds what it saw.
func TestOldReaders(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, Config{Dir: filepath.Join(dir, "ledger")})
	log, tenant := storagetest.NewLog(), notary.ID{1}
	b := log.Batch(storagetest.Spec{Tenant: tenant}, storagetest.Spec{Tenant: tenant})
	for i := range b.Rows {
		b.Rows[i].Secrets = make([]byte, 64)
		rand.Read(b.Rows[i].Secrets)
	}
	if err := l.Append(t.Context(), notary.Lookups{}, func(notary.State) (*notary.Batch, error) { return b, nil }); err != nil {
		t.Fatal(err)
	}
	for i, destroy := range []func() error{
		func() error {
			_, err := l.Reseal(t.Context(), tenant, []notary.Resealed{{Index: 0, Old: b.Rows[0].Secrets, New: []byte("fresh")}})
			if err == nil {
				err = l.Scour(t.Context())
			}
			return err
		},
		func() error { return l.Erase(t.Context(), notary.Erasure{Tenant: tenant, Index: 1}) },
	} {
		reader, err := l.begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- destroy() }()
		select {
		case err := <-done:
			t.Errorf("%d: it did not wait: %v", i, err)
			done <- err
		case <-time.After(300 * time.Millisecond):
		}
		l.end(reader)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		var left string
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			if left = holding(t, dir, b.Rows[i].Secrets[:16]); left == "" {
				break
			}
		}
		if left != "" {
			t.Errorf("%d: %s", i, left)
		}
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

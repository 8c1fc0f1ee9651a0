package storagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/muniment/muniment/notary"
)

// BlobsHarness is how the suite Blobs reaches the driver under test.
type BlobsHarness struct {
	// New returns a store without objects. What it opens it closes by t.Cleanup.
	New func(t testing.TB) notary.Blobs
	// Reopen closes b as a crash would leave it and opens the same store again.
	// Nil for a store that ends with its process.
	Reopen func(t testing.TB, b notary.Blobs) notary.Blobs
	// Resolution is how far apart two Puts must be for List to tell them apart;
	// 50 ms when zero.
	Resolution time.Duration
}

// Blobs runs every sentence of the contract of notary.Blobs against a driver.
func Blobs(t *testing.T, h BlobsHarness) {
	if h.Resolution == 0 {
		h.Resolution = 50 * time.Millisecond
	}
	for _, test := range []struct {
		name string
		run  func(*testing.T, BlobsHarness)
	}{
		{"PutThenOpen", blobsPutThenOpen},
		{"Reopen", blobsReopen},
		{"CreateOnly", blobsCreateOnly},
		{"RacingPuts", blobsRacingPuts},
		{"ReaderFails", blobsReaderFails},
		{"ContextFails", blobsContextFails},
		{"HalfWrittenIsHidden", blobsHalfWrittenIsHidden},
		{"OddReaders", blobsOddReaders},
		{"ReadAt", blobsReadAt},
		{"Large", blobsLarge},
		{"ManySmall", blobsManySmall},
		{"ListBefore", blobsListBefore},
		{"ListStops", blobsListStops},
		{"Probe", blobsProbe},
		{"Delete", blobsDelete},
		{"Hold", blobsHold},
		{"Retain", blobsRetain},
		{"TenantsApart", blobsTenantsApart},
		{"HostileNames", blobsHostileNames},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, h) })
	}
}

var errBlobReader = errors.New("the reader failed")

func blobsPutThenOpen(t *testing.T, h BlobsHarness) {
	b := h.New(t)
	for _, size := range []int{0, 1, 4095, 4096, 4097, 64<<10 - 1, 64 << 10, 64<<10 + 1, 1 << 20} {
		name, content := blobName(t), blobContent(size)
		blobMustPut(t, b, name, content)
		blobMustHold(t, b, name, content)
	}
	if _, err := b.Open(t.Context(), blobName(t)); !errors.Is(err, notary.ErrNotFound) {
		t.Errorf("Open of a name never put: %v, want ErrNotFound", err)
	}
}

func blobsReopen(t *testing.T, h BlobsHarness) {
	if h.Reopen == nil {
		t.Log("the store ends with its process: nothing to open again")
		return
	}
	b := h.New(t)
	stored := map[string][]byte{}
	for _, size := range []int{0, 1, 5000, 300 << 10} {
		name := blobName(t)
		stored[name] = blobContent(size)
		blobMustPut(t, b, name, stored[name])
	}
	gone := blobName(t)
	blobMustPut(t, b, gone, []byte("erased"))
	if err := b.Delete(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	b = h.Reopen(t, b)
	for name, content := range stored {
		blobMustHold(t, b, name, content)
		if _, err := b.Put(t.Context(), name, strings.NewReader("again")); !errors.Is(err, notary.ErrExists) {
			t.Errorf("Put of a name taken before the store was reopened: %v, want ErrExists", err)
		}
	}
	blobMustNotHold(t, b, gone)
	blobMustPut(t, b, blobName(t), []byte("after"))
}

func blobsCreateOnly(t *testing.T, h BlobsHarness) {
	b := h.New(t)
	for _, first := range []string{"", "the first"} {
		name := blobName(t)
		blobMustPut(t, b, name, []byte(first))
		for _, second := range []string{"", first, "another, and longer than the first"} {
			if _, err := b.Put(t.Context(), name, strings.NewReader(second)); !errors.Is(err, notary.ErrExists) {
				t.Errorf("second Put: %v, want ErrExists", err)
			}
			blobMustHold(t, b, name, []byte(first))
		}
	}
}

func blobsRacingPuts(t *testing.T, h BlobsHarness) {
	b, name := h.New(t), blobName(t)
	const racers = 100
	errs := make([]error, racers)
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range racers {
		wg.Go(func() {
			<-start
			_, errs[i] = b.Put(t.Context(), name, bytes.NewReader(blobContent(1000+i)))
		})
	}
	close(start)
	wg.Wait()
	winner := -1
	for i, err := range errs {
		switch {
		case err == nil && winner >= 0:
			t.Fatalf("racers %d and %d both put %s", winner, i, name)
		case err == nil:
			winner = i
		case !errors.Is(err, notary.ErrExists):
			t.Errorf("racer %d: %v, want ErrExists", i, err)
		}
	}
	if winner < 0 {
		t.Fatal("nobody won the name")
	}
	blobMustHold(t, b, name, blobContent(1000+winner))
}

func blobsReaderFails(t *testing.T, h BlobsHarness) {
	b := h.New(t)
	for _, after := range []int{0, 1, 4096, 64 << 10, 200_000, 6 << 20} {
		for _, fault := range []error{errBlobReader, io.ErrUnexpectedEOF, context.Canceled} {
			name := blobName(t)
			r := io.MultiReader(bytes.NewReader(blobContent(after)), iotest.ErrReader(fault))
			if _, err := b.Put(t.Context(), name, r); !errors.Is(err, fault) {
				t.Errorf("Put from a reader that fails after %d bytes: %v, want %v", after, err, fault)
			}
			blobMustNotHold(t, b, name)
			// Whatever was left behind must not stand in the way of a retry.
			blobMustPut(t, b, name, []byte("retried"))
			blobMustHold(t, b, name, []byte("retried"))
		}
	}
	// A failing reader under a taken name may report either, and changes nothing.
	name := blobName(t)
	blobMustPut(t, b, name, []byte("kept"))
	if _, err := b.Put(t.Context(), name, iotest.ErrReader(errBlobReader)); err == nil {
		t.Error("Put from a failing reader under a taken name succeeded")
	}
	blobMustHold(t, b, name, []byte("kept"))
}

func blobsContextFails(t *testing.T, h BlobsHarness) {
	b := h.New(t)
	done, cancel := context.WithCancel(t.Context())
	cancel()
	name := blobName(t)
	if _, err := b.Put(done, name, strings.NewReader("late")); !errors.Is(err, context.Canceled) {
		t.Errorf("Put under a cancelled context: %v, want context.Canceled", err)
	}
	blobMustNotHold(t, b, name)

	for _, after := range []int{0, 1, 64 << 10, 300_000} {
		ctx, cancel := context.WithCancel(t.Context())
		name := blobName(t)
		r := io.MultiReader(
			bytes.NewReader(blobContent(after)),
			&blobHook{r: bytes.NewReader(blobContent(200_000)), before: cancel},
		)
		if _, err := b.Put(ctx, name, r); !errors.Is(err, context.Canceled) {
			t.Errorf("Put cancelled after %d bytes: %v, want context.Canceled", after, err)
		}
		cancel()
		blobMustNotHold(t, b, name)
	}

	blobMustPut(t, b, name, []byte("there"))
	if _, err := b.Open(done, name); !errors.Is(err, context.Canceled) {
		t.Errorf("Open under a cancelled context: %v, want context.Canceled", err)
	}
	if err := b.List(done, time.Now().Add(time.Hour), func(string) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("List under a cancelled context: %v, want context.Canceled", err)
	}
	if err := b.Delete(done, name); !errors.Is(err, context.Canceled) {
		t.Errorf("Delete under a cancelled context: %v, want context.Canceled", err)
	}
	blobMustHold(t, b, name, []byte("there"))
}

// blobsHalfWrittenIsHidden looks at the store from inside the reader, when half
// of the object has been handed over: all of r, or nothing, is under the name.
func blobsHalfWrittenIsHidden(t *testing.T, h BlobsHarness) {
	b, name := h.New(t), blobName(t)
	content := blobContent(400_000)
	looked := false
	r := io.MultiReader(bytes.NewReader(content[:200_000]), &blobHook{
		r: bytes.NewReader(content[200_000:]),
		before: func() {
			looked = true
			if _, err := b.Open(t.Context(), name); !errors.Is(err, notary.ErrNotFound) {
				t.Errorf("Open of an object half put: %v, want ErrNotFound", err)
			}
			if names := blobList(t, b, time.Now().Add(time.Hour)); len(names) != 0 {
				t.Errorf("List names an object half put: %v", names)
			}
		},
	})
	if n, err := b.Put(t.Context(), name, r); err != nil || n != int64(len(content)) {
		t.Fatalf("Put = %d, %v", n, err)
	}
	if !looked {
		t.Fatal("the reader was not read to its end")
	}
	blobMustHold(t, b, name, content)
}

func blobsOddReaders(t *testing.T, h BlobsHarness) {
	b, content := h.New(t), blobContent(3000)
	for kind, wrap := range map[string]func(io.Reader) io.Reader{
		"one byte at a time":  iotest.OneByteReader,
		"half of each":        iotest.HalfReader,
		"data beside the EOF": iotest.DataErrReader,
		"empty reads between": func(r io.Reader) io.Reader { return &blobStutter{r: r} },
	} {
		name := blobName(t)
		if n, err := b.Put(t.Context(), name, wrap(bytes.NewReader(content))); err != nil || n != int64(len(content)) {
			t.Errorf("%s: Put = %d, %v", kind, n, err)
			continue
		}
		blobMustHold(t, b, name, content)
	}
}

func blobsReadAt(t *testing.T, h BlobsHarness) {
	b, name, content := h.New(t), blobName(t), blobContent(10_000)
	blobMustPut(t, b, name, content)
	o, err := b.Open(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		off  int64
		len  int
		want int
	}{
		{0, 1, 1}, {0, 10_000, 10_000}, {9_999, 1, 1}, {5_000, 0, 0}, {1, 9_999, 9_999},
		{0, 10_001, 10_000}, {9_999, 2, 1}, {10_000, 1, 0}, {10_001, 1, 0}, {1 << 40, 7, 0},
	} {
		p := make([]byte, c.len)
		n, err := o.ReadAt(p, c.off)
		if n != c.want {
			t.Errorf("ReadAt(%d bytes, %d) = %d bytes, want %d", c.len, c.off, n, c.want)
			continue
		}
		// io.ReaderAt: fewer than asked is never without an error, here io.EOF; a
		// full read that ends at the end may say io.EOF or nothing.
		if n < c.len && !errors.Is(err, io.EOF) || n == c.len && err != nil && (!errors.Is(err, io.EOF) || c.off+int64(n) < 10_000) {
			t.Errorf("ReadAt(%d bytes, %d): error %v", c.len, c.off, err)
		}
		if n > 0 && !bytes.Equal(p[:n], content[c.off:c.off+int64(n)]) {
			t.Errorf("ReadAt(%d bytes, %d) gave other bytes", c.len, c.off)
		}
	}
	if n, err := o.ReadAt(make([]byte, 1), -1); n != 0 || err == nil || errors.Is(err, io.EOF) {
		t.Errorf("ReadAt before the start = %d, %v", n, err)
	}
	if err := iotest.TestReader(io.NewSectionReader(o, 0, o.Size()), content); err != nil {
		t.Error(err)
	}
	if err := o.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if _, err := o.ReadAt(make([]byte, 1), 0); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("ReadAt after Close: %v", err)
	}
}

func blobsLarge(t *testing.T, h BlobsHarness) {
	b, name, content := h.New(t), blobName(t), blobContent(20<<20)
	// Only Read is offered, so that no driver can measure or rewind the stream.
	n, err := b.Put(t.Context(), name, struct{ io.Reader }{bytes.NewReader(content)})
	if err != nil || n != int64(len(content)) {
		t.Fatalf("Put = %d, %v", n, err)
	}
	o, err := b.Open(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	if o.Size() != int64(len(content)) {
		t.Fatalf("Size = %d, want %d", o.Size(), len(content))
	}
	const readers = 8
	var wg sync.WaitGroup
	for i := range readers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(i), 7))
			part := len(content) / readers
			got := make([]byte, part)
			if _, err := o.ReadAt(got, int64(i*part)); err != nil && !errors.Is(err, io.EOF) || !bytes.Equal(got, content[i*part:(i+1)*part]) {
				t.Errorf("reader %d: the part at %d differs, %v", i, i*part, err)
			}
			for range 20 {
				off, size := rng.IntN(len(content)-5000), 1+rng.IntN(5000)
				if _, err := o.ReadAt(got[:size], int64(off)); err != nil && !errors.Is(err, io.EOF) || !bytes.Equal(got[:size], content[off:off+size]) {
					t.Errorf("reader %d: %d bytes at %d differ, %v", i, size, off, err)
				}
			}
		})
	}
	wg.Wait()
}

// blobsManySmall is more objects than one page of an S3 listing, put by 500 at a time.
func blobsManySmall(t *testing.T, h BlobsHarness) {
	b := h.New(t)
	const workers, objects = 500, 1_100
	var tenants [3]string
	for i := range tenants {
		tenants[i], _, _ = strings.Cut(blobName(t), "/")
	}
	names := make([]string, objects)
	for i := range names {
		_, id, _ := strings.Cut(blobName(t), "/")
		names[i] = tenants[i%len(tenants)] + "/" + id
	}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < objects; i += workers {
				content := fmt.Appendf(nil, "document %d", i)
				if n, err := b.Put(t.Context(), names[i], bytes.NewReader(content)); err != nil || n != int64(len(content)) {
					t.Errorf("Put %d = %d, %v", i, n, err)
				}
			}
		})
	}
	wg.Wait()
	listed := map[string]int{}
	for _, name := range blobList(t, b, time.Now().Add(time.Hour)) {
		listed[name]++
	}
	for i, name := range names {
		if listed[name] != 1 {
			t.Errorf("List named object %d %d times", i, listed[name])
		}
		blobMustHold(t, b, name, fmt.Appendf(nil, "document %d", i))
	}
	if len(listed) != objects {
		t.Errorf("List named %d objects, %d were put", len(listed), objects)
	}
}

func blobsListBefore(t *testing.T, h BlobsHarness) {
	b := h.New(t)
	epoch := time.Now().Add(-h.Resolution)
	if names := blobList(t, b, time.Now().Add(time.Hour)); len(names) != 0 {
		t.Errorf("an empty store lists %v", names)
	}
	// The id's own time says nothing of when the object was stored: names made
	// early or with a clock ahead are listed by the store's time alone.
	early, late, ahead := blobName(t), blobName(t), blobNameAt(t, time.Now().Add(48*time.Hour))
	blobMustPut(t, b, ahead, []byte("1"))
	blobMustPut(t, b, early, []byte("2"))
	time.Sleep(h.Resolution)
	between := time.Now()
	time.Sleep(h.Resolution)
	blobMustPut(t, b, late, []byte("3"))
	for _, c := range []struct {
		before time.Time
		want   []string
	}{
		{epoch, nil},
		{between, []string{ahead, early}},
		{time.Now().Add(time.Hour), []string{ahead, early, late}},
	} {
		got := blobList(t, b, c.before)
		want := map[string]bool{}
		for _, name := range c.want {
			want[name] = true
		}
		for _, name := range got {
			if !want[name] {
				t.Errorf("List(%v) names %s, once too often or too early", c.before, name)
			}
			delete(want, name)
		}
		for name := range want {
			t.Errorf("List(%v) does not name %s", c.before, name)
		}
	}
}

func blobsProbe(t *testing.T, h BlobsHarness) {
	b := h.New(t)
	for range 3 {
		if err := b.Probe(t.Context()); err != nil {
			t.Errorf("Probe: %v", err)
		}
	}
	if names := blobList(t, b, time.Now().Add(time.Hour)); len(names) != 0 {
		t.Errorf("probes left %v", names)
	}
	done, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Probe(done); !errors.Is(err, context.Canceled) {
		t.Errorf("Probe under a cancelled context: %v, want context.Canceled", err)
	}
}

func blobsListStops(t *testing.T, h BlobsHarness) {
	b := h.New(t)
	for range 5 {
		blobMustPut(t, b, blobName(t), []byte("x"))
	}
	calls, enough := 0, errors.New("enough")
	err := b.List(t.Context(), time.Now().Add(time.Hour), func(string) error {
		calls++
		if calls == 2 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || calls != 2 {
		t.Errorf("List = %v after %d calls, want fn's own error after 2", err, calls)
	}
	// The sweep of orphans deletes what List names while it lists.
	err = b.List(t.Context(), time.Now().Add(time.Hour), func(name string) error { return b.Delete(t.Context(), name) })
	if err != nil {
		t.Errorf("List that deletes: %v", err)
	}
	if names := blobList(t, b, time.Now().Add(time.Hour)); len(names) != 0 {
		t.Errorf("after deleting all that List named, it names %v", names)
	}
}

func blobsDelete(t *testing.T, h BlobsHarness) {
	b := h.New(t)
	name, kept := blobName(t), blobName(t)
	if err := b.Delete(t.Context(), name); err != nil {
		t.Errorf("Delete of what was never there: %v", err)
	}
	blobMustPut(t, b, name, []byte("to be erased"))
	blobMustPut(t, b, kept, []byte("kept"))
	for range 2 {
		if err := b.Delete(t.Context(), name); err != nil {
			t.Errorf("Delete: %v", err)
		}
		blobMustNotHold(t, b, name)
	}
	blobMustHold(t, b, kept, []byte("kept"))
}

// blobsHold: a hold can be put on and lifted, again and again, and then nothing keeps the
// object. That a hold keeps is for the driver to show that can.
func blobsHold(t *testing.T, h BlobsHarness) {
	b := h.New(t)
	name, missing := blobName(t), blobName(t)
	blobMustPut(t, b, name, []byte("held"))
	for _, on := range []bool{false, true, true, false, false, true, false} {
		if err := b.Hold(t.Context(), name, on); err != nil {
			t.Errorf("Hold %v: %v", on, err)
		}
	}
	blobMustHold(t, b, name, []byte("held"))
	if err := b.Hold(t.Context(), missing, true); err != nil && !errors.Is(err, notary.ErrNotFound) {
		t.Errorf("Hold of what is missing: %v, want ErrNotFound, or nil where nothing holds", err)
	}
	blobMustNotHold(t, b, missing)
	done, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Hold(done, name, true); !errors.Is(err, context.Canceled) {
		t.Errorf("Hold under a cancelled context: %v, want context.Canceled", err)
	}
	if err := b.Delete(t.Context(), name); err != nil {
		t.Errorf("Delete of what is held no more: %v", err)
	}
	blobMustNotHold(t, b, name)
}

// blobsRetain: whatever the store was configured to do, and how often it is asked, what is
// retained stays as it was put and what is not can be swept. That retention keeps is for
// the driver to show that can.
func blobsRetain(t *testing.T, h BlobsHarness) {
	b := h.New(t)
	kept, orphan, missing := blobName(t), blobName(t), blobName(t)
	blobMustPut(t, b, kept, []byte("kept"))
	blobMustPut(t, b, orphan, []byte("orphan"))
	for _, since := range []time.Time{time.Now(), time.Now(), time.Now().Add(-time.Hour), time.Now().Add(time.Hour)} {
		if err := b.Retain(t.Context(), kept, since, time.Time{}); err != nil {
			t.Errorf("Retain since %v: %v", since, err)
		}
	}
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			if err := b.Retain(t.Context(), kept, time.Now().Add(time.Duration(i)*time.Minute), time.Time{}); err != nil {
				t.Errorf("Retain beside others: %v", err)
			}
		})
	}
	wg.Wait()
	blobMustHold(t, b, kept, []byte("kept"))
	if names := blobList(t, b, time.Now().Add(time.Hour)); len(names) != 2 {
		t.Errorf("after Retain, List = %q", names)
	}
	if _, err := b.Put(t.Context(), kept, strings.NewReader("other")); !errors.Is(err, notary.ErrExists) {
		t.Errorf("Put of a retained name: %v, want ErrExists", err)
	}
	if err := b.Retain(t.Context(), missing, time.Now(), time.Time{}); err != nil && !errors.Is(err, notary.ErrNotFound) {
		t.Errorf("Retain of what is missing: %v, want ErrNotFound, or nil where nothing retains", err)
	}
	blobMustNotHold(t, b, missing)
	done, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Retain(done, orphan, time.Now(), time.Time{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Retain under a cancelled context: %v, want context.Canceled", err)
	}
	if err := b.Delete(t.Context(), orphan); err != nil {
		t.Errorf("Delete of what is not retained: %v", err)
	}
	blobMustNotHold(t, b, orphan)
}

func blobsTenantsApart(t *testing.T, h BlobsHarness) {
	b := h.New(t)
	_, id, _ := strings.Cut(blobName(t), "/")
	one, _, _ := strings.Cut(blobName(t), "/")
	two, _, _ := strings.Cut(blobName(t), "/")
	blobMustPut(t, b, one+"/"+id, []byte("of one"))
	blobMustNotHold(t, b, two+"/"+id)
	blobMustPut(t, b, two+"/"+id, []byte("of two"))
	if err := b.Delete(t.Context(), one+"/"+id); err != nil {
		t.Fatal(err)
	}
	blobMustNotHold(t, b, one+"/"+id)
	blobMustHold(t, b, two+"/"+id, []byte("of two"))
}

func blobsHostileNames(t *testing.T, h BlobsHarness) {
	b := h.New(t)
	good := blobName(t)
	tenant, id, _ := strings.Cut(good, "/")
	blobMustPut(t, b, good, []byte("good"))
	for _, name := range []string{
		"", "/", ".", "..", "//", tenant, tenant + "/", "/" + id, "/" + good, good + "/", good + "/" + id, tenant + "//" + id,
		"../" + good, tenant + "/../" + good, tenant + "/..", "./" + good, tenant + "/" + id + "/.", tenant + "/" + id[:8] + "/" + id,
		strings.ToUpper(good), tenant + "/" + strings.ToUpper(id), strings.ReplaceAll(good, "-", ""), strings.ReplaceAll(good, "-", "_"),
		"{" + tenant + "}/" + id, "urn:uuid:" + tenant + "/" + id, good + "\x00", good + "\n", " " + good, good + " ", tenant + "\\" + id,
		tenant + "%2f" + id, good[:len(good)-1], good + "0", good[:len(good)-1] + "g", good[:len(good)-1] + "\u0660",
		"../../../../etc/passwd", "/etc/passwd", "tmp/" + id, tenant + "/tmp", "anchor", strings.Repeat("a/", 5000),
	} {
		if _, err := b.Put(t.Context(), name, strings.NewReader("hostile")); err == nil {
			t.Errorf("Put accepted the name %q", name)
		}
		if o, err := b.Open(t.Context(), name); err == nil {
			o.Close()
			t.Errorf("Open accepted the name %q", name)
		}
		if err := b.Delete(t.Context(), name); err == nil {
			t.Errorf("Delete accepted the name %q", name)
		}
		if err := b.Retain(t.Context(), name, time.Now(), time.Time{}); err == nil {
			t.Errorf("Retain accepted the name %q", name)
		}
	}
	blobMustHold(t, b, good, []byte("good"))
	if names := blobList(t, b, time.Now().Add(time.Hour)); len(names) != 1 || names[0] != good {
		t.Errorf("List = %q, want only %q", names, good)
	}
}

// blobName returns a name as the notary makes them: a tenant and a fresh UUIDv7.
func blobName(t testing.TB) string { return blobNameAt(t, time.Now()) }

func blobNameAt(t testing.TB, at time.Time) string {
	t.Helper()
	rng := blobRandom{}
	tenant, err := notary.NewID(at, rng)
	if err != nil {
		t.Fatal(err)
	}
	id, err := notary.NewID(at, rng)
	if err != nil {
		t.Fatal(err)
	}
	return tenant.String() + "/" + id.String()
}

type blobRandom struct{}

func (blobRandom) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(rand.Uint32())
	}
	return len(p), nil
}

// blobContent returns size bytes that differ from those of every other size.
func blobContent(size int) []byte {
	p := make([]byte, size)
	var seed [32]byte
	seed[0], seed[1], seed[2], seed[3] = byte(size), byte(size>>8), byte(size>>16), byte(size>>24)
	_, _ = rand.NewChaCha8(seed).Read(p) // never fails
	return p
}

func blobMustPut(t testing.TB, b notary.Blobs, name string, content []byte) {
	t.Helper()
	if n, err := b.Put(t.Context(), name, bytes.NewReader(content)); err != nil || n != int64(len(content)) {
		t.Fatalf("Put of %d bytes = %d, %v", len(content), n, err)
	}
}

func blobMustHold(t testing.TB, b notary.Blobs, name string, content []byte) {
	t.Helper()
	o, err := b.Open(t.Context(), name)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	defer o.Close()
	if o.Size() != int64(len(content)) {
		t.Fatalf("Size = %d, want %d", o.Size(), len(content))
	}
	got, err := io.ReadAll(io.NewSectionReader(o, 0, o.Size()+1))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, content) {
		t.Fatalf("the object of %d bytes reads back other than it was put", len(content))
	}
}

func blobMustNotHold(t testing.TB, b notary.Blobs, name string) {
	t.Helper()
	if o, err := b.Open(t.Context(), name); !errors.Is(err, notary.ErrNotFound) {
		if err == nil {
			o.Close()
		}
		t.Fatalf("Open: %v, want ErrNotFound", err)
	}
	for _, listed := range blobList(t, b, time.Now().Add(time.Hour)) {
		if listed == name {
			t.Fatal("List names what Open does not find")
		}
	}
}

func blobList(t testing.TB, b notary.Blobs, before time.Time) []string {
	t.Helper()
	var names []string
	err := b.List(t.Context(), before, func(name string) error {
		names = append(names, name)
		return nil
	})
	if err != nil {
		t.Fatalf("List: %v", err)
	}
	return names
}

// blobHook calls before ahead of its first read.
type blobHook struct {
	r      io.Reader
	before func()
	called bool
}

func (h *blobHook) Read(p []byte) (int, error) {
	if !h.called {
		h.called = true
		h.before()
	}
	return h.r.Read(p)
}

// blobStutter answers each other Read with nothing at all, as io.Reader allows.
type blobStutter struct {
	r     io.Reader
	empty bool
}

func (s *blobStutter) Read(p []byte) (int, error) {
	s.empty = !s.empty
	if s.empty {
		return 0, nil
	}
	return s.r.Read(p)
}

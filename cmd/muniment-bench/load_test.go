package main

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/muniment/muniment/proofs"
)

func TestLoansAreTheSameEachTime(t *testing.T) {
	one, two, other := newLoans(7, 0.2), newLoans(7, 0.2), newLoans(8, 0.2)
	contracts := map[string]int{}
	for n := range uint64(2000) {
		a := one.appendRecord(nil, n, true)
		if !bytes.Equal(a, two.appendRecord(nil, n, true)) || bytes.Equal(a, other.appendRecord(nil, n, true)) {
			t.Fatalf("loan %d does not hang on its seed", n)
		}
		claims, err := one.claims(n, true)
		if err != nil || len(claims) != 9 {
			t.Fatalf("%s: %v", a, err)
		}
		for _, m := range claims {
			if kind, known := proofs.NameType(m.Name); !known || !kind.Holds(m.Value) {
				t.Fatalf("%s is not of its type: %s", m.Name, m.Value.JSON())
			}
		}
		number, _ := claims.Get("contract.number")
		contracts[number.JSON()]++
	}
	if repeated := 2000 - len(contracts); repeated < 300 || repeated > 500 {
		t.Errorf("%d of 2,000 loans belong to the contract of another, not about a fifth", repeated)
	}
	doc := one.appendDocument([]byte("before"), 3, paperSize+100)
	if len(doc) != 6+paperSize+100 || !bytes.Equal(doc, two.appendDocument([]byte("before"), 3, paperSize+100)) ||
		bytes.Equal(doc[6:1006], one.appendDocument(nil, 4, 1000)) {
		t.Error("a document does not hang on seed and number")
	}
}

func TestMix(t *testing.T) {
	m, err := parseMix("single=8,read=2")
	if err != nil || m != (mix{single: 8, read: 2}) || m.String() != "single=8,read=2" {
		t.Fatal(m, err)
	}
	var counts [kinds]int
	w := &workload{loans: newLoans(1, 0), lines: 10, known: [][16]byte{{1}, {2}}}
	for range 10_000 {
		counts[w.task(m).kind]++
	}
	if counts[single] < 7700 || counts[single] > 8300 || counts[single]+counts[read] != 10_000 {
		t.Errorf("%v of the kinds, not 8,000 and 2,000", counts)
	}
	for _, bad := range []string{"", "nothing", "single,single", "single=0", "single=x", "single=1,,read=1", "read=-1"} {
		if _, err := parseMix(bad); err == nil {
			t.Errorf("%q is taken for a mix", bad)
		}
	}
}

func TestSpoolGivesBackWhatItGot(t *testing.T) {
	s, err := newSpool(t.TempDir(), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	for range 2 { // it can be used again
		d := drawer{spool: s, room: 100}
		var want, got []frame
		for n := range 50 {
			f := frame{task{kind: kind(n % kinds), lines: n + 1, first: uint64(n) << 33}, bytes.Repeat([]byte{byte(n)}, n*7)}
			want = append(want, f)
			if err := d.keep(f.task, f.body); err != nil {
				t.Fatal(err)
			}
		}
		if err := d.flush(); err != nil {
			t.Fatal(err)
		}
		if err := s.each(func(f frame) error { got = append(got, f); return nil }); err != nil {
			t.Fatal(err)
		}
		if !slices.EqualFunc(want, got, func(a, b frame) bool { return a.task == b.task && bytes.Equal(a.body, b.body) }) {
			t.Fatalf("%d frames went in and others came out, %d of them", len(want), len(got))
		}
	}
	d := drawer{spool: s, room: 100}
	if err := d.keep(task{}, make([]byte, 1<<20)); !errors.Is(err, errSpool) {
		t.Errorf("a spool over its bound: %v", err)
	}
}

// drivenBy is a driver against a handler that stands for a depository.
func drivenBy(t *testing.T, h http.HandlerFunc) *driver {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return &driver{
		workload: &workload{loans: newLoans(1, 0), lines: 10, key: "k", host: "h", run: "r"},
		addrs:    []string{s.Listener.Addr().String()}, observe: func() sample { return sample{} },
	}
}

func created(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	w.WriteHeader(http.StatusCreated)
}

// TestOpenLoopFeelsAStall: a server that stands still for a while must be seen to, not
// in the one answer that was under way alone but in all that were due meanwhile.
func TestOpenLoopFeelsAStall(t *testing.T) {
	const stall = 600 * time.Millisecond
	var n atomic.Int64
	d := drivenBy(t, func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) == 100 {
			time.Sleep(stall)
		}
		created(w, r)
	})
	got, err := d.drive(t.Context(), load{mix: mix{single: 1}, clients: 1, rate: 200, duration: 2 * time.Second, step: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	all := got.total()
	if all.requests < 200 {
		t.Fatalf("%d requests in two seconds at 200 a second", all.requests)
	}
	// 120 requests were due in the stall; the latest of them waited hardly at all, the
	// first of them for all of it.
	late := int64(0)
	for _, bar := range all.latency.Distribution() {
		if bar.From > (stall / 3).Microseconds() {
			late += bar.Count
		}
	}
	if late < 60 || all.latency.Max() < (stall-20*time.Millisecond).Microseconds() {
		t.Errorf("%d requests waited for over a third of the stall of %v, and the longest for %d µs", late, stall, all.latency.Max())
	}
}

func TestClosedLoopMeasuresItsWindowAlone(t *testing.T) {
	var n atomic.Int64
	d := drivenBy(t, func(w http.ResponseWriter, r *http.Request) {
		n.Add(1)
		time.Sleep(10 * time.Millisecond)
		created(w, r)
	})
	got, err := d.drive(t.Context(), load{mix: mix{single: 1}, clients: 4, warmup: 300 * time.Millisecond, duration: time.Hour, count: 100, step: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	all := got.total()
	if all.requests < 100 || all.requests > 104 || n.Load() < all.requests+50 {
		t.Errorf("%d requests measured of %d, not 100 after a warm-up of over 50", all.requests, n.Load())
	}
	if p50 := all.latency.ValueAtQuantile(50); p50 < 10_000 || p50 > 100_000 {
		t.Errorf("a server that takes 10 ms is said to take %d µs", p50)
	}
	if rate := float64(all.requests) / got.elapsed.Seconds(); rate > 400 {
		t.Errorf("4 clients of 10 ms make %.0f a second", rate)
	}
}

// TestLongRequestsAreMeasured: a load whose requests take longer than its time is given
// more, and one that has reached its count is not.
func TestLongRequestsAreMeasured(t *testing.T) {
	d := drivenBy(t, func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(60 * time.Millisecond)
		created(w, r)
	})
	l := load{mix: mix{batch: 1}, clients: 1, duration: 100 * time.Millisecond, step: time.Second}
	got, err := d.drive(t.Context(), l)
	if all := got.total(); err != nil || all.requests < fewest || all.deposits != 10*all.requests || got.elapsed < 500*time.Millisecond {
		t.Errorf("%d requests in %v: %v", all.requests, got.elapsed, err)
	}
	l.count, l.duration = 20, time.Hour
	got, err = d.drive(t.Context(), l)
	if all := got.total(); err != nil || all.deposits != 20 {
		t.Errorf("%d deposits, not 20: %v", all.deposits, err)
	}
}

func TestRefusalsEndALoad(t *testing.T) {
	var n atomic.Int64
	unwilling := func(header string) *driver {
		return drivenBy(t, func(w http.ResponseWriter, r *http.Request) {
			if n.Add(1)%10 == 0 {
				io.Copy(io.Discard, r.Body)
				w.Header().Set(header, "1")
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			created(w, r)
		})
	}
	l := load{mix: mix{single: 1}, clients: 4, duration: 300 * time.Millisecond, step: time.Second}
	if _, err := unwilling("Retry-After").drive(t.Context(), l); !errors.Is(err, errRefused) {
		t.Errorf("a refusal is no failure: %v", err)
	}
	l.overload = true
	got, err := unwilling("Retry-After").drive(t.Context(), l)
	if all := got.total(); err != nil || all.refused == 0 || all.refused > all.requests/5 {
		t.Errorf("under overload: %v, %d refused of %d", err, all.refused, all.requests)
	}
	if _, err := unwilling("X-Other").drive(t.Context(), l); !errors.Is(err, errRefused) {
		t.Errorf("a 503 without Retry-After is no failure: %v", err)
	}
}

func TestPlot(t *testing.T) {
	r := newReport(1, t.TempDir())
	for size := uint64(10_000); size <= 10_000_000; size *= 10 {
		r.Steps = append(r.Steps, step{Size: size, Rate: 15_000 - float64(size)/10_000, P50: 12.5, P99: 44.25})
	}
	r.Rows = []*row{{Mix: "single<&", Clients: 256}}
	points, what := r.points()
	svg := r.draw(points, what)
	for _, want := range []string{"single&lt;&amp;", ">10,000</text>", ">10 M</text>", ">p50</text>", ">p99</text>", "entries in the log"} {
		if !strings.Contains(svg, want) {
			t.Errorf("the plot has no %s", want)
		}
	}
	if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") || strings.Contains(svg, "<script") {
		t.Error("the plot has what no plot has")
	}
	if a := linearAxis(14_700); a.high != 16_000 && a.high != 15_000 || len(a.ticks) < 4 {
		t.Errorf("an axis up to 14,700: %+v", a)
	}
}

func TestCommandLineShowsNoKey(t *testing.T) {
	line := commandLine([]string{"x", "run", "--api-key", "mnt_secret", "--api-key=mnt_secret", "--mix", "read"})
	if strings.Contains(line, "secret") || !strings.HasSuffix(line, "--mix read") {
		t.Error(line)
	}
}

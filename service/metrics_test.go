package service

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// scrape reads /metrics as Prometheus does, once the page of before is out of date.
func (h *house) scrape(t testing.TB) map[string]*dto.MetricFamily {
	t.Helper()
	time.Sleep(scrapeAge)
	a := h.do(t, "GET", "/metrics", nil, "Authorization", "")
	if a.StatusCode != 200 || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/plain; version=0.0.4") || a.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("/metrics: %d %v", a.StatusCode, a.Header)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(a.body))
	must(t, err)
	return families
}

// value is that of the one series whose labels have these values, in the order of the
// labels' names; 0 if there is none.
func value(f *dto.MetricFamily, labels ...string) float64 {
	for _, m := range f.GetMetric() {
		var got []string
		for _, l := range m.Label {
			got = append(got, l.GetValue())
		}
		if slices.Equal(got, labels) {
			return m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return 0
}

// TestMetrics sends known requests and reads of just those.
func TestMetrics(t *testing.T) {
	h := newHouse(t)
	body := digestOnly("")
	d, _ := h.postJSON(t, body).deposit(t, h, 201)
	h.postJSON(t, digestOnly(`,"evil":1`)).problem(t, invalidRecord)
	h.do(t, "GET", "/v1/deposits/"+d.Id, nil).deposit(t, h, 200)
	h.do(t, "HEAD", "/v1/deposits/"+d.Id, nil)
	h.do(t, "GET", "/v1/deposits", nil, "Authorization", "Bearer x").problem(t, unauthorized)
	h.do(t, "GET", "/nothing", nil).problem(t, notFound)
	h.do(t, "FROB", "/healthz", nil).problem(t, methodNotAllowed)
	h.do(t, "GET", "/log/tile/0/000.p/2", nil)
	got := h.scrape(t)
	for _, want := range []struct {
		name   string
		labels []string // code, method, route
		value  float64
	}{
		{"muniment_http_requests_total", []string{"2xx", "POST", "/v1/deposits"}, 1},
		{"muniment_http_requests_total", []string{"4xx", "POST", "/v1/deposits"}, 1},
		{"muniment_http_requests_total", []string{"2xx", "GET", "/v1/deposits/{id}"}, 1},
		{"muniment_http_requests_total", []string{"2xx", "HEAD", "/v1/deposits/{id}"}, 1},
		{"muniment_http_requests_total", []string{"2xx", "GET", "/log/tile/*"}, 1},
		{"muniment_http_request_duration_seconds", []string{"/v1/deposits"}, 2},
		{"muniment_http_request_duration_seconds", []string{"/v1/deposits/{id}"}, 2},
		{"muniment_http_problems_total", []string{"unauthorized"}, 1},
		{"muniment_http_problems_total", []string{"invalid-record"}, 1},
		{"muniment_http_problems_total", []string{"not-found"}, 1},
		{"muniment_http_problems_total", []string{"method-not-allowed"}, 1},
		{"muniment_http_requests_in_flight", nil, 1}, // this one
		{"muniment_http_request_body_bytes_total", nil, float64(len(body) + len(digestOnly(`,"evil":1`)))},
		{"muniment_ready", nil, 1},
	} {
		if v := value(got[want.name], want.labels...); v != want.value {
			t.Errorf("%s%v is %v, want %v", want.name, want.labels, v, want.value)
		}
	}
	if v := value(got["muniment_http_response_body_bytes_total"]); v < 2000 {
		t.Errorf("%v bytes of answers", v)
	}
	var all float64
	for _, m := range got["muniment_http_requests_total"].GetMetric() {
		all += m.Counter.GetValue()
	}
	if all != 8 {
		t.Errorf("%v requests counted, of 8", all)
	}
}

// TestMetricsPageIsBounded: a page is not made anew for everyone who asks.
func TestMetricsPageIsBounded(t *testing.T) {
	made := 0
	r := prometheus.NewRegistry()
	r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "made"}, func() float64 { made++; return 0 }))
	m := newMetrics(r)
	for range 1000 {
		if _, err := m.render(); err != nil {
			t.Fatal(err)
		}
	}
	if made > 2 {
		t.Errorf("1,000 readers within a moment had %d pages made", made)
	}
}

// TestHostileRequestsMakeNoSeries is I24: whatever strangers send, there are the same
// series afterwards, and no word of theirs in one, nor in the log.
func TestHostileRequestsMakeNoSeries(t *testing.T) {
	h := newHouse(t)
	handler := h.handler
	random := rand.New(rand.NewPCG(24, 24))
	paths, closed := closedSets(t)
	attack := func(times int) {
		for range times {
			handler.ServeHTTP(httptest.NewRecorder(), hostile(random, paths, h.depositor))
		}
	}
	attack(40_000) // every answer that strangers can have has been given by then
	before := h.scrape(t)
	attack(100_000)
	after := h.scrape(t)
	if b, a := series(before), series(after); len(a) != len(b) {
		for name := range a {
			if !b[name] {
				t.Errorf("a new series: %s", name)
			}
		}
	}
	for name := range series(after) {
		if strings.Contains(strings.ToLower(name), evil) {
			t.Errorf("a stranger's words: %s", name)
		}
	}
	if log := strings.ToLower(h.log.String()); strings.Contains(log, evil) {
		t.Error("a stranger's words in the log")
	}
	families := make([]*dto.MetricFamily, 0, len(after))
	for _, f := range after {
		families = append(families, f)
		for _, m := range f.Metric {
			for _, l := range m.Label {
				if !closed(l.GetName(), l.GetValue()) {
					t.Errorf("%s: the label %s has the value %q", f.GetName(), l.GetName(), l.GetValue())
				}
			}
		}
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
	var answered float64
	for _, m := range after["muniment_http_requests_total"].GetMetric() {
		answered += m.Counter.GetValue()
	}
	if answered < 120_000 {
		t.Errorf("%v requests were counted", answered)
	}
	t.Logf("%d series after %v requests", len(series(after)), answered)
}

// closedSets reads from openapi.yaml which paths and problems there are, and returns
// the paths, and what tells whether a label's value is one of ours.
func closedSets(t *testing.T) (paths []string, closed func(label, value string) bool) {
	spec, err := os.ReadFile("../openapi.yaml")
	must(t, err)
	all := func(pattern string) (found []string) {
		for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(spec), -1) {
			found = append(found, m[1])
		}
		if len(found) < 10 {
			t.Fatalf("%s is found %d times", pattern, len(found))
		}
		return found
	}
	paths = all(`(?m)^  (/\S+):$`)
	problems := all("\\| `/problems/([a-z-]+)` \\|")
	return paths, func(label, value string) bool {
		switch label {
		case "method":
			return slices.Contains(methods[:], value)
		case "code":
			return slices.Contains(classes[:], value)
		case "problem":
			return slices.Contains(problems, value)
		case "route": // one that spans segments stands for several paths
			prefix, spans := strings.CutSuffix(value, "*")
			return value == noRoute || slices.ContainsFunc(paths, func(path string) bool {
				return path == value || spans && strings.HasPrefix(path, prefix)
			})
		}
		return false
	}
}

// evil is in everything that a stranger chooses.
const evil = "evil"

// hostile is a request of a stranger: any method, path, query, header and body, often
// near to what is there.
func hostile(random *rand.Rand, paths []string, key string) *http.Request {
	pick := func(of ...string) string { return of[random.IntN(len(of))] }
	word := func() string {
		b := make([]byte, random.IntN(24))
		for i := range b {
			b[i] = byte(random.IntN(256))
		}
		return pick(evil, evil+string(b), string(b)+evil, fmt.Sprintf("%s%d", evil, random.Uint64()), "{id}"+evil, "*"+evil, evil+`"} 1`, evil+"\n"+evil+"{x=\"y\"} 1")
	}
	r := httptest.NewRequest("GET", "/", strings.NewReader(word()))
	r.Method = pick("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "EVIL", fmt.Sprintf("EVIL%d", random.Uint64()), "get")
	r.URL.Path = pick("/", "/v1/", "/v1/deposits", "/v1/deposits/", "/v1/deposits/"+word()+"/", "/log/", "/log/tile/", "/log/records/", "/healthz", "/readyz", "/metrics", "/metrics/", "//", "")
	if random.IntN(2) == 0 {
		r.URL.Path = regexp.MustCompile(`\{\w+\}`).ReplaceAllStringFunc(pick(paths...), func(string) string { return word() })
	} else if random.IntN(4) > 0 {
		r.URL.Path += pick(word(), word()+"/receipt", word()+"/document", word()+"/"+word())
	}
	if random.IntN(3) == 0 {
		r.URL.RawPath = strings.ReplaceAll(r.URL.EscapedPath(), "e", "%65")
	}
	r.URL.RawQuery = pick("", word(), "limit="+word(), "cursor="+word(), "sha256="+word()+"&"+word())
	r.Host = word()
	for _, name := range []string{"User-Agent", "Idempotency-Key", "Content-Type", "X-Request-Id", "Accept", "X-Forwarded-For", "Content-Encoding", "Range", "If-None-Match", word()} {
		if random.IntN(2) == 0 {
			r.Header[name] = []string{word()}
		}
	}
	switch random.IntN(3) {
	case 0:
		r.Header.Set("Authorization", "Bearer "+key)
	case 1:
		r.Header.Set("Authorization", word())
	}
	return r
}

// series are the names of all series, with their labels.
func series(families map[string]*dto.MetricFamily) map[string]bool {
	all := map[string]bool{}
	for name, f := range families {
		for _, m := range f.Metric {
			one := name
			for _, l := range m.Label {
				one += fmt.Sprintf("{%s=%q}", l.GetName(), l.GetValue())
			}
			all[one] = true
		}
	}
	return all
}

// BenchmarkMeasure is what measuring adds to one request.
func BenchmarkMeasure(b *testing.B) {
	m := newMetrics(prometheus.NewRegistry())
	r := chi.NewRouter()
	r.Get("/v1/deposits/{id}", func(_ http.ResponseWriter, r *http.Request) {
		x := &exchange{status: 200, bytes: 2000, read: 300}
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				m.inFlight.Inc()
				m.answered(r, x, time.Now())
			}
		})
	})
	m.know(r)
	r.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/v1/deposits/x", nil))
}

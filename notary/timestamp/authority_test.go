package timestamp

import (
	"context"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/proofs/rfc3161"
	"github.com/muniment/muniment/proofs/rfc3161/rfc3161test"
)

const year = 365 * 24 * time.Hour

var note = []byte("log.example/test/1\n1\nTU4VM0q/jPcMmkB9IIA+vsvGafWdIApKJG0BGbGJjIw=\n\n— log.example/test/1 AAAAAAAA\n")

func trusted(t *testing.T, a *rfc3161test.Authority) *rfc3161.Authorities {
	t.Helper()
	roots, err := rfc3161.ParseRoots(rfc3161test.RootsPEM(a))
	if err != nil {
		t.Fatal(err)
	}
	return rfc3161.NewAuthorities(roots)
}

func at(t *testing.T, url string, trusted *rfc3161.Authorities, policy string) *Authority {
	t.Helper()
	a, err := New(url, trusted, policy)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func TestAsk(t *testing.T) {
	a := rfc3161test.New("Time Authority", time.Now, 10*year, 5*year)
	url := serve(t, a)
	for _, policy := range []string{"", "1.3.6.1.4.1.99999.7"} {
		client := at(t, url+"/tsr", trusted(t, a), policy)
		if want := strings.TrimPrefix(url, "http://") + "/tsr"; client.Name() != want {
			t.Errorf("named %s, not %s", client.Name(), want)
		}
		token, err := client.Timestamp(t.Context(), note)
		if err != nil {
			t.Fatal(err)
		}
		stamp, outcome, _ := trusted(t, a).CheckTimestamp(token, note)
		if outcome != proofs.Verified || policy != "" && stamp.Policy != policy {
			t.Errorf("%v %+v", outcome, stamp)
		}
	}
}

// TestBadAuthorities: each answer that is no time-stamp over this note, asked for now, is an
// error in bounded time, and the error repeats nothing of it.
func TestBadAuthorities(t *testing.T) {
	a := rfc3161test.New("Time Authority", time.Now, 10*year, 5*year)
	other := rfc3161test.New("Time Authority", time.Now, 10*year, 5*year)
	reply := func(body []byte, more ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/timestamp-reply")
			for i := 0; i+1 < len(more); i += 2 {
				w.Header().Set(more[i], more[i+1])
			}
			_, _ = w.Write(body)
		}
	}
	good := serve(t, a)
	stale, err := at(t, good, trusted(t, a), "").exchange(t.Context(), mustQuery(t))
	if err != nil {
		t.Fatal(err)
	}
	release := make(chan struct{})
	defer close(release)
	for what, h := range map[string]http.Handler{
		"another authority":     other,
		"an answer of before":   reply(stale),
		"a refusal":             reply(rfc3161test.Refusal()),
		"a page":                reply([]byte("<html>SECRET</html>")),
		"a page that says so":   reply(stale, "Content-Type", "text/html"),
		"too much":              reply(make([]byte, rfc3161.MaxResponse+1)),
		"an error":              http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "SECRET", 500) }),
		"somebody else":         http.RedirectHandler(good, http.StatusTemporaryRedirect),
		"an answer broken off":  reply(stale[:100], "Content-Length", "5000"),
		"no answer within time": http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }),
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		token, err := at(t, serve(t, h), trusted(t, a), "").Timestamp(ctx, note)
		cancel()
		if err == nil || token != nil || strings.Contains(err.Error(), "SECRET") || strings.Contains(err.Error(), "127.0.0.1") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := at(t, "http://127.0.0.1:1/", trusted(t, a), "").Timestamp(t.Context(), note); err == nil {
		t.Error("nobody there, and no error")
	}
	for _, url := range []string{"", "x", "ftp://host/", "http://", "http://user:pw@host/", "http://host/#a", "http://host/?key=secret", "http://host\n/"} {
		if _, err := New(url, trusted(t, a), ""); err == nil {
			t.Errorf("%q is an authority", url)
		}
	}
	if _, err := New(good, trusted(t, a), "1"); err == nil {
		t.Error("a policy that is no OID is taken")
	}
}

func mustQuery(t *testing.T) []byte {
	t.Helper()
	q := rfc3161.Query{Message: note, Nonce: big.NewInt(4711)}
	body, err := q.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return body
}

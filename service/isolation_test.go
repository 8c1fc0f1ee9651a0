package service

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/service/api"
)

// house of two tenants, and what each has: nothing of the one may ever be told to the other.
type lender struct {
	name        string // stands in every value that it deposits
	keys        []string
	ids         []string
	idempotency []string
	contracts   []string
	digests     []string
	labels      []string
	cursors     []string
	webhooks    []string
	used        map[string]bool   // idempotency keys
	found       map[string]string // what a deposit of the model is: id to digest
}

// TestTenantsApart makes random programs of operations of two tenants, each with every id,
// idempotency key, cursor, contract number, digest and label of both, and holds every answer
// against a model: each finds all of its own, nothing of the other's appears anywhere, and
// what is the other's is answered as what never was (I22).
func TestTenantsApart(t *testing.T) {
	steps := 2_500
	if os.Getenv("MUNIMENT_TORTURE") != "" {
		steps = 100_000
	}
	h := newHouse(t)
	lenders := []*lender{{name: "alpha"}, {name: "omega"}}
	for _, l := range lenders {
		l.found, l.used = map[string]string{}, map[string]bool{}
		id := h.tenant(t, l.name+" bank")
		l.keys = []string{h.key(t, id, notary.Depositor), h.key(t, id, notary.Compliance), h.key(t, id, notary.Compliance)}
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 22))
	for step := range steps {
		me := lenders[random.IntN(2)]
		other := lenders[0]
		if me == other {
			other = lenders[1]
		}
		s := &stranger{t: t, h: h, me: me, other: other, random: random, step: step}
		s.act()
		if t.Failed() {
			t.Fatalf("seed %d, step %d", seed, step)
		}
	}
	for _, l := range lenders {
		if len(l.found) < steps/50 {
			t.Errorf("%s has %d deposits only: the test tries less than it should", l.name, len(l.found))
		}
	}
}

// stranger is one step of one tenant.
type stranger struct {
	t         *testing.T
	h         *house
	me, other *lender
	random    *rand.Rand
	step      int
}

// either picks from what both have; mine is whether it is this tenant's own.
func (s *stranger) either(of func(*lender) []string) (value string, mine bool) {
	from, mine := s.me, true
	if s.random.IntN(2) == 0 {
		from, mine = s.other, false
	}
	all := of(from)
	if len(all) == 0 {
		return "", false
	}
	return all[s.random.IntN(len(all))], mine
}

// ask sends a request and makes sure that nothing of the other tenant is in the answer, but
// for what the request itself said.
func (s *stranger) ask(method, path, body string, headers ...string) answer {
	s.t.Helper()
	key := s.me.keys[s.random.IntN(len(s.me.keys))]
	if method == http.MethodPost && !strings.Contains(path, "/hold") {
		key = s.me.keys[0]
	}
	if strings.Contains(path, "/hold") {
		key = s.me.keys[1]
	}
	headers = append(headers, "Authorization", "Bearer "+key)
	if body != "" {
		headers = append(headers, "Content-Type", "application/json")
	}
	a := s.h.do(s.t, method, path, strings.NewReader(body), headers...)
	answered := string(a.body)
	for name, values := range a.Header {
		answered += name + strings.Join(values, "")
	}
	if strings.Contains(answered, s.other.name) {
		s.t.Errorf("%s %s %s: the answer names the other tenant: %s", method, path, body, answered)
	}
	for _, id := range anyID.FindAllString(answered, -1) {
		if s.other.found[id] != "" || slices.Contains(s.other.webhooks, id) {
			s.t.Errorf("%s %s: the answer holds another's id: %s", method, path, answered)
		}
	}
	return a
}

// unknown demands that an answer is that to what never was, to the byte.
func (s *stranger) unknown(a answer, method, path, body string, headers ...string) {
	s.t.Helper()
	never := s.ask(method, path, body, headers...)
	drop := func(h http.Header) http.Header {
		h = h.Clone()
		for _, name := range []string{"X-Request-Id", "Date"} {
			h.Del(name)
		}
		return h
	}
	if a.StatusCode != never.StatusCode || string(a.body) != string(never.body) || fmt.Sprint(drop(a.Header)) != fmt.Sprint(drop(never.Header)) {
		s.t.Errorf("%s %s: another's is answered %d %s %v, what never was %d %s %v", method, path, a.StatusCode, a.body, a.Header, never.StatusCode, never.body, never.Header)
	}
}

var anyID = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

const neverWas = "01936f5e-4a00-7c3e-8d2a-5b6f7a8c9d0e"

func (s *stranger) act() {
	switch s.random.IntN(9) {
	case 0, 1:
		s.deposit()
	case 2:
		s.replay()
	case 3, 4:
		s.read()
	case 5, 6:
		s.search()
	case 7:
		s.hold()
	case 8:
		s.webhook()
	}
}

func (s *stranger) deposit() {
	key := fmt.Sprintf("key-%d", s.random.IntN(1+s.step/3)) // both tenants use the same
	if s.me.used[key] {
		return
	}
	s.me.used[key] = true
	digest := fmt.Sprintf("%064x", s.random.Uint64())
	if d, _ := s.either(func(l *lender) []string { return l.digests }); d != "" && s.random.IntN(3) == 0 {
		digest = d // the same document
	}
	contract, label := fmt.Sprintf("%s/%d", s.me.name, s.random.IntN(5)), fmt.Sprintf("%s-%d", s.me.name, s.random.IntN(3))
	made := decoded[api.Deposit](s.t, s.ask("POST", "/v1/deposits", fmt.Sprintf(`{"record":{"content.sha256":%q,"contract.number":%q,"label.desk":%q}}`, digest, contract, label), "Idempotency-Key", key), 201)
	s.me.ids, s.me.idempotency, s.me.digests = append(s.me.ids, made.Id), append(s.me.idempotency, key), append(s.me.digests, digest)
	s.me.contracts, s.me.labels, s.me.found[made.Id] = append(s.me.contracts, contract), append(s.me.labels, label), digest
	s.me.cursors = append(s.me.cursors, fmt.Sprint(made.Index))
}

// replay: another's idempotency key is nobody's.
func (s *stranger) replay() {
	key, mine := s.either(func(l *lender) []string { return l.idempotency })
	if key == "" || mine || s.me.used[key] {
		return
	}
	s.me.used[key] = true
	made := decoded[api.Deposit](s.t, s.ask("POST", "/v1/deposits", `{"record":{"content.sha256":"`+helloSHA256+`"}}`, "Idempotency-Key", key), 201)
	s.me.ids, s.me.idempotency, s.me.found[made.Id] = append(s.me.ids, made.Id), append(s.me.idempotency, key), helloSHA256
}

func (s *stranger) read() {
	id, mine := s.either(func(l *lender) []string { return l.ids })
	if id == "" {
		return
	}
	part := []string{"", "/receipt", "/document", "/evidence", "/notices", "/receipt?hide=id"}[s.random.IntN(6)]
	a := s.ask("GET", "/v1/deposits/"+id+part, "")
	if !mine {
		s.unknown(a, "GET", "/v1/deposits/"+neverWas+part, "")
		return
	}
	if want := map[string]int{"/document": 404, "/evidence": 404}[part]; want == 0 && a.StatusCode != 200 || want != 0 && a.StatusCode != want {
		s.t.Errorf("own %s%s: %d %s", id, part, a.StatusCode, a.body)
	}
}

func (s *stranger) search() {
	var query string
	count := -1
	digest, _ := s.either(func(l *lender) []string { return l.digests })
	contract, mine := s.either(func(l *lender) []string { return l.contracts })
	label, _ := s.either(func(l *lender) []string { return l.labels })
	cursor, _ := s.either(func(l *lender) []string { return l.cursors })
	switch s.random.IntN(5) {
	case 0:
		query, count = "limit=1000&sha256="+digest, 0
		for _, d := range s.me.found {
			if d == digest {
				count++
			}
		}
	case 1:
		query = "limit=1000&contract=" + url.QueryEscape(contract)
	case 2:
		query = "label=" + url.QueryEscape("desk:"+label)
	case 3:
		query = "limit=3&cursor=" + cursor
	case 4:
		if contract == "" {
			return
		}
		path := "/v1/cases/" + url.PathEscape(contract)
		if a := s.ask("GET", path, ""); !mine {
			s.unknown(a, "GET", "/v1/cases/never%2Fwas", "")
		}
		return
	}
	if strings.HasSuffix(query, "=") || strings.HasSuffix(query, "%3A") {
		return
	}
	list := decoded[api.DepositList](s.t, s.ask("GET", "/v1/deposits?"+query, ""), 200)
	for _, d := range list.Deposits {
		if s.me.found[d.Id] == "" {
			s.t.Errorf("%s lists %s, which is not its own", query, d.Id)
		}
	}
	if count >= 0 && count < 1000 && len(list.Deposits) != count {
		s.t.Errorf("%s lists %d, want %d", query, len(list.Deposits), count)
	}
}

func (s *stranger) hold() {
	id, mine := s.either(func(l *lender) []string { return l.ids })
	if id == "" {
		return
	}
	body := fmt.Sprintf(`{"matter":"%s-%d","reason":"r"}`, s.me.name, s.random.IntN(4))
	key := []string{"Idempotency-Key", fmt.Sprint("hold-", s.step)}
	a := s.ask("POST", "/v1/deposits/"+id+"/hold", body, key...)
	if !mine {
		s.unknown(a, "POST", "/v1/deposits/"+neverWas+"/hold", body, key...)
	} else if a.StatusCode != 201 {
		s.t.Errorf("hold of its own: %d %s", a.StatusCode, a.body)
	}
}

func (s *stranger) webhook() {
	id, mine := s.either(func(l *lender) []string { return l.webhooks })
	if id == "" || s.random.IntN(3) == 0 && len(s.me.webhooks) < 5 {
		made := decoded[api.Webhook](s.t, s.ask("POST", "/v1/webhooks", `{"url":"https://`+s.me.name+`.example/hook"}`), 201)
		s.me.webhooks = append(s.me.webhooks, made.Id)
		return
	}
	a := s.ask("GET", "/v1/webhooks/"+id, "")
	if !mine {
		s.unknown(a, "GET", "/v1/webhooks/"+neverWas, "")
	}
	var list api.WebhookList
	if err := json.Unmarshal(s.ask("GET", "/v1/webhooks", "").body, &list); err != nil || len(list.Webhooks) != len(s.me.webhooks) {
		s.t.Errorf("%d webhooks listed of %d, %v", len(list.Webhooks), len(s.me.webhooks), err)
	}
}

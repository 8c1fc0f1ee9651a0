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
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/service/api"
	"github.com/muniment/muniment/service/auth"
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
	held        int               // notices

	id         notary.ID
	keyIDs     []string
	supervisor string            // a key of an auditor of this tenant alone
	of         map[string]string // the contract number of a deposit
	grants     []string
	opened     map[string]*opening // by the grant's id
	links      []string            // and that of each
}

// opening is a grant of the model.
type opening struct {
	contract, court string // the court's key; empty: a link
	link            string
	revoked         bool
}

// opens reports whether a case of the tenant is open to a court, or by a link.
func (l *lender) opens(contract, court, link string) bool {
	for _, o := range l.opened {
		if !o.revoked && o.contract == contract && o.court == court && o.link == link {
			return true
		}
	}
	return false
}

// TestTenantsApart makes random programs of operations of two tenants, each with every id,
// idempotency key, cursor, contract number, digest and label of both, and holds every answer
// against a model: each finds all of its own, nothing of the other's appears anywhere, and
// what is the other's is answered as what never was (I22). So is it for those who look at
// them from outside: an auditor of each, courts to which each opens cases, bearers of links,
// and an operator, who reads nothing.
func TestTenantsApart(t *testing.T) {
	steps := 2_500
	if os.Getenv("MUNIMENT_TORTURE") != "" {
		steps = 100_000
	}
	h := newHouse(t)
	lenders := []*lender{{name: "alpha"}, {name: "omega"}}
	for _, l := range lenders {
		l.found, l.used = map[string]string{}, map[string]bool{}
		l.of, l.opened = map[string]string{}, map[string]*opening{}
		l.id = h.tenant(t, l.name+" bank")
		l.keys = []string{h.key(t, l.id, notary.Depositor), h.key(t, l.id, notary.Compliance), h.key(t, l.id, notary.Compliance)}
		for _, k := range l.keys {
			l.keyIDs = append(l.keyIDs, notary.APIKey{Hash: auth.Hash(k)}.Caller())
		}
		l.supervisor = h.supervisor(t, l.id)
	}
	outside := &outsiders{operator: h.operator(t), did: map[string]int{}}
	for range 2 {
		id := h.tenant(t, "court")
		outside.courts = append(outside.courts, h.key(t, id, notary.Court))
		outside.ids = append(outside.ids, id.String())
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
		s := &stranger{t: t, h: h, me: me, other: other, random: random, step: step, outside: outside}
		s.act()
		if t.Failed() {
			t.Fatalf("seed %d, step %d", seed, step)
		}
	}
	for _, l := range lenders {
		if len(l.found) < steps/50 {
			t.Errorf("%s has %d deposits only: the test tries less than it should", l.name, len(l.found))
		}
		if len(l.grants) < 20 || len(l.links) < 5 {
			t.Errorf("%s made %d grants, %d of them links: the test tries less than it should", l.name, len(l.grants), len(l.links))
		}
	}
	for what, least := range map[string]int{"read": 100, "refused": 100} {
		if outside.did[what] < least {
			t.Errorf("those outside %s %d times only", what, outside.did[what])
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
	outside   *outsiders
}

// outsiders are those who look at tenants that are not their own.
type outsiders struct {
	courts, ids []string // keys of two courts, and their ids
	operator    string
	did         map[string]int // how often they read, and how often they could not
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
	if method == http.MethodPost {
		key = s.me.keys[0]
	}
	if strings.Contains(path, "/hold") || strings.Contains(path, "/grants") || strings.Contains(path, "/keys") {
		key = s.me.keys[1]
	}
	return s.askAs(key, method, path, body, headers...)
}

// askAs is ask by whoever has the key, or the link.
func (s *stranger) askAs(key, method, path, body string, headers ...string) answer {
	s.t.Helper()
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
		if s.other.found[id] != "" || slices.Contains(s.other.webhooks, id) || s.other.opened[id] != nil {
			s.t.Errorf("%s %s: the answer holds another's id: %s", method, path, answered)
		}
	}
	return a
}

// unknown demands that an answer is that to what never was, to the byte.
func (s *stranger) unknown(a answer, method, path, body string, headers ...string) {
	s.t.Helper()
	s.same(a, s.ask(method, path, body, headers...), method+" "+path)
}

// same demands that two answers are the same to the byte.
func (s *stranger) same(a, never answer, what string) {
	s.t.Helper()
	drop := func(h http.Header) http.Header {
		h = h.Clone()
		for _, name := range []string{"X-Request-Id", "Date"} {
			h.Del(name)
		}
		return h
	}
	if a.StatusCode != never.StatusCode || string(a.body) != string(never.body) || fmt.Sprint(drop(a.Header)) != fmt.Sprint(drop(never.Header)) {
		s.t.Errorf("%s: another's is answered %d %s %v, what never was %d %s %v", what, a.StatusCode, a.body, a.Header, never.StatusCode, never.body, never.Header)
	}
}

var anyID = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

const neverWas = "01936f5e-4a00-7c3e-8d2a-5b6f7a8c9d0e"

func (s *stranger) act() {
	switch s.random.IntN(20) {
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
	case 9, 10:
		s.grant()
	case 11:
		s.revoke()
	case 12, 13:
		s.supervise()
	case 14, 15:
		s.judge()
	case 16:
		s.operate()
	case 17:
		s.keyring()
	case 18, 19:
		s.notices()
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
	s.me.cursors, s.me.of[made.Id] = append(s.me.cursors, fmt.Sprint(made.Index)), contract
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
	switch s.random.IntN(6) {
	case 5: // all that this tenant's only depositor made, and of the other's nothing
		query, count = "order=desc&limit=1000&depositor="+url.QueryEscape(s.depositor(s.me)), len(s.me.found)
		if s.random.IntN(2) == 0 {
			query, count = "depositor="+url.QueryEscape(s.depositor(s.other)), 0
		}
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

// depositor is what the records of a tenant's deposits call who made them.
func (s *stranger) depositor(of *lender) string {
	return notary.APIKey{Hash: auth.Hash(of.keys[0])}.Caller()
}

// notices: each lists its own, and an auditor those of its tenant.
func (s *stranger) notices() {
	query := []string{"", "&act=hold", "&state=open", "&act=hold&state=open", "&order=desc"}[s.random.IntN(5)]
	list := decoded[api.NoticeList](s.t, s.ask("GET", "/v1/notices?limit=1000"+query, ""), 200)
	for _, n := range list.Notices {
		if s.me.found[n.Deposit] == "" || !strings.HasPrefix(n.Matter, s.me.name) {
			s.t.Errorf("%s lists the notice of %s under %s, which is not its own", query, n.Deposit, n.Matter)
		}
	}
	if len(list.Notices) != min(s.me.held, 1000) {
		s.t.Errorf("%s lists %d of %d notices", query, len(list.Notices), s.me.held)
	}
	at, there := s.somewhere()
	s.looks(s.me.supervisor, there, "/v1/notices?tenant="+at+query, "/v1/notices?tenant="+neverWas+query)
	court := s.askAs(s.outside.courts[0], "GET", "/v1/notices?tenant="+at+query, "")
	if court.StatusCode != 403 && court.StatusCode != 404 {
		s.t.Errorf("a court lists notices: %d %s", court.StatusCode, court.body)
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
	} else if s.me.held++; a.StatusCode != 201 {
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

// grant opens a case of its own, to one of the courts or by a link, and cannot open another's.
func (s *stranger) grant() {
	contract, mine := s.either(func(l *lender) []string { return l.contracts })
	if contract == "" {
		return
	}
	o, to := &opening{contract: contract}, `"link":true`
	if i := s.random.IntN(3); i < 2 {
		o.court, to = s.outside.courts[i], fmt.Sprintf(`"to":%q`, s.outside.ids[i])
	}
	count := 0
	for _, other := range s.me.opened {
		if other.contract == contract {
			count++
		}
	}
	if count >= 60 {
		return
	}
	body := `{` + to + `,"until":"` + in(240*time.Hour) + `","reason":"` + s.me.name + `"}`
	key := []string{"Idempotency-Key", fmt.Sprint("grant-", s.step)}
	a := s.ask("POST", "/v1/cases/"+url.PathEscape(contract)+"/grants", body, key...)
	if !mine {
		s.unknown(a, "POST", "/v1/cases/never%2Fwas/grants", body, key...)
		return
	}
	made := decoded[api.GrantAnswer](s.t, a, 201)
	o.link = made.Link
	s.me.grants, s.me.opened[made.Grant.Id] = append(s.me.grants, made.Grant.Id), o
	if o.link != "" {
		s.me.links = append(s.me.links, o.link)
	}
}

// revoke ends a grant of its own, and finds no other.
func (s *stranger) revoke() {
	id, mine := s.either(func(l *lender) []string { return l.grants })
	if id == "" {
		return
	}
	method := []string{"DELETE", "GET"}[s.random.IntN(2)]
	a := s.ask(method, "/v1/grants/"+id, "")
	if !mine {
		s.unknown(a, method, "/v1/grants/"+neverWas, "")
		return
	}
	if a.StatusCode != 200 {
		s.t.Errorf("%s of a grant of its own: %d %s", method, a.StatusCode, a.body)
	}
	s.me.opened[id].revoked = s.me.opened[id].revoked || method == "DELETE"
}

// looks sends a read of an outsider, and demands that it is answered, or answered as what
// never was at a tenant that never was.
func (s *stranger) looks(key string, may bool, path, never string) {
	a := s.askAs(key, "GET", path, "")
	if may {
		s.outside.did["read"]++
		if a.StatusCode != 200 {
			s.t.Errorf("GET %s: %d %s", path, a.StatusCode, a.body)
		}
		return
	}
	s.outside.did["refused"]++
	s.same(a, s.askAs(key, "GET", never, ""), "GET "+path)
}

// somewhere is one of the two tenants, or one that never was.
func (s *stranger) somewhere() (id string, mine bool) {
	switch s.random.IntN(4) {
	case 0:
		return s.other.id.String(), false
	case 1:
		return neverWas, false
	}
	return s.me.id.String(), true
}

// supervise reads as the auditor of this tenant alone.
func (s *stranger) supervise() {
	at, there := s.somewhere()
	id, mine := s.either(func(l *lender) []string { return l.ids })
	contract, minesCase := s.either(func(l *lender) []string { return l.contracts })
	digest, _ := s.either(func(l *lender) []string { return l.digests })
	if id == "" || contract == "" || digest == "" {
		return
	}
	part := []string{"", "/receipt", "/notices"}[s.random.IntN(3)]
	switch s.random.IntN(4) {
	case 0, 1:
		s.looks(s.me.supervisor, mine && there, "/v1/deposits/"+id+part+"?tenant="+at, "/v1/deposits/"+neverWas+part+"?tenant="+neverWas)
	case 2:
		s.looks(s.me.supervisor, minesCase && there, "/v1/cases/"+url.PathEscape(contract)+"?tenant="+at, "/v1/cases/never%2Fwas?tenant="+neverWas)
	case 3:
		s.looks(s.me.supervisor, there, "/v1/deposits?limit=1000&sha256="+digest+"&tenant="+at, "/v1/deposits?tenant="+neverWas)
	}
}

// judge reads as one of the courts, or by a link, at one of the tenants.
func (s *stranger) judge() {
	at, there := s.somewhere()
	if at == s.other.id.String() { // courts look at both
		s.me, s.other, there = s.other, s.me, true
	}
	var key, court, link string
	if i := s.random.IntN(3); i < 2 {
		key, court = s.outside.courts[i], s.outside.courts[i]
	} else if link, _ = s.either(func(l *lender) []string { return l.links }); link != "" {
		key = link
	}
	id, mine := s.either(func(l *lender) []string { return l.ids })
	contract, minesCase := s.either(func(l *lender) []string { return l.contracts })
	if key == "" || id == "" || contract == "" {
		return
	}
	path, never, may := "/v1/deposits/"+id, "/v1/deposits/"+neverWas, mine && there && s.me.opens(s.me.of[id], court, link)
	if s.random.IntN(2) == 0 {
		path, never, may = "/v1/cases/"+url.PathEscape(contract), "/v1/cases/never%2Fwas", minesCase && there && s.me.opens(contract, court, link)
	}
	if s.random.IntN(4) == 0 && link == "" { // the same in other words
		path, never = "/v1/grants/"+neverWas, "/v1/grants/"+neverWas
		may = false
		if g, mine := s.either(func(l *lender) []string { return l.grants }); g != "" {
			o := s.me.opened[g]
			path, may = "/v1/grants/"+g, mine && there && o.court == court && !o.revoked
		}
	}
	if s.random.IntN(4) == 0 { // or looks for it
		path, never, may = "/v1/deposits?contract="+url.QueryEscape(contract), "/v1/deposits?contract=never", minesCase && there && s.me.opens(contract, court, link)
		nowhere := neverWas
		if link != "" { // it is of one tenant, and at another it finds not even nothing
			nowhere = at
		}
		s.looks(key, may, path+"&tenant="+at, never+"&tenant="+nowhere)
		return
	}
	s.looks(key, may, path+"?tenant="+at, never+"?tenant="+neverWas)
}

// operate: an operator reads nothing, whatever it is, and learns not even that.
func (s *stranger) operate() {
	id, _ := s.either(func(l *lender) []string { return l.ids })
	contract, _ := s.either(func(l *lender) []string { return l.contracts })
	grant, _ := s.either(func(l *lender) []string { return l.grants })
	at, _ := s.somewhere()
	paths := map[string]string{
		"/v1/deposits/" + id: "/v1/deposits/" + neverWas, "/v1/deposits/" + id + "/document": "/v1/deposits/" + neverWas + "/document",
		"/v1/deposits/" + id + "/receipt": "/v1/deposits/" + neverWas + "/receipt", "/v1/deposits/" + id + "/notices": "/v1/deposits/" + neverWas + "/notices",
		"/v1/cases/" + url.PathEscape(contract): "/v1/cases/never%2Fwas", "/v1/cases/" + url.PathEscape(contract) + "/grants": "/v1/cases/never%2Fwas/grants",
		"/v1/grants/" + grant: "/v1/grants/" + neverWas, "/v1/grants": "/v1/grants", "/v1/notices": "/v1/notices", "/v1/deposits": "/v1/deposits", "/v1/webhooks": "/v1/webhooks",
	}
	for path, never := range paths {
		if id == "" || contract == "" || grant == "" {
			return
		}
		a := s.askAs(s.outside.operator, "GET", path+"?tenant="+at, "")
		if a.StatusCode != 403 {
			s.t.Errorf("an operator reads %s: %d %s", path, a.StatusCode, a.body)
		}
		s.same(a, s.askAs(s.outside.operator, "GET", never+"?tenant="+neverWas, ""), path)
	}
}

// keyring: the keys of another are nobody's.
func (s *stranger) keyring() {
	id, mine := s.either(func(l *lender) []string { return l.keyIDs })
	a := s.ask("GET", "/v1/keys/"+id, "")
	if !mine {
		s.unknown(a, "GET", "/v1/keys/key:0000000000000000", "")
		s.unknown(s.ask("DELETE", "/v1/keys/"+id, ""), "DELETE", "/v1/keys/key:0000000000000000", "")
		s.unknown(s.ask("GET", "/v1/keys?tenant="+s.other.id.String(), ""), "GET", "/v1/keys?tenant="+neverWas, "")
	} else if a.StatusCode != 200 {
		s.t.Errorf("a key of its own: %d %s", a.StatusCode, a.body)
	}
}

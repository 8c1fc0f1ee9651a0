package service

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/notary/notarytest"
	"github.com/muniment/muniment/service/api"
)

// ordered sends an operator's order.
func (h *house) ordered(t *testing.T, path, body, key string, who []string) answer {
	t.Helper()
	return h.sendJSON(t, path, body, append([]string{"Idempotency-Key", key}, who...)...)
}

// TestTenantsOverHTTP: an operator takes tenants on, each once, with checked numbers, and
// nobody else learns of them but who supervises them.
func TestTenantsOverHTTP(t *testing.T) {
	var made []notary.ID
	var mu sync.Mutex
	var broken error
	h := newHouse(t, func(c *Config) {
		c.NewTenantKey = func(_ context.Context, id notary.ID) error {
			mu.Lock()
			defer mu.Unlock()
			if broken == nil {
				made = append(made, id)
			}
			return broken
		}
	})
	operator := bearer(h.operator(t))
	body := `{"name":"示例银行股份有限公司","registration":"91350100M000100Y43","verified":"business licence seen","verified_by":"onboarding"}`
	a := h.ordered(t, "/v1/tenants", body, "t1", operator)
	bank := decoded[api.Tenant](t, a, 201)
	if a.Header.Get("Location") != "/v1/tenants/"+bank.Id || len(made) != 1 || made[0].String() != bank.Id || bank.VerifiedBy != "onboarding" {
		t.Errorf("%+v, keys of %v", bank, made)
	}
	if again := decoded[api.Tenant](t, h.ordered(t, "/v1/tenants", body, "t1", bearer(h.operator(t))), 201); again != bank || len(made) != 1 {
		t.Errorf("a retry: %+v, keys of %v", again, made)
	}
	h.ordered(t, "/v1/tenants", `{"name":"Other"}`, "t1", operator).problem(t, idempotencyKeyReused)
	if got := decoded[api.Tenant](t, h.do(t, "GET", "/v1/tenants/"+bank.Id, nil, operator...), 200); got != bank {
		t.Errorf("%+v", got)
	}
	for bad, want := range map[string]*problem{
		`{}`: invalidAccount, `{"name":""}`: invalidAccount, `{"name":" x"}`: invalidAccount, `{"name":"x\u0007"}`: invalidAccount,
		`{"name":"x","registration":"91350100M000100Y44"}`: invalidAccount, `{"name":"x","verified":"v"}`: invalidAccount,
		`{"name":"` + strings.Repeat("x", 1001) + `"}`: invalidAccount, `{"name":7}`: malformedJSON, `{"name":null}`: malformedJSON, `{"name":"x","id":"y"}`: malformedJSON,
	} {
		h.ordered(t, "/v1/tenants", bad, "bad", operator).problem(t, want)
	}
	h.sendJSON(t, "/v1/tenants", body, operator...).problem(t, idempotencyKeyRequired)
	broken = errors.New("no room for a key")
	h.ordered(t, "/v1/tenants", `{"name":"Keyless"}`, "t2", operator).problem(t, unavailable)
	broken = nil
	decoded[api.Tenant](t, h.ordered(t, "/v1/tenants", `{"name":"Keyless"}`, "t2", operator), 201)

	// Many at once under one key make one.
	var group sync.WaitGroup
	ids := map[string]bool{}
	for range 20 {
		group.Go(func() {
			one := decoded[api.Tenant](t, h.ordered(t, "/v1/tenants", `{"name":"Raced"}`, "t3", operator), 201)
			mu.Lock()
			ids[one.Id] = true
			mu.Unlock()
		})
	}
	group.Wait()
	if len(ids) != 1 {
		t.Errorf("%d tenants under one key", len(ids))
	}

	// Page by page, each once, in order.
	var listed []string
	for cursor := ""; ; {
		page := decoded[api.TenantList](t, h.do(t, "GET", "/v1/tenants?limit=2"+cursor, nil, operator...), 200)
		for _, one := range page.Tenants {
			listed = append(listed, one.Id)
		}
		if page.Next == "" {
			break
		}
		cursor = "&cursor=" + page.Next
	}
	all, err := h.ledger.Tenants(t.Context())
	must(t, err)
	for i, one := range all {
		if len(listed) != len(all) || listed[i] != one.ID.String() {
			t.Fatalf("%v, want %v", listed, all)
		}
	}
	supervisor := bearer(h.supervisor(t, made[0]))
	if list := decoded[api.TenantList](t, h.do(t, "GET", "/v1/tenants", nil, supervisor...), 200); len(list.Tenants) != 1 || list.Tenants[0] != bank {
		t.Errorf("an auditor's: %+v", list)
	}
	h.do(t, "GET", "/v1/tenants/"+all[0].ID.String(), nil, supervisor...).problem(t, notFound)
	for _, key := range []string{h.depositor, h.reader, h.key(t, made[0], notary.Court)} {
		h.do(t, "GET", "/v1/tenants", nil, bearer(key)...).problem(t, forbidden)
		h.do(t, "GET", "/v1/tenants/"+bank.Id, nil, bearer(key)...).problem(t, forbidden)
		h.ordered(t, "/v1/tenants", body, "t1", bearer(key)).problem(t, forbidden)
	}
	h.ordered(t, "/v1/tenants", body, "t1", supervisor).problem(t, forbidden)
}

// TestKeysOverHTTP: a key is told once and is what it was asked to be; and one under whose
// role others' deposits are read or erased takes two operators, never one.
func TestKeysOverHTTP(t *testing.T) {
	h := newHouse(t)
	ann, bob := bearer(h.operator(t)), bearer(h.operator(t))
	lender := h.tenantOf(t, h.depositor)
	tenant := fmt.Sprintf(`"tenant":%q`, lender)
	works := func(text string) int {
		return h.do(t, "GET", "/v1/deposits?contract=x&tenant="+lender.String(), nil, bearer(text)...).StatusCode
	}

	a := h.ordered(t, "/v1/keys", `{`+tenant+`,"role":"depositor","name":"core banking"}`, "k1", ann)
	k := decoded[api.Key](t, a, 201)
	if works(k.ApiKey) != 200 || k.State != "valid" || k.Name != "core banking" || a.Header.Get("Location") != "/v1/keys/"+k.Id {
		t.Errorf("%+v", k)
	}
	again := decoded[api.Key](t, h.ordered(t, "/v1/keys", `{`+tenant+`,"role":"depositor","name":"core banking"}`, "k1", bob), 201)
	if again.ApiKey != "" || again.Id != k.Id {
		t.Errorf("a retry: %+v", again)
	}
	h.ordered(t, "/v1/keys", `{`+tenant+`,"role":"court","name":"core banking"}`, "k1", ann).problem(t, idempotencyKeyReused)
	if text := string(h.do(t, "GET", "/v1/keys/"+k.Id, nil, ann...).body) + string(h.do(t, "GET", "/v1/keys", nil, ann...).body); strings.Contains(text, k.ApiKey) || !strings.Contains(text, k.Id) {
		t.Error("a key is told twice")
	}

	for i, more := range []string{
		tenant + `,"role":"compliance"`, tenant + `,"role":"auditor","supervises":[` + fmt.Sprintf("%q", lender) + `]`, `"role":"operator"`,
	} {
		asked := decoded[api.Key](t, h.ordered(t, "/v1/keys", "{"+more+"}", fmt.Sprint("two", i), ann), 202)
		if status := works(asked.ApiKey); status != 401 || asked.State != "asked" || asked.AskedBy == "" {
			t.Errorf("%s by one: %d, %+v", more, status, asked)
		}
		path := "/v1/keys/" + asked.Id + "/confirmation"
		h.do(t, "POST", path, nil, ann...).problem(t, notConfirmable)
		for _, key := range []string{h.depositor, h.reader, k.ApiKey} {
			h.do(t, "POST", path, nil, bearer(key)...).problem(t, forbidden)
		}
		h.do(t, "POST", path, nil, bearer(asked.ApiKey)...).problem(t, unauthorized)
		if status := works(asked.ApiKey); status != 401 {
			t.Errorf("%s by one: %d", more, status)
		}
		done := decoded[api.Key](t, h.do(t, "POST", path, nil, bob...), 200)
		if done.State != "valid" || done.ConfirmedBy == "" || done.ConfirmedBy == done.AskedBy || done.ApiKey != "" {
			t.Errorf("%+v", done)
		}
		want := 200
		if done.Role == "operator" {
			want = 403
		}
		if status := works(asked.ApiKey); status != want {
			t.Errorf("%s by two: %d", more, status)
		}
		if again := decoded[api.Key](t, h.do(t, "POST", path, nil, bob...), 200); again.ConfirmedBy != done.ConfirmedBy {
			t.Errorf("confirmed again: %+v", again)
		}
	}
	h.do(t, "POST", "/v1/keys/"+k.Id+"/confirmation", nil, bob...).problem(t, notConfirmable)
	h.do(t, "POST", "/v1/keys/key:0000000000000000/confirmation", nil, bob...).problem(t, notFound)

	// Nobody confirms after 30 days; what nobody confirmed can be withdrawn.
	late := notary.APIKey{Hash: [32]byte{1}, Tenant: lender, Role: notary.Compliance, AskedBy: "key:gone", Created: time.Now().Add(-notary.AskedFor)}
	must(t, h.ledger.CreateAPIKey(t.Context(), late))
	h.do(t, "POST", "/v1/keys/"+late.Caller()+"/confirmation", nil, bob...).problem(t, notConfirmable)
	if got := decoded[api.Key](t, h.do(t, "GET", "/v1/keys/"+late.Caller(), nil, bob...), 200); got.State != "ended" {
		t.Errorf("%+v", got)
	}
	if a := h.do(t, "DELETE", "/v1/keys/"+late.Caller(), nil, bob...); a.StatusCode != http.StatusNoContent {
		t.Errorf("withdrawn: %d", a.StatusCode)
	}
	h.do(t, "DELETE", "/v1/keys/"+late.Caller(), nil, bob...).problem(t, notFound)

	for bad, want := range map[string]*problem{
		`{` + tenant + `}`: invalidAccount, `{"role":"depositor"}`: invalidAccount, `{` + tenant + `,"role":"operator"}`: invalidAccount,
		`{` + tenant + `,"role":"root"}`: invalidAccount, `{` + tenant + `,"role":"auditor"}`: invalidAccount,
		`{` + tenant + `,"role":"depositor","supervises":["` + lender.String() + `"]}`:  invalidAccount,
		`{` + tenant + `,"role":"auditor","supervises":["` + neverWas + `"]}`:           invalidAccount,
		`{"tenant":"` + neverWas + `","role":"depositor"}`:                              invalidAccount,
		`{"tenant":"00000000-0000-0000-0000-000000000000","role":"depositor"}`:          invalidAccount,
		`{` + tenant + `,"role":"depositor","name":"a\u0007"}`:                          invalidAccount,
		`{` + tenant + `,"role":"depositor","name":"` + strings.Repeat("n", 201) + `"}`: invalidAccount,
		`{` + tenant + `,"role":"depositor","expires":"soon"}`:                          invalidAccount,
		`{` + tenant + `,"role":"depositor","expires":"` + in(-time.Second) + `"}`:      invalidAccount,
		`{` + tenant + `,"role":"depositor","hash":"x"}`:                                malformedJSON,
		`{` + tenant + `,"role":"auditor","supervises":"` + lender.String() + `"}`:      malformedJSON,
	} {
		h.ordered(t, "/v1/keys", bad, "bad", ann).problem(t, want)
	}
	ends := decoded[api.Key](t, h.ordered(t, "/v1/keys", `{`+tenant+`,"role":"depositor","expires":"`+in(400*time.Millisecond)+`"}`, "k2", ann), 201)
	time.Sleep(500 * time.Millisecond)
	if got := decoded[api.Key](t, h.do(t, "GET", "/v1/keys/"+ends.Id, nil, ann...), 200); got.State != "ended" || works(ends.ApiKey) != 401 {
		t.Errorf("at its end: %+v", got)
	}

	// Compliance knows of its own tenant's keys, and takes them away; nothing else.
	own := decoded[api.KeyList](t, h.do(t, "GET", "/v1/keys", nil, bearer(h.reader)...), 200)
	for _, one := range own.Keys {
		if one.Tenant != lender.String() {
			t.Errorf("compliance is told of %+v", one)
		}
	}
	if filtered := decoded[api.KeyList](t, h.do(t, "GET", "/v1/keys?tenant="+lender.String(), nil, ann...), 200); len(filtered.Keys) != len(own.Keys) || len(own.Keys) < 5 {
		t.Errorf("%d and %d keys of one tenant", len(filtered.Keys), len(own.Keys))
	}
	theirs, err := h.ledger.APIKeys(t.Context())
	must(t, err)
	for _, one := range theirs {
		if one.Tenant != lender {
			never := h.do(t, "GET", "/v1/keys/key:0000000000000000", nil, bearer(h.reader)...)
			for _, method := range []string{"GET", "DELETE"} {
				if a := h.do(t, method, "/v1/keys/"+one.Caller(), nil, bearer(h.reader)...); a.StatusCode != 404 || string(a.body) != string(never.body) {
					t.Errorf("%s another's key: %d %s", method, a.StatusCode, a.body)
				}
			}
		}
	}
	h.ordered(t, "/v1/keys", `{`+tenant+`,"role":"depositor"}`, "k9", bearer(h.reader)).problem(t, forbidden)
	if a := h.do(t, "DELETE", "/v1/keys/"+k.Id, nil, bearer(h.reader)...); a.StatusCode != http.StatusNoContent {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	h.do(t, "GET", "/v1/keys", nil).problem(t, forbidden) // the depositor
	if s := h.log.String(); strings.Contains(s, "mnt_") || strings.Contains(s, "core banking") {
		t.Error("the log says what callers wrote")
	}
}

// TestKeyFaults: a key whose write fails in any way is made once by a retry, or not at all;
// and of two that confirm at once one does.
func TestKeyFaults(t *testing.T) {
	h := newHouse(t)
	ann, bob := bearer(h.operator(t)), bearer(h.operator(t))
	tenant := fmt.Sprintf(`"tenant":%q`, h.tenantOf(t, h.depositor))
	before, err := h.ledger.APIKeys(t.Context())
	must(t, err)
	for i, kind := range []notarytest.Kind{notarytest.Fails, notarytest.FailsYetPersisted} {
		h.ledger.Faults.Set(notarytest.Fault{Call: "CreateAPIKey", Nth: h.ledger.Faults.Calls()["CreateAPIKey"] + 1, Kind: kind})
		body, key := `{`+tenant+`,"role":"compliance"}`, fmt.Sprint("f", i)
		h.ordered(t, "/v1/keys", body, key, ann).problem(t, unavailable)
		k := decoded[api.Key](t, h.ordered(t, "/v1/keys", body, key, ann), 202)
		if (k.ApiKey == "") != (kind == notarytest.FailsYetPersisted) {
			t.Errorf("%v: %+v", kind, k)
		}
		var group sync.WaitGroup
		statuses := make([]int, 8)
		for j := range statuses {
			group.Go(func() { statuses[j] = h.do(t, "POST", "/v1/keys/"+k.Id+"/confirmation", nil, bob...).StatusCode })
		}
		group.Wait()
		for _, status := range statuses {
			if status != 200 && status != 409 {
				t.Errorf("confirmed at once: %v", statuses)
			}
		}
		if got := decoded[api.Key](t, h.do(t, "GET", "/v1/keys/"+k.Id, nil, bob...), 200); got.State != "valid" {
			t.Errorf("%+v", got)
		}
	}
	after, err := h.ledger.APIKeys(t.Context())
	must(t, err)
	if len(after) != len(before)+2 {
		t.Errorf("%d keys of two requests", len(after)-len(before))
	}
}

package auth

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/notary/notarytest"
)

func TestNewKey(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		text, hash := NewKey()
		if !strings.HasPrefix(text, "mnt_") || len(text) != 47 || seen[text] || hash != Hash(text) {
			t.Fatalf("key %q", text)
		}
		seen[text] = true
	}
}

func TestAuthenticate(t *testing.T) {
	ledger := notarytest.NewLedger(nil)
	keys := New(Config{Accounts: ledger})
	tenant := notary.Tenant{ID: notary.ID{1}, Name: "Bank"}
	text, hash := NewKey()
	ask := func() (notary.Principal, error) {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Authorization", "Bearer "+text)
		return keys.Authenticate(r)
	}
	if _, err := ask(); !errors.Is(err, ErrUnauthenticated) {
		t.Errorf("unknown key: %v", err)
	}
	must(t, ledger.CreateAPIKey(t.Context(), notary.APIKey{Hash: hash, Tenant: tenant.ID, Role: notary.Compliance}))
	if _, err := ask(); !errors.Is(err, notary.ErrUnavailable) {
		t.Errorf("key without its tenant: %v", err)
	}
	must(t, ledger.CreateTenant(t.Context(), tenant))
	ledger.Faults.Set(notarytest.Fault{Call: "APIKey", Nth: 3, Kind: notarytest.Fails})
	if _, err := ask(); !errors.Is(err, notary.ErrUnavailable) || errors.Is(err, ErrUnauthenticated) {
		t.Errorf("accounts that do not answer: %v", err)
	}
	for range 3 {
		if p, err := ask(); err != nil || !reflect.DeepEqual(p, notary.Principal{Tenant: tenant, Role: notary.Compliance, Caller: fmt.Sprintf("key:%x", hash[:8])}) {
			t.Errorf("%+v, %v", p, err)
		}
	}
	if n := ledger.Faults.Calls()["APIKey"]; n != 4 {
		t.Errorf("%d look-ups", n)
	}
}

// TestKeysEnd: a key that has expired, or was taken away, is no key, however well it was
// known; and a caller learns no difference.
func TestKeysEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ledger := notarytest.NewLedger(nil)
		keys := New(Config{Accounts: ledger})
		must(t, ledger.CreateTenant(t.Context(), notary.Tenant{ID: notary.ID{1}}))
		ends, hash := NewKey()
		must(t, ledger.CreateAPIKey(t.Context(), notary.APIKey{Hash: hash, Tenant: notary.ID{1}, Role: notary.Compliance, Expires: time.Now().Add(time.Hour)}))
		revoked, other := NewKey()
		must(t, ledger.CreateAPIKey(t.Context(), notary.APIKey{Hash: other, Tenant: notary.ID{1}, Role: notary.Compliance}))
		ask := func(text string) error {
			r := httptest.NewRequest("GET", "/", nil)
			r.Header.Set("Authorization", "Bearer "+text)
			_, err := keys.Authenticate(r)
			return err
		}
		time.Sleep(time.Hour - time.Second)
		if err := errors.Join(ask(ends), ask(revoked)); err != nil {
			t.Fatal(err)
		}
		must(t, ledger.DeleteAPIKey(t.Context(), other))
		time.Sleep(time.Second)
		if err := ask(ends); !errors.Is(err, ErrUnauthenticated) {
			t.Errorf("at its end: %v", err)
		}
		time.Sleep(cacheFor - time.Second)
		if err := ask(revoked); !errors.Is(err, ErrUnauthenticated) {
			t.Errorf("after it was taken away: %v", err)
		}
	})
}

// TestCacheIsBounded: strangers' keys take no room, and known ones little.
func TestCacheIsBounded(t *testing.T) {
	ledger := notarytest.NewLedger(nil)
	keys := New(Config{Accounts: ledger})
	must(t, ledger.CreateTenant(t.Context(), notary.Tenant{ID: notary.ID{1}}))
	for i := range 2 * cacheMax {
		text, hash := NewKey()
		if i%2 == 0 {
			must(t, ledger.CreateAPIKey(t.Context(), notary.APIKey{Hash: hash, Tenant: notary.ID{1}}))
		}
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Authorization", "Bearer "+text)
		_, _ = keys.Authenticate(r)
	}
	if n := len(keys.known); n > cacheMax {
		t.Errorf("%d keys kept", n)
	}
}

// TestBearer: one header, one spelling (I23).
func TestBearer(t *testing.T) {
	key, _ := NewKey()
	for header, want := range map[string]bool{
		"Bearer " + key: true, "bearer " + key: true, "BEARER " + key: true,
		"": false, "Bearer": false, key: false, "Bearer\t" + key: false, "Bearer  " + key: false, " Bearer " + key: false, "Bearer " + key + " ": false,
		"Basic " + key: false, "Bearer " + key[1:]: false, "Bearer " + key + "=": false, "Bearer " + key + "," + key: false,
		"Bearer MNT_" + key[4:]: false, "Bearer mnt_" + strings.Repeat("+", 43): false, "Bearer mnt_" + strings.Repeat("A", 42) + "B": false,
		"Bearer mnt_" + strings.Repeat("A", 21) + "\r\n" + strings.Repeat("A", 20): false,
		"Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.":                              false, "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0": false, "Bearer a.b.c.d": false, "Bearer a.b+.c": false,
		"Bearer " + strings.Repeat("a", maxToken) + ".b.c": false, "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.AA": true,
	} {
		if _, got := bearer(map[string][]string{"Authorization": {header}}); got != want {
			t.Errorf("%q: %v", header, got)
		}
	}
	for _, values := range [][]string{nil, {"Bearer " + key, "Bearer " + key}} {
		if _, got := bearer(map[string][]string{"Authorization": values}); got {
			t.Error(fmt.Sprint(len(values)) + " headers")
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestRolesOfKeys: a key brings what it is for: an auditor's the tenants that it supervises,
// an operator's no tenant; and one that waits to be confirmed is none.
func TestRolesOfKeys(t *testing.T) {
	ledger := notarytest.NewLedger(nil)
	keys := New(Config{Accounts: ledger})
	must(t, ledger.CreateTenant(t.Context(), notary.Tenant{ID: notary.ID{1}, Name: "Bank"}))
	ask := func(k notary.APIKey) (notary.Principal, error) {
		text, hash := NewKey()
		k.Hash = hash
		must(t, ledger.CreateAPIKey(t.Context(), k))
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Authorization", "Bearer "+text)
		p, err := keys.Authenticate(r)
		if _, known := keys.Known(r); known != (err == nil) {
			t.Errorf("%s: known %v, %v", k.Role, known, err)
		}
		return p, err
	}
	if p, err := ask(notary.APIKey{Tenant: notary.ID{1}, Role: notary.Auditor, Supervises: []notary.ID{{5}, {6}}}); err != nil || len(p.Supervises) != 2 || p.Supervises[1] != (notary.ID{6}) || p.At != (notary.ID{}) {
		t.Errorf("auditor: %+v, %v", p, err)
	}
	if p, err := ask(notary.APIKey{Role: notary.Operator}); err != nil || p.Role != notary.Operator || p.Tenant != (notary.Tenant{}) {
		t.Errorf("operator: %+v, %v", p, err)
	}
	if _, err := ask(notary.APIKey{Role: notary.Depositor}); !errors.Is(err, notary.ErrUnavailable) {
		t.Errorf("depositor of no tenant: %v", err)
	}
	for _, role := range notary.Roles {
		k := notary.APIKey{Tenant: notary.ID{1}, Role: role, AskedBy: "key:a"}
		if _, err := ask(k); errors.Is(err, ErrUnauthenticated) != role.TakesTwo() {
			t.Errorf("%s, asked for by one: %v", role, err)
		}
		k.ConfirmedBy = "key:b"
		if _, err := ask(k); err != nil {
			t.Errorf("%s, confirmed by another: %v", role, err)
		}
	}
}

// TestLinkText: one spelling a link, and none of a key's.
func TestLinkText(t *testing.T) {
	want := notary.Link{Tenant: notary.ID{1}, Grant: notary.ID{2}, Secret: [32]byte{3}}
	text := LinkText(want)
	key, _ := NewKey()
	for header, e := range map[string]struct{ good, borne bool }{
		"Bearer " + text: {true, true}, "bearer " + text: {true, true},
		"Bearer " + text + "=": {false, true}, "Bearer " + text[:len(text)-1]: {false, true}, "Bearer " + text[:len(text)-1] + "B": {false, true}, "Bearer mnl_": {false, true},
		"Bearer " + key: {}, "Basic " + text: {}, text: {}, "": {}, "Bearer MNL_" + text[4:]: {}, "Bearer  " + text: {},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Authorization", header)
		got, borne, err := Link(r)
		if borne != e.borne || (err == nil) != e.good || e.good && got != want {
			t.Errorf("%q: %+v, %v, %v", header, got, borne, err)
		}
	}
	twice := httptest.NewRequest("GET", "/", nil)
	twice.Header["Authorization"] = []string{"Bearer " + text, "Bearer " + text}
	if _, borne, err := Link(twice); borne || err == nil {
		t.Error("two headers")
	}
}

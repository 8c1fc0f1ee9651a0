package auth

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/notary/notarytest"
)

// believer is an authenticator that believes a provider for tenant 1, and one that believes
// another for tenant 2.
type believer struct {
	*Authenticator
	t      *testing.T
	p      *provider
	rsa    pair
	ledger *notarytest.Ledger
}

func newBeliever(t *testing.T) *believer {
	t.Helper()
	b := &believer{t: t, p: newProvider(t), rsa: rsaPair(t, 2048, "rsa", "RS256"), ledger: notarytest.NewLedger(nil)}
	b.p.set(b.rsa.public)
	for _, id := range []byte{1, 2} {
		must(t, b.ledger.CreateTenant(t.Context(), notary.Tenant{ID: notary.ID{id}, Name: fmt.Sprint("Bank ", id)}))
	}
	b.Authenticator = New(Config{Accounts: b.ledger, Issuers: []Issuer{b.issuer(b.p)}})
	return b
}

func (b *believer) issuer(p *provider) Issuer {
	return Issuer{
		URL: p.URL, Audience: "muniment", Tenant: notary.ID{1}, RoleClaim: "groups", MaxAge: time.Hour,
		Roles: map[string]notary.Role{"lending": notary.Depositor, "legal": notary.Compliance, "supervision": notary.Auditor}, Supervises: []notary.ID{{2}},
	}
}

func (b *believer) ask(text string) (notary.Principal, error) {
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Authorization", "Bearer "+text)
	return b.Authenticate(r)
}

// claimsWith are good claims, with some replaced; null takes one away.
func (b *believer) claimsWith(changes string) string {
	all := map[string]json.RawMessage{}
	good := fmt.Sprintf(`{"iss":%q,"aud":"muniment","sub":"ann","exp":%d,"iat":%d,"groups":["staff","lending"]}`, b.p.URL, time.Now().Add(10*time.Minute).Unix(), time.Now().Unix())
	must(b.t, json.Unmarshal([]byte(good), &all))
	if changes != "" {
		more := map[string]json.RawMessage{}
		must(b.t, json.Unmarshal([]byte(changes), &more))
		for name, v := range more {
			if all[name] = v; string(v) == "null" {
				delete(all, name)
			}
		}
	}
	out, err := json.Marshal(all)
	must(b.t, err)
	return string(out)
}

const rs256 = `{"alg":"RS256","kid":"rsa","typ":"JWT"}`

func (b *believer) good() string { return b.rsa.sign(b.t, "RS256", rs256, b.claimsWith("")) }

// TestToken: a good token is believed, in each algorithm that a key may have, and says whose
// it is.
func TestToken(t *testing.T) {
	b := newBeliever(t)
	sum := sha256.Sum256([]byte(b.p.URL + "\nann"))
	want := notary.Principal{Tenant: notary.Tenant{ID: notary.ID{1}, Name: "Bank 1"}, Role: notary.Depositor, Caller: "oidc:" + hex.EncodeToString(sum[:8])}
	if p, err := b.ask(b.good()); err != nil || !reflect.DeepEqual(p, want) {
		t.Errorf("%+v, %v", p, err)
	}
	if p, err := b.ask(b.rsa.sign(t, "RS256", rs256, b.claimsWith(`{"groups":["supervision"]}`))); err != nil || p.Role != notary.Auditor || !slices.Equal(p.Supervises, []notary.ID{{2}}) {
		t.Errorf("an auditor: %+v, %v", p, err)
	}
	ps, ec, ed := rsaPair(t, 2048, "ps", "PS256"), ecPair(t, "ec"), edPair(t, "ed")
	b.p.set(b.rsa.public, ps.public, ec.public, ed.public)
	b.Authenticator = New(Config{Accounts: b.ledger, Issuers: []Issuer{b.issuer(b.p)}})
	for _, c := range []struct {
		key pair
		alg string
	}{{b.rsa, "RS256"}, {ps, "PS256"}, {ec, "ES256"}, {ed, "EdDSA"}} {
		text := c.key.sign(t, c.alg, fmt.Sprintf(`{"alg":%q,"kid":%q}`, c.alg, c.key.public.KeyID), b.claimsWith(`{"aud":["other","muniment"],"groups":"legal","nbf":1}`))
		if p, err := b.ask(text); err != nil || p.Role != notary.Compliance {
			t.Errorf("%s: %+v, %v", c.alg, p, err)
		}
	}
}

// Confusions are tokens that must not be believed, by what is wrong with them (I23).
func confusions(t *testing.T, b *believer) map[string]string {
	now := time.Now()
	sign := func(header, claims string) string { return b.rsa.sign(t, "RS256", header, claims) }
	with := func(changes string) string { return sign(rs256, b.claimsWith(changes)) }
	public, err := x509.MarshalPKIXPublicKey(b.rsa.public.Key)
	must(t, err)
	asPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	asJWK, err := json.Marshal(b.rsa.public)
	must(t, err)
	stranger := rsaPair(t, 2048, "rsa", "RS256")
	strangersJWK, err := json.Marshal(stranger.public)
	must(t, err)
	other := newProvider(t)
	other.set(stranger.public)
	good := b.good()
	parts := strings.Split(good, ".")
	doubled := func(json, more string) string { return json[:len(json)-1] + "," + more + "}" }
	all := map[string]string{
		"alg none":                          b.rsa.sign(t, "none", `{"alg":"none"}`, b.claimsWith("")),
		"alg none, with the key's id":       b.rsa.sign(t, "none", `{"alg":"none","kid":"rsa"}`, b.claimsWith("")),
		"alg None":                          b.rsa.sign(t, "none", `{"alg":"None","kid":"rsa"}`, b.claimsWith("")),
		"alg none, signed":                  sign(`{"alg":"none","kid":"rsa"}`, b.claimsWith("")),
		"no alg":                            sign(`{"kid":"rsa"}`, b.claimsWith("")),
		"alg of another kind":               sign(`{"alg":256,"kid":"rsa"}`, b.claimsWith("")),
		"alg null":                          sign(`{"alg":null,"kid":"rsa"}`, b.claimsWith("")),
		"HS256 with the public key in PEM":  hmacOf(asPEM, `{"alg":"HS256","kid":"rsa"}`, b.claimsWith("")),
		"HS256 with the public key in DER":  hmacOf(public, `{"alg":"HS256","kid":"rsa"}`, b.claimsWith("")),
		"HS256 with the JWK":                hmacOf(asJWK, `{"alg":"HS256","kid":"rsa"}`, b.claimsWith("")),
		"HS256 with nothing":                hmacOf(nil, `{"alg":"HS256","kid":"rsa"}`, b.claimsWith("")),
		"PS256 by a key for RS256":          b.rsa.sign(t, "PS256", `{"alg":"PS256","kid":"rsa"}`, b.claimsWith("")),
		"RS384 in the header":               sign(`{"alg":"RS384","kid":"rsa"}`, b.claimsWith("")),
		"ES256 in the header":               sign(`{"alg":"ES256","kid":"rsa"}`, b.claimsWith("")),
		"rs256 in small letters":            sign(`{"alg":"rs256","kid":"rsa"}`, b.claimsWith("")),
		"kid of a path":                     sign(`{"alg":"RS256","kid":"../../dev/null"}`, b.claimsWith("")),
		"kid with SQL":                      sign(`{"alg":"RS256","kid":"rsa' OR '1'='1"}`, b.claimsWith("")),
		"kid unknown":                       sign(`{"alg":"RS256","kid":"none"}`, b.claimsWith("")),
		"kid of another kind":               sign(`{"alg":"RS256","kid":["rsa"]}`, b.claimsWith("")),
		"kid twice":                         sign(`{"alg":"RS256","kid":"x","kid":"rsa"}`, b.claimsWith("")),
		"alg twice":                         sign(`{"alg":"none","alg":"RS256","kid":"rsa"}`, b.claimsWith("")),
		"jku":                               stranger.sign(t, "RS256", fmt.Sprintf(`{"alg":"RS256","kid":"rsa","jku":%q}`, other.URL+"/keys"), b.claimsWith("")),
		"jku beside a good signature":       sign(fmt.Sprintf(`{"alg":"RS256","kid":"rsa","jku":%q}`, other.URL+"/keys"), b.claimsWith("")),
		"x5u":                               stranger.sign(t, "RS256", fmt.Sprintf(`{"alg":"RS256","kid":"rsa","x5u":%q}`, other.URL), b.claimsWith("")),
		"embedded jwk":                      stranger.sign(t, "RS256", fmt.Sprintf(`{"alg":"RS256","kid":"rsa","jwk":%s}`, strangersJWK), b.claimsWith("")),
		"crit":                              sign(`{"alg":"RS256","kid":"rsa","crit":["exp"]}`, b.claimsWith("")),
		"b64":                               sign(`{"alg":"RS256","kid":"rsa","b64":false,"crit":["b64"]}`, b.claimsWith("")),
		"typ of another use":                sign(`{"alg":"RS256","kid":"rsa","typ":"logout+jwt"}`, b.claimsWith("")),
		"another's key of the same id":      stranger.sign(t, "RS256", rs256, b.claimsWith("")),
		"another issuer":                    with(`{"iss":"https://other.example"}`),
		"issuer with a slash more":          with(fmt.Sprintf(`{"iss":%q}`, b.p.URL+"/")),
		"no issuer":                         with(`{"iss":null}`),
		"an issuer that is not believed":    stranger.sign(t, "RS256", rs256, b.claimsWith(fmt.Sprintf(`{"iss":%q}`, other.URL))),
		"issuer twice":                      sign(rs256, doubled(b.claimsWith(""), fmt.Sprintf(`"iss":%q`, b.p.URL))),
		"audience in other letters":         with(`{"aud":null,"AUD":"muniment"}`),
		"subject in other letters":          sign(rs256, doubled(b.claimsWith(""), `"\u017fub":"bob"`)),
		"subject in other letters alone":    with(`{"sub":null,"\u017fub":"bob"}`),
		"issuer in other letters alone":     with(fmt.Sprintf(`{"iss":null,"i\u017fs":%q}`, b.p.URL)),
		"another issuer, ours in others":    sign(rs256, doubled(b.claimsWith(`{"iss":"https://other.example"}`), fmt.Sprintf(`"is\u017f":%q`, b.p.URL))),
		"issuer in other letters beside it": with(`{"Iss":"https://other.example"}`),
		"another audience":                  with(`{"aud":"another"}`),
		"audience in capitals":              with(`{"aud":"Muniment"}`),
		"no audience":                       with(`{"aud":null}`),
		"an empty list of audiences":        with(`{"aud":[]}`),
		"audience twice":                    sign(rs256, doubled(b.claimsWith(`{"aud":"another"}`), `"aud":"muniment"`)),
		"no subject":                        with(`{"sub":null}`),
		"an empty subject":                  with(`{"sub":""}`),
		"a subject of 256 bytes":            with(fmt.Sprintf(`{"sub":%q}`, strings.Repeat("a", 256))),
		"no end":                            with(`{"exp":null}`),
		"end as a fraction":                 with(fmt.Sprintf(`{"exp":%d.5}`, now.Add(time.Minute).Unix())),
		"end with an exponent":              with(`{"exp":1e11}`),
		"end as text":                       with(fmt.Sprintf(`{"exp":"%d"}`, now.Add(time.Minute).Unix())),
		"end before now":                    with(fmt.Sprintf(`{"exp":%d}`, now.Add(-skew-2*time.Second).Unix())),
		"end below zero":                    with(`{"exp":-1}`),
		"end in a thousand years":           with(fmt.Sprintf(`{"exp":%d}`, now.AddDate(1000, 0, 0).Unix())),
		"end later than is allowed":         with(fmt.Sprintf(`{"exp":%d}`, now.Add(2*time.Hour).Unix())),
		"end beyond all numbers":            with(`{"exp":99999999999999999999}`),
		"end twice":                         sign(rs256, doubled(b.claimsWith(`{"exp":1}`), fmt.Sprintf(`"exp":%d`, now.Add(time.Minute).Unix()))),
		"end in other letters":              with(fmt.Sprintf(`{"exp":null,"EXP":%d}`, now.Add(time.Minute).Unix())),
		"not yet":                           with(fmt.Sprintf(`{"nbf":%d}`, now.Add(skew+time.Minute).Unix())),
		"not yet, as text":                  with(`{"nbf":"1"}`),
		"issued in the future":              with(fmt.Sprintf(`{"iat":%d}`, now.Add(skew+time.Minute).Unix())),
		"no role":                           with(`{"groups":null}`),
		"a role that says nothing":          with(`{"groups":["staff"]}`),
		"two roles":                         with(`{"groups":["lending","legal"]}`),
		"a role that is an object":          with(`{"groups":{"lending":true}}`),
		"a role in another claim":           with(`{"groups":null,"Groups":["lending"]}`),
		"claims that are a list":            sign(rs256, "["+b.claimsWith("")+"]"),
		"more behind the claims":            sign(rs256, b.claimsWith("")+"{}"),
		"signature cut":                     good[:len(good)-4],
		"signature of other claims":         parts[0] + "." + b64([]byte(b.claimsWith(`{"sub":"bob"}`))) + "." + parts[2],
		"padding":                           good + "==",
		"four parts":                        good + ".AA",
		"two parts":                         parts[0] + "." + parts[1],
		"JSON serialization":                fmt.Sprintf(`{"payload":%q,"protected":%q,"signature":%q}`, parts[1], parts[0], parts[2]),
		"encrypted":                         parts[0] + ".." + parts[1] + "." + parts[2] + ".AA",
		"over 8 KiB":                        with(fmt.Sprintf(`{"more":%q}`, strings.Repeat("a", maxToken))),
		"an API key that nobody has":        "mnt_" + strings.Repeat("A", 43),
		"an API key as a token's part":      "mnt_" + strings.Repeat("A", 43) + "." + parts[1] + "." + parts[2],
	}
	return all
}

// TestTokenConfusion: each of them is nobody, and a good token beside them still somebody.
func TestTokenConfusion(t *testing.T) {
	b := newBeliever(t)
	all := confusions(t, b)
	if len(all) < 60 {
		t.Fatalf("%d cases only", len(all))
	}
	for what, text := range all {
		if p, err := b.ask(text); !errors.Is(err, ErrUnauthenticated) || !reflect.DeepEqual(p, notary.Principal{}) {
			t.Errorf("%s: %+v, %v", what, p, err)
		}
	}
	if _, err := b.ask(b.good()); err != nil {
		t.Errorf("a good token: %v", err)
	}
}

// TestWeakKeys: what an issuer publishes is not all believed.
func TestWeakKeys(t *testing.T) {
	b := newBeliever(t)
	small, secret, sealing := rsaPair(t, 1024, "small", "RS256"), jose.JSONWebKey{Key: []byte("0123456789abcdef0123456789abcdef"), KeyID: "secret", Algorithm: "HS256"}, rsaPair(t, 2048, "enc", "RS256")
	sealing.public.Use = "enc"
	b.p.set(b.rsa.public, ecPair(t, "ec").public, small.public, secret, sealing.public)
	for what, text := range map[string]string{
		"an RSA key of 1024 bits": small.sign(t, "RS256", `{"alg":"RS256","kid":"small"}`, b.claimsWith("")),
		"a symmetric key":         hmacOf([]byte("0123456789abcdef0123456789abcdef"), `{"alg":"HS256","kid":"secret"}`, b.claimsWith("")),
		"a key for encryption":    sealing.sign(t, "RS256", `{"alg":"RS256","kid":"enc"}`, b.claimsWith("")),
		"no id, and several keys": b.rsa.sign(t, "RS256", `{"alg":"RS256"}`, b.claimsWith("")),
	} {
		if _, err := b.ask(text); !errors.Is(err, ErrUnauthenticated) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestTenantsOfTokens: an issuer speaks for the tenants that it was given, as its claim says,
// and for no other.
func TestTenantsOfTokens(t *testing.T) {
	b := newBeliever(t)
	i := b.issuer(b.p)
	i.Tenant, i.TenantClaim, i.Tenants = notary.ID{}, "org", map[string]notary.ID{"one": {1}, "gone": {9}}
	b.Authenticator = New(Config{Accounts: b.ledger, Issuers: []Issuer{i}})
	if p, err := b.ask(b.rsa.sign(t, "RS256", rs256, b.claimsWith(`{"org":"one"}`))); err != nil || p.Tenant.ID != (notary.ID{1}) {
		t.Errorf("%+v, %v", p, err)
	}
	for _, changes := range []string{``, `{"org":"two"}`, `{"org":"02000000-0000-0000-0000-000000000000"}`, `{"org":["one","one"]}`, `{"org":"gone"}`, `{"org":1}`, `{"Org":"one"}`} {
		if _, err := b.ask(b.rsa.sign(t, "RS256", rs256, b.claimsWith(changes))); !errors.Is(err, ErrUnauthenticated) {
			t.Errorf("%s: %v", changes, err)
		}
	}
}

// TestIssuersKeys: new keys are found, withdrawn ones forgotten, the issuer is not flooded,
// and while it is away those who were known stay known.
func TestIssuersKeys(t *testing.T) {
	b := newBeliever(t)
	b.p.leave(true)
	if _, err := b.ask(b.good()); !errors.Is(err, notary.ErrUnavailable) || errors.Is(err, ErrUnauthenticated) {
		t.Errorf("before any key was seen, with the issuer away: %v", err)
	}
	b.p.leave(false)
	keys := b.issuers[b.p.URL].keys
	again := func(back time.Duration) { // as if that time had gone by
		keys.mu.Lock()
		defer keys.mu.Unlock()
		keys.asked = keys.asked.Add(-back)
		if !keys.fetched.IsZero() {
			keys.fetched = keys.fetched.Add(-back)
		}
		b.mu.Lock()
		clear(b.known)
		b.mu.Unlock()
	}
	again(askPause)
	if _, err := b.ask(b.good()); err != nil {
		t.Fatalf("once it is back: %v", err)
	}
	asked := b.p.asked.Load()
	for n := range 200 {
		text := b.rsa.sign(t, "RS256", fmt.Sprintf(`{"alg":"RS256","kid":"k%d"}`, n), b.claimsWith(""))
		if _, err := b.ask(text); !errors.Is(err, ErrUnauthenticated) {
			t.Fatal(err)
		}
	}
	if got := b.p.asked.Load() - asked; got > 1 {
		t.Errorf("200 unknown ids were %d questions to the issuer", got)
	}
	fresh := ecPair(t, "fresh")
	b.p.set(fresh.public)
	again(askPause)
	text := fresh.sign(t, "ES256", `{"alg":"ES256","kid":"fresh"}`, b.claimsWith(""))
	if _, err := b.ask(text); err != nil {
		t.Errorf("a new key: %v", err)
	}
	again(0)
	if _, err := b.ask(b.good()); !errors.Is(err, ErrUnauthenticated) {
		t.Errorf("a key that was withdrawn: %v", err)
	}
	b.p.leave(true)
	again(freshFor + askPause)
	if _, err := b.ask(text); err != nil {
		t.Errorf("with the issuer away: %v", err)
	}
	again(keptFor)
	if _, err := b.ask(text); !errors.Is(err, notary.ErrUnavailable) {
		t.Errorf("with the issuer away for a day: %v", err)
	}
}

// TestDiscovery: an issuer that calls itself by another name is not believed.
func TestDiscovery(t *testing.T) {
	b := newBeliever(t)
	if n, err := Discover(t.Context(), b.issuer(b.p)); n != 1 || err != nil {
		t.Errorf("%d keys, %v", n, err)
	}
	b.p.name = "https://another.example"
	if _, err := Discover(t.Context(), b.issuer(b.p)); err == nil {
		t.Error("another's name was taken")
	}
	elsewhere := httptest.NewServer(http.RedirectHandler(b.p.URL+"/.well-known/openid-configuration", http.StatusFound))
	defer elsewhere.Close()
	b.p.name = elsewhere.URL
	moved := b.issuer(b.p)
	moved.URL = elsewhere.URL
	if _, err := Discover(t.Context(), moved); err == nil {
		t.Error("a redirect was followed: keys might come over a plain line")
	}
	for _, bad := range []string{"", "http://idp.example", "https://", "ftp://127.0.0.1", "https://a@idp.example", "https://idp.example?x", "https://idp.example#x", "http://10.0.0.1"} {
		if CheckURL(bad) == nil {
			t.Errorf("%q is taken for an issuer's URL", bad)
		}
	}
}

// TestNamesOfCallers: what a credential calls its bearer is told whole, or not at all.
func TestNamesOfCallers(t *testing.T) {
	b := newBeliever(t)
	for claims, want := range map[string]string{
		`{"name":"张三","preferred_username":"zhang"}`:                     "张三",
		`{"preferred_username":"zhang"}`:                                 "zhang",
		`{"name":"","preferred_username":"zhang"}`:                       "zhang",
		`{"name":"a\u0000b","preferred_username":"zhang"}`:               "zhang",
		`{"name":"a\ud800b","preferred_username":"zhang"}`:               "zhang",
		`{"name":{"given":"a"},"preferred_username":["x","y"]}`:          "",
		`{"name":"` + strings.Repeat("字", 201) + `","Name":"other"}`:     "",
		`{"name":"Anna\u202eMüller","nickname":"x","given_name":"Anna"}`: "",
		`{"name":7}`: "",
		``:           "",
	} {
		if p, err := b.ask(b.rsa.sign(t, "RS256", rs256, b.claimsWith(claims))); err != nil || p.Name != want {
			t.Errorf("%s: called %q, want %q, %v", claims, p.Name, want, err)
		}
	}
	for name, want := range map[string]string{"放款系统 3": "放款系统 3", "": "", "a\tb": ""} {
		text, hash := NewKey()
		must(t, b.ledger.CreateAPIKey(t.Context(), notary.APIKey{Hash: hash, Tenant: notary.ID{1}, Role: notary.Depositor, Name: name}))
		if p, err := b.ask(text); err != nil || p.Name != want || p.Caller == "" {
			t.Errorf("a key %q is called %q, %v", name, p.Name, err)
		}
	}
}

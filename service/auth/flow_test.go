package auth

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/storage/storagetest/servers"
)

const redirect = "https://console.bank.example/console/sign-in/callback"

// desk is a believer whose provider has people sign in, with an answer that a test may spoil.
type desk struct {
	*believer
	code      string // that the provider gave out; empty: it was redeemed
	challenge string // of PKCE
	nonce     string
	claims    string // that the token has instead; see claimsWith
	answer    func(w http.ResponseWriter, token string)
	form      url.Values // what the token endpoint was sent last
}

func newDesk(t *testing.T, more string) *desk {
	t.Helper()
	d := &desk{believer: newBeliever(t)}
	i := d.issuer(d.p)
	i.ClientID, i.ClientSecret, i.Name = "console", "s3cret", "Bank"
	i.Scopes = []string{"groups"}
	other := d.issuer(newProvider(t))
	d.Authenticator = New(Config{Accounts: d.ledger, Issuers: []Issuer{i, other}})
	d.p.more = more
	d.p.token = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		d.form = r.PostForm
		id, secret, basic := r.BasicAuth()
		sum := sha256.Sum256([]byte(r.PostForm.Get("code_verifier")))
		if !basic || id != "console" || secret != "s3cret" || d.code == "" || r.PostForm.Get("code") != d.code || base64.RawURLEncoding.EncodeToString(sum[:]) != d.challenge || r.PostForm.Get("redirect_uri") != redirect {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"error":"invalid_grant"}`)
			return
		}
		d.code = ""
		changes := fmt.Sprintf(`{"aud":"console","nonce":%q,"name":"Ann Lee"}`, d.nonce)
		if d.claims != "" {
			changes = d.claims
		}
		token := d.rsa.sign(t, "RS256", rs256, d.claimsWith(changes))
		if d.answer != nil {
			d.answer(w, token)
			return
		}
		fmt.Fprintf(w, `{"access_token":"a","token_type":"Bearer","id_token":%q}`, token)
	})
	return d
}

// begin begins a sign-in and does what the provider does with a browser.
func (d *desk) begin() (Pending, url.Values) {
	d.t.Helper()
	location, p, err := d.Begin(d.t.Context(), d.p.URL, redirect)
	must(d.t, err)
	u, err := url.Parse(location)
	must(d.t, err)
	q := u.Query()
	if !strings.HasPrefix(location, d.p.URL+"/authorize?") || q.Get("response_type") != "code" || q.Get("client_id") != "console" || q.Get("redirect_uri") != redirect ||
		q.Get("code_challenge_method") != "S256" || q.Get("state") != p.State || q.Get("nonce") != p.Nonce || q.Get("scope") != "openid profile groups" || strings.Contains(location, p.Verifier) {
		d.t.Fatalf("it leads to %s", location)
	}
	d.code, d.challenge, d.nonce = "code-1", q.Get("code_challenge"), q.Get("nonce")
	return p, url.Values{"state": {p.State}, "code": {d.code}}
}

// TestSignIn: who comes back from an issuer is who it says, and has the name that it gives.
func TestSignIn(t *testing.T) {
	d := newDesk(t, "")
	if all := d.SignIns(); len(all) != 1 || all[0] != (SignIn{d.p.URL, "Bank"}) {
		t.Fatalf("%+v", all)
	}
	p, q := d.begin()
	who, err := d.Redeem(t.Context(), redirect, p, q)
	if err != nil || who.Tenant.Name != "Bank 1" || who.Role != notary.Depositor || !strings.HasPrefix(who.Caller, "oidc:") || who.Name != "Ann Lee" {
		t.Fatalf("%+v %v", who, err)
	}
	other, _, err := d.Begin(t.Context(), "https://elsewhere.example", redirect)
	if !errors.Is(err, ErrUnauthenticated) {
		t.Errorf("a stranger's issuer: %s %v", other, err)
	}
}

// TestSignInForged: whatever is wrong with an answer, nobody signed in.
func TestSignInForged(t *testing.T) {
	strict := `,"authorization_response_iss_parameter_supported":true`
	for name, forge := range map[string]struct {
		more  string
		spoil func(d *desk, p *Pending, q url.Values)
	}{
		"another state":           {"", func(_ *desk, _ *Pending, q url.Values) { q.Set("state", "x") }},
		"no state":                {"", func(_ *desk, _ *Pending, q url.Values) { q.Del("state") }},
		"an empty state of both":  {"", func(_ *desk, p *Pending, q url.Values) { p.State = ""; q.Set("state", "") }},
		"two states":              {"", func(_ *desk, _ *Pending, q url.Values) { q.Add("state", q.Get("state")) }},
		"no code":                 {"", func(_ *desk, _ *Pending, q url.Values) { q.Del("code") }},
		"two codes":               {"", func(_ *desk, _ *Pending, q url.Values) { q.Add("code", "x") }},
		"another code":            {"", func(_ *desk, _ *Pending, q url.Values) { q.Set("code", "x") }},
		"a long code":             {"", func(_ *desk, _ *Pending, q url.Values) { q.Set("code", strings.Repeat("x", 5000)) }},
		"an error":                {"", func(_ *desk, _ *Pending, q url.Values) { q.Set("error", "access_denied") }},
		"another browser's proof": {"", func(_ *desk, p *Pending, _ url.Values) { p.Verifier = strings.Repeat("a", 43) }},
		"another nonce":           {"", func(_ *desk, p *Pending, _ url.Values) { p.Nonce = "x" }},
		"no nonce":                {"", func(d *desk, _ *Pending, _ url.Values) { d.claims = `{"aud":"console"}` }},
		"an empty nonce of both":  {"", func(d *desk, p *Pending, _ url.Values) { p.Nonce = ""; d.claims = `{"aud":"console","nonce":""}` }},
		"an issuer without a client": {"", func(d *desk, p *Pending, _ url.Values) {
			for url := range d.issuers {
				if url != d.p.URL {
					p.Issuer = url
				}
			}
		}},
		"a stranger's issuer":    {"", func(_ *desk, p *Pending, _ url.Values) { p.Issuer = "https://elsewhere.example" }},
		"another issuer's name":  {"", func(_ *desk, _ *Pending, q url.Values) { q.Set("iss", "https://elsewhere.example") }},
		"no issuer's name":       {strict, func(*desk, *Pending, url.Values) {}},
		"an API's token":         {"", func(d *desk, _ *Pending, _ url.Values) { d.claims = `{"nonce":"` + d.nonce + `"}` }},
		"another client's token": {"", func(d *desk, _ *Pending, _ url.Values) { d.claims = `{"aud":"another","nonce":"` + d.nonce + `"}` }},
		"another client's token, for us too": {"", func(d *desk, _ *Pending, _ url.Values) {
			d.claims = `{"aud":["console","another"],"azp":"another","nonce":"` + d.nonce + `"}`
		}},
		"another client's token, for us alone": {"", func(d *desk, _ *Pending, _ url.Values) {
			d.claims = `{"aud":"console","azp":"another","nonce":"` + d.nonce + `"}`
		}},
		"a token of nobody's for several": {"", func(d *desk, _ *Pending, _ url.Values) {
			d.claims = `{"aud":["console","another"],"nonce":"` + d.nonce + `"}`
		}},
		"a client's name that is none": {"", func(d *desk, _ *Pending, _ url.Values) {
			d.claims = `{"aud":"console","azp":["console"],"nonce":"` + d.nonce + `"}`
		}},
		"another issuer's token": {"", func(d *desk, _ *Pending, _ url.Values) {
			d.claims = `{"aud":"console","iss":"https://elsewhere.example","nonce":"` + d.nonce + `"}`
		}},
		"a token that has ended": {"", func(d *desk, _ *Pending, _ url.Values) {
			d.claims = `{"aud":"console","exp":1,"nonce":"` + d.nonce + `"}`
		}},
		"no role": {"", func(d *desk, _ *Pending, _ url.Values) {
			d.claims = `{"aud":"console","groups":["guests"],"nonce":"` + d.nonce + `"}`
		}},
		"no token": {"", func(d *desk, _ *Pending, _ url.Values) {
			d.answer = func(w http.ResponseWriter, _ string) { fmt.Fprint(w, `{"access_token":"a","token_type":"Bearer"}`) }
		}},
		"an unsigned token": {"", func(d *desk, _ *Pending, _ url.Values) {
			d.answer = func(w http.ResponseWriter, token string) {
				parts := strings.Split(token, ".")
				fmt.Fprintf(w, `{"access_token":"a","token_type":"Bearer","id_token":"%s.%s."}`, b64([]byte(`{"alg":"none"}`)), parts[1])
			}
		}},
		"a token of another signature": {"", func(d *desk, _ *Pending, _ url.Values) {
			d.answer = func(w http.ResponseWriter, token string) {
				fmt.Fprintf(w, `{"access_token":"a","token_type":"Bearer","id_token":"%s"}`, token[:len(token)-20]+strings.Repeat("A", 20))
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, forge.more)
			p, q := d.begin()
			forge.spoil(d, &p, q)
			if who, err := d.Redeem(t.Context(), redirect, p, q); !errors.Is(err, ErrUnauthenticated) || errors.Is(err, notary.ErrUnavailable) {
				t.Errorf("%+v %v", who, err)
			}
		})
	}
	d := newDesk(t, "")
	p, q := d.begin()
	d.claims = `{"aud":["another","console"],"azp":"console","nonce":"` + d.nonce + `"}`
	if _, err := d.Redeem(t.Context(), redirect, p, q); err != nil {
		t.Errorf("our token, for another too: %v", err)
	}
	d = newDesk(t, strict)
	p, q = d.begin()
	q.Set("iss", d.p.URL)
	if _, err := d.Redeem(t.Context(), redirect, p, q); err != nil {
		t.Errorf("with the issuer's name: %v", err)
	}
	if _, err := d.Redeem(t.Context(), redirect, p, q); !errors.Is(err, ErrUnauthenticated) {
		t.Errorf("a code twice: %v", err)
	}
}

// TestSignInAway: an issuer that does not answer, sends elsewhere, or never ends, is
// unavailable, and is not asked again at once.
func TestSignInAway(t *testing.T) {
	for name, answer := range map[string]func(w http.ResponseWriter, token string){
		"broken": func(w http.ResponseWriter, _ string) { w.WriteHeader(http.StatusBadGateway) },
		"elsewhere": func(w http.ResponseWriter, _ string) {
			w.Header().Set("Location", "http://127.0.0.1:1/")
			w.WriteHeader(http.StatusTemporaryRedirect)
		},
		"endless": func(w http.ResponseWriter, token string) {
			fmt.Fprintf(w, `{"access_token":%q`, strings.Repeat("a", 3<<20))
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, "")
			p, q := d.begin()
			d.answer = answer
			if _, err := d.Redeem(t.Context(), redirect, p, q); !errors.Is(err, notary.ErrUnavailable) {
				t.Error(err)
			}
		})
	}
	d := newDesk(t, "")
	d.p.leave(true)
	for range 3 {
		if _, _, err := d.Begin(t.Context(), d.p.URL, redirect); !errors.Is(err, notary.ErrUnavailable) {
			t.Error(err)
		}
	}
	d.p.leave(false)
	if _, _, err := d.Begin(t.Context(), d.p.URL, redirect); !errors.Is(err, notary.ErrUnavailable) {
		t.Errorf("it was asked again at once: %v", err)
	}
}

// TestSignInAtVault: a provider that is not ours.
func TestSignInAtVault(t *testing.T) {
	v, err := servers.StartVault("unused")
	must(t, err)
	defer v.Kill()
	_, err = v.Issuer("muniment")
	must(t, err)
	issuer, id, secret, err := v.Provider("muniment", redirect)
	must(t, err)
	b := newBeliever(t)
	i := b.issuer(b.p)
	i.URL, i.ClientID, i.ClientSecret, i.RoleClaim, i.Audience = issuer, id, secret, "role", "muniment"
	a := New(Config{Accounts: b.ledger, Issuers: []Issuer{i}})
	for name, role := range map[string]string{"ann": "legal", "eve": "guests"} {
		person, err := v.Person(name, role)
		must(t, err)
		location, p, err := a.Begin(t.Context(), issuer, redirect)
		must(t, err)
		q, err := v.SignIn(person, location)
		must(t, err)
		who, err := a.Redeem(t.Context(), redirect, p, q)
		switch {
		case name == "eve" && !errors.Is(err, ErrUnauthenticated):
			t.Errorf("a guest: %v", err)
		case name == "ann" && (err != nil || who.Role != notary.Compliance || who.Tenant.Name != "Bank 1" || who.Name != "ann"):
			t.Errorf("%+v %v", who, err)
		}
		if _, err := a.Redeem(t.Context(), redirect, p, q); !errors.Is(err, ErrUnauthenticated) {
			t.Errorf("a code twice: %v", err)
		}
	}
}

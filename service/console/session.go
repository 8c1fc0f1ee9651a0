package console

import (
	"crypto/hmac"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/service/auth"
)

const (
	// The prefix __Host- has the browser keep a cookie to this one host, and to https.
	sessionCookie = "__Host-muniment-session"
	pendingCookie = "__Host-muniment-sign-in"
	langCookie    = "__Host-muniment-lang"

	// maxForm bounds the body of a form without a document, in bytes.
	maxForm = 256 << 10
	// pendingLife is how long a sign-in at an issuer may take.
	pendingLife = 10 * time.Minute
)

func (v *visit) setCookie(name, value string, life time.Duration) {
	http.SetCookie(v.w, &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: int(life / time.Second), Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

func (v *visit) dropCookie(name string) { v.setCookie(name, "", -time.Second) }

// recognise finds out who has signed in.
func (v *visit) recognise() error {
	cookie, err := v.r.Cookie(sessionCookie)
	if err != nil || cookie.Value == "" || len(cookie.Value) > 100 {
		return auth.ErrUnauthenticated
	}
	v.session, v.who, err = v.Auth.BySession(v.r.Context(), v.Sessions, cookie.Value)
	if err == nil {
		v.token = cookie.Value
	}
	return err
}

// checkForm refuses what does not carry the session's own token for forms: in a header where
// a script sends it, else in the form.
func (v *visit) checkForm() error {
	given := v.r.Header.Get("X-Form-Token")
	if !strings.HasPrefix(v.r.Header.Get("Content-Type"), "multipart/") { // a document is read by the API alone
		v.r.Body = http.MaxBytesReader(v.w, v.r.Body, maxForm)
		if err := v.r.ParseForm(); err != nil {
			return errForm
		}
		if given == "" {
			given = v.r.PostForm.Get("form")
		}
	}
	if !hmac.Equal([]byte(given), []byte(auth.FormToken(v.token))) {
		return errForged
	}
	return nil
}

// signInView is what the page of the sign-in shows.
type signInView struct {
	To      string
	Issuers []auth.SignIn
	Wrong   bool // what was given is no credential
	NoKeep  bool // the browser did not keep the cookie
}

func (v *visit) signInPage() error {
	to := within(v.r.URL.Query().Get("to"))
	if v.recognise() == nil {
		return v.redirect(to)
	}
	return v.show("sign-in", signInView{To: to, Issuers: v.issuers(), NoKeep: v.r.URL.Query().Has("begun")})
}

// issuers are those at which people can sign in.
func (v *visit) issuers() []auth.SignIn {
	if v.URL == "" {
		return nil
	}
	return v.Auth.SignIns()
}

// within is an address of the console, and its first page for every other: a link must not
// lead from the sign-in to another site.
func within(to string) string {
	u, err := url.Parse(to)
	if err != nil || u.Host != "" || u.Scheme != "" || u.User != nil || strings.Contains(to, "\\") || strings.Contains(u.Path, "/.") || !strings.HasPrefix(u.Path, Prefix+"/") || strings.HasPrefix(u.Path, Prefix+"/sign-in") {
		return Prefix + "/"
	}
	return u.RequestURI()
}

// signIn takes an API key. There is no session yet whose token the form could carry; that no
// other site sends it, the browser says.
func (v *visit) signIn() error {
	v.r.Body = http.MaxBytesReader(v.w, v.r.Body, maxForm)
	if err := v.r.ParseForm(); err != nil {
		return errForm
	}
	to := within(v.r.PostForm.Get("to"))
	s, token, err := v.signInBy(strings.TrimSpace(v.r.PostForm.Get("key")))
	if errors.Is(err, auth.ErrUnauthenticated) {
		return v.render(http.StatusUnauthorized, "sign-in", signInView{To: to, Issuers: v.issuers(), Wrong: true})
	}
	if err != nil {
		return err
	}
	return v.begin(s, token, to)
}

// signInBy begins a session with an API key, or with the link to what was opened.
func (v *visit) signInBy(text string) (s notary.Session, token string, err error) {
	if !strings.HasPrefix(text, "mnl_") {
		return v.Auth.SignInByKey(v.r.Context(), text)
	}
	r := v.r.Clone(v.r.Context())
	r.Header = http.Header{"Authorization": {"Bearer " + text}}
	who, err := v.Caller(r)
	if err != nil {
		return s, "", err
	}
	s, token = auth.NewSession(who, v.now)
	return s, token, nil
}

// begin stores a session and leads on. A session that was there before ends.
func (v *visit) begin(s notary.Session, token, to string) error {
	if v.recognise() == nil {
		if err := v.Sessions.EndSession(v.r.Context(), v.session.Hash); err != nil {
			return unavailable(err)
		}
	}
	if err := v.Sessions.BeginSession(v.r.Context(), s); err != nil {
		return unavailable(err)
	}
	v.setCookie(sessionCookie, token, auth.SessionLife)
	// By way of the sign-in, which notices if the cookie was not kept.
	return v.redirect(Prefix + "/sign-in?" + url.Values{"begun": {""}, "to": {to}}.Encode())
}

func (v *visit) signOut() error {
	if err := v.Sessions.EndSession(v.r.Context(), v.session.Hash); err != nil {
		return unavailable(err)
	}
	v.dropCookie(sessionCookie)
	v.w.Header().Set("Clear-Site-Data", `"cache", "storage"`)
	return v.redirect(Prefix + "/sign-in")
}

// pending is a sign-in at an issuer that has begun, as its cookie holds it.
type pending struct {
	auth.Pending
	To string
}

// callback is where an issuer sends people back to.
func (v *visit) callback() string { return v.URL + Prefix + "/sign-in/callback" }

func (v *visit) signInBegin() error {
	if v.URL == "" {
		return errNoPage
	}
	location, p, err := v.Auth.Begin(v.r.Context(), v.r.URL.Query().Get("issuer"), v.callback())
	if err != nil {
		return err
	}
	text, err := json.Marshal(pending{p, within(v.r.URL.Query().Get("to"))})
	if err != nil {
		return err
	}
	v.setCookie(pendingCookie, base64.RawURLEncoding.EncodeToString(text), pendingLife)
	return v.redirect(location)
}

func (v *visit) signInCallback() error {
	cookie, err := v.r.Cookie(pendingCookie)
	if err != nil {
		return errSignIn
	}
	v.dropCookie(pendingCookie)
	var p pending
	text, err := base64.RawURLEncoding.DecodeString(cookie.Value)
	if err != nil || json.Unmarshal(text, &p) != nil {
		return errSignIn
	}
	who, err := v.Auth.Redeem(v.r.Context(), v.callback(), p.Pending, v.r.URL.Query())
	if errors.Is(err, auth.ErrUnauthenticated) {
		return errSignIn
	}
	if err != nil {
		return err
	}
	s, token := auth.NewSession(who, v.now)
	return v.begin(s, token, within(p.To))
}

package service

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/auth"
	"github.com/muniment/muniment/service/console"
)

// newDesk is a house with a console.
func newDesk(t *testing.T) *court {
	t.Helper()
	return newCourtWith(t, func(s *Config) { s.Sessions = s.Accounts.(notary.Sessions) })
}

// visitor is somebody at a browser without scripts.
type visitor struct {
	*court
	t      *testing.T
	cookie string
	form   string
}

// enter signs in with an API key.
func (c *court) enter(t *testing.T, key string) *visitor {
	t.Helper()
	v := &visitor{court: c, t: t}
	a := v.send("POST", "/sign-in", url.Values{"key": {key}})
	if a.StatusCode != http.StatusSeeOther {
		t.Fatalf("signing in: %d", a.StatusCode)
	}
	for _, cookie := range a.Cookies() {
		if cookie.Name == "__Host-muniment-session" {
			v.cookie = cookie.Value
		}
	}
	v.form = auth.FormToken(v.cookie)
	return v
}

// send asks for a page; a form is sent with the session's token unless it has one.
func (v *visitor) send(method, path string, form url.Values, headers ...string) answer {
	v.t.Helper()
	var body io.Reader
	if form != nil {
		if v.form != "" && !form.Has("form") {
			form.Set("form", v.form)
		}
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(v.t.Context(), method, v.url+console.Prefix+path, body)
	must(v.t, err)
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if v.cookie != "" {
		r.AddCookie(&http.Cookie{Name: "__Host-muniment-session", Value: v.cookie})
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return send(v.t, r)
}

// signedIn reports whether the session holds.
func (v *visitor) signedIn() bool {
	v.t.Helper()
	return v.send("GET", "/deposit", nil).StatusCode == http.StatusOK
}

// session is the visitor's, as it is kept.
func (v *visitor) session() notary.Session {
	v.t.Helper()
	s, err := v.ledger.Session(v.t.Context(), sha256.Sum256([]byte(v.cookie)))
	must(v.t, err)
	return s
}

// TestConsoleSessions: a session ends when it should, whatever its cookie says, and its key
// is nowhere.
func TestConsoleSessions(t *testing.T) {
	c := newDesk(t)
	v := c.enter(t, c.reader)
	if !v.signedIn() {
		t.Fatal("not signed in")
	}
	if s := v.session(); s.Role != notary.Compliance || s.Ends.Sub(s.Begun) != auth.SessionLife || strings.Contains(fmt.Sprintf("%v", s), v.cookie) {
		t.Errorf("kept: %+v", s)
	}
	if strings.Contains(v.cookie, c.reader) || strings.Contains(c.log.String(), c.reader) || strings.Contains(c.log.String(), v.cookie) {
		t.Error("a secret is where it can be read")
	}
	t.Run("idle", func(t *testing.T) {
		v := c.enter(t, c.reader)
		s := v.session()
		must(t, c.ledger.SeeSession(t.Context(), s.Hash, time.Now().Add(time.Second-auth.SessionIdle)))
		if !v.signedIn() {
			t.Error("ended too soon")
		}
		if seen := v.session().Seen; time.Since(seen) > time.Minute {
			t.Errorf("a request does not keep it: %v", seen)
		}
		must(t, c.ledger.SeeSession(t.Context(), s.Hash, time.Now().Add(-auth.SessionIdle-time.Millisecond)))
		if v.signedIn() {
			t.Error("half an hour idle, and goes on")
		}
	})
	t.Run("its end", func(t *testing.T) {
		v := c.enter(t, c.reader)
		s := v.session()
		must(t, c.ledger.EndSession(t.Context(), s.Hash))
		s.Ends = time.Now().Add(-time.Millisecond)
		must(t, c.ledger.BeginSession(t.Context(), s))
		if v.signedIn() {
			t.Error("goes on beyond its end")
		}
	})
	t.Run("signed out", func(t *testing.T) {
		v := c.enter(t, c.reader)
		if a := v.send("POST", "/sign-out", url.Values{}); a.StatusCode != http.StatusSeeOther {
			t.Fatalf("%d", a.StatusCode)
		}
		if v.signedIn() {
			t.Error("goes on")
		}
	})
	t.Run("key taken away", func(t *testing.T) {
		key := c.key(t, v.session().Tenant, notary.Compliance)
		v := c.enter(t, key)
		must(t, c.ledger.DeleteAPIKey(t.Context(), auth.Hash(key)))
		end := time.Now().Add(10 * time.Second) // a key is believed for a moment
		for v.signedIn() {
			if time.Now().After(end) {
				t.Fatal("goes on without its key")
			}
			time.Sleep(100 * time.Millisecond)
		}
	})
	t.Run("a key with an end", func(t *testing.T) {
		text, hash := auth.NewKey()
		ends := time.Now().Add(time.Hour).UTC().Truncate(time.Millisecond)
		must(t, c.ledger.CreateAPIKey(t.Context(), notary.APIKey{Hash: hash, Tenant: v.session().Tenant, Role: notary.Compliance, Expires: ends}))
		if s := c.enter(t, text).session(); !s.Ends.Equal(ends) {
			t.Errorf("ends %v, its key %v", s.Ends, ends)
		}
	})
	t.Run("a new sign-in ends the old", func(t *testing.T) {
		v := c.enter(t, c.reader)
		if a := v.send("POST", "/sign-in", url.Values{"key": {c.reader}}); a.StatusCode != http.StatusSeeOther {
			t.Fatalf("%d", a.StatusCode)
		}
		if v.signedIn() {
			t.Error("two sessions in one browser")
		}
	})
	for name, cookie := range map[string]string{
		"none": "", "the key": c.reader, "of another": v.cookie[:len(v.cookie)-1] + "x", "the hash": hex.EncodeToString(func() []byte { s := v.session().Hash; return s[:] }()), "long": strings.Repeat("a", 5000),
	} {
		if (&visitor{court: c, t: t, cookie: cookie}).signedIn() {
			t.Errorf("signed in with %s", name)
		}
	}
}

// TestConsoleForgery: nothing is changed by another site's page, and no cookie is a
// credential anywhere else.
func TestConsoleForgery(t *testing.T) {
	c := newDesk(t)
	d, _ := c.postForm(t, form(recordPart(`{"contract.number":"HT-1"}`), documentPart("hello"))).deposit(t, c.house, 201)
	v := c.enter(t, c.reader)
	hold := func(form url.Values, headers ...string) int {
		form.Set("matter", "m")
		form.Set("reason", "r")
		return v.send("POST", "/deposits/"+d.Id+"/hold", form, headers...).StatusCode
	}
	held := func() bool {
		s, err := c.notary.Notices(t.Context(), notary.Principal{Tenant: notary.Tenant{ID: v.session().Tenant}, Role: notary.Compliance}, mustID(t, d.Id))
		must(t, err)
		return len(s.Matters) > 0
	}
	other := c.enter(t, c.reader)
	for name, status := range map[string]int{
		"no token":            hold(url.Values{"form": {""}}),
		"another session's":   hold(url.Values{"form": {other.form}}),
		"the session's own":   hold(url.Values{"form": {v.cookie}}),
		"from another site":   hold(url.Values{}, "Sec-Fetch-Site", "cross-site"),
		"from a sister site":  hold(url.Values{}, "Sec-Fetch-Site", "same-site"),
		"by another origin":   hold(url.Values{}, "Origin", "https://evil.example"),
		"a token in a header": hold(url.Values{"form": {""}}, "X-Form-Token", other.form),
	} {
		if status != http.StatusForbidden {
			t.Errorf("%s: %d", name, status)
		}
	}
	if held() {
		t.Fatal("it is held")
	}
	if a := v.send("POST", "/sign-in", url.Values{"key": {c.stranger}}, "Sec-Fetch-Site", "cross-site"); a.StatusCode != http.StatusForbidden {
		t.Errorf("another site signs somebody in: %d", a.StatusCode)
	}
	if a := v.send("GET", "/deposits/"+d.Id+"/hold?form="+v.form+"&matter=m&reason=r", nil); a.StatusCode != http.StatusNotFound {
		t.Errorf("by a link: %d", a.StatusCode)
	}
	if status := hold(url.Values{}, "Sec-Fetch-Site", "same-origin"); status != http.StatusSeeOther || !held() {
		t.Fatalf("it is not held: %d", status)
	}
	r, err := http.NewRequestWithContext(t.Context(), "GET", c.url+"/v1/deposits/"+d.Id, nil)
	must(t, err)
	r.AddCookie(&http.Cookie{Name: "__Host-muniment-session", Value: v.cookie})
	if a := send(t, r); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("the cookie opens the API: %d", a.StatusCode)
	}
}

func mustID(t *testing.T, text string) notary.ID {
	t.Helper()
	id, err := notary.ParseID(text)
	must(t, err)
	return id
}

// TestConsoleLeadsNowhereElse: no link takes who signs in to another site.
func TestConsoleLeadsNowhereElse(t *testing.T) {
	c := newDesk(t)
	v := c.enter(t, c.reader)
	for _, to := range []string{"https://evil.example/", "//evil.example/console/", "/\\evil.example", "\\\\evil.example", "javascript:alert(1)", "/v1/deposits", "/console", "/consoleevil", "http:/evil.example/console/", "/console/../v1/trail", "/console/\n/x", "/console/sign-in?to=x", ""} {
		a := v.send("GET", "/sign-in?"+url.Values{"to": {to}}.Encode(), nil)
		if at := a.Header.Get("Location"); a.StatusCode != http.StatusSeeOther || !strings.HasPrefix(at, "/console/") || strings.Contains(at, "evil") && !strings.HasPrefix(at, "/console/") || strings.Contains(at, "..") {
			t.Errorf("%q leads to %d %q", to, a.StatusCode, at)
		}
	}
	if at := v.send("GET", "/sign-in?to=%2Fconsole%2Fcases%2FA%252FB%3Flang%3Dzh", nil).Header.Get("Location"); at != "/console/cases/A%2FB?lang=zh" {
		t.Errorf("a page of the console: %q", at)
	}
	stranger := &visitor{court: c, t: t}
	for _, path := range []string{"/", "/deposit", "/cases/HT-1", "/deposits/x/receipt", "/keeping", "/trail", "/log"} {
		a := stranger.send("GET", path, nil)
		if a.StatusCode != http.StatusSeeOther || !strings.HasPrefix(a.Header.Get("Location"), "/console/sign-in?to=") {
			t.Errorf("%s: %d %s", path, a.StatusCode, a.Header.Get("Location"))
		}
		if a := stranger.send("POST", path, url.Values{}); a.StatusCode != http.StatusNotFound && a.StatusCode != http.StatusUnauthorized {
			t.Errorf("POST %s: %d", path, a.StatusCode)
		}
	}
}

// TestConsoleHeaders: what the pages may do is said with each of them, errors too.
func TestConsoleHeaders(t *testing.T) {
	c := newDesk(t)
	v := c.enter(t, c.reader)
	d, _ := c.postForm(t, form(recordPart(`{"contract.number":"<script>alert(1)</script>","content.name":"\"><img src=x onerror=alert(1)>.pdf"}`), documentPart("hello"))).deposit(t, c.house, 201)
	for _, path := range []string{"/sign-in", "/", "/?by=contract&what=%3Cscript%3E", "/deposits/" + d.Id, "/cases/" + url.PathEscape("<script>alert(1)</script>"), "/none", "/log", "/?since=x"} {
		a := v.send("GET", path, nil)
		h := a.Header
		if csp := h.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") || !strings.Contains(csp, "frame-ancestors 'none'") {
			t.Errorf("%s: policy %q", path, csp)
		}
		if h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", path, h)
		}
		if bytes.Contains(a.body, []byte("<script>alert")) || bytes.Contains(a.body, []byte("<img")) {
			t.Errorf("%s runs what was deposited", path)
		}
		if strings.Contains(string(a.body), v.cookie) {
			t.Errorf("%s shows the session's token", path)
		}
	}
	if a := v.send("GET", "/deposits/"+d.Id+"/document", nil); a.StatusCode != 200 || string(a.body) != "hello" || !strings.HasPrefix(a.Header.Get("Content-Disposition"), "attachment") {
		t.Errorf("document: %d %v", a.StatusCode, a.Header)
	}
}

// TestConsoleHasNoRightsOfItsOwn: what the API refuses a role or a tenant, the console
// refuses it, and what is done stands in the trail as the person's.
func TestConsoleHasNoRightsOfItsOwn(t *testing.T) {
	c := newDesk(t)
	d, _ := c.postForm(t, form(recordPart(`{"contract.number":"HT-1"}`), documentPart("hello"))).deposit(t, c.house, 201)
	for role, key := range map[string]string{"stranger": c.stranger, "depositor": c.depositor} {
		v := c.enter(t, key)
		for _, act := range []string{"hold", "release", "erasure"} {
			if a := v.send("POST", "/deposits/"+d.Id+"/"+act, url.Values{"matter": {"m"}, "reason": {"r"}}); a.StatusCode != http.StatusForbidden {
				t.Errorf("%s may %s: %d", role, act, a.StatusCode)
			}
		}
		want := http.StatusNotFound
		if role == "depositor" {
			want = http.StatusOK
		}
		for _, path := range []string{"/deposits/" + d.Id, "/deposits/" + d.Id + "/receipt", "/deposits/" + d.Id + "/certificate", "/deposits/" + d.Id + "/document", "/cases/HT-1", "/cases/HT-1/bundle"} {
			if a := v.send("GET", path, nil); a.StatusCode != want {
				t.Errorf("%s at %s: %d, want %d", role, path, a.StatusCode, want)
			}
		}
		if a := v.send("GET", "/deposits/"+d.Id+"?tenant="+c.enter(t, c.reader).session().Tenant.String(), nil); a.StatusCode != want {
			t.Errorf("%s names the tenant: %d", role, a.StatusCode)
		}
	}
	v := c.enter(t, c.reader)
	if a := v.send("GET", "/deposits/"+d.Id+"/receipt", nil); a.StatusCode != 200 {
		t.Fatalf("%d", a.StatusCode)
	}
	a := c.do(t, "GET", "/v1/trail?action=receipt&deposit="+d.Id+"&caller="+url.QueryEscape(v.session().Caller), nil, "Authorization", "Bearer "+c.reader)
	if a.StatusCode != 200 || !bytes.Contains(a.body, []byte(`"address":"127.0.0.1"`)) || !bytes.Contains(a.body, []byte(v.session().Caller)) {
		t.Errorf("the trail: %d %s", a.StatusCode, a.body)
	}
}

// TestConsoleCertificates: one ZIP has them all, each with its length before it; what cannot
// be certified is said in its place.
func TestConsoleCertificates(t *testing.T) {
	c := newDesk(t)
	var ids []string
	for i := range 5 {
		d, _ := c.postForm(t, form(recordPart(fmt.Sprintf(`{"contract.number":"HT-%d"}`, i%2)), documentPart(fmt.Sprint(i)))).deposit(t, c.house, 201)
		ids = append(ids, d.Id)
	}
	v := c.enter(t, c.reader)
	const unknown = "01936f5e-4a00-7c3e-8d2a-5b6f7a8c9d0e"
	for name, f := range map[string]struct {
		form    url.Values
		pdf     int
		refused int
	}{
		"ticked":     {url.Values{"id": {ids[3], ids[1], ids[3]}, "some": {"1"}, "lang": {"zh"}}, 2, 0},
		"unknown":    {url.Values{"id": {ids[0], unknown, "../../x"}, "some": {"1"}}, 1, 2},
		"all found":  {url.Values{"all": {"1"}, "by": {"contract"}, "what": {"HT-0"}}, 3, 0},
		"everything": {url.Values{"all": {"1"}}, 5, 0},
	} {
		a := v.send("POST", "/certificates", f.form)
		if a.StatusCode != 200 || a.Header.Get("X-Certificates") != fmt.Sprint(f.pdf+f.refused) {
			t.Errorf("%s: %d %v", name, a.StatusCode, a.Header)
			continue
		}
		z, err := zip.NewReader(bytes.NewReader(a.body), int64(len(a.body)))
		must(t, err)
		var pdf, refused int
		for _, f := range z.File {
			r, err := f.Open()
			must(t, err)
			content, err := io.ReadAll(r)
			must(t, err)
			switch {
			case f.Flags&8 != 0 || strings.ContainsAny(f.Name, `/\`):
				t.Errorf("%s: %s has its length behind it, or a folder", name, f.Name)
			case bytes.HasPrefix(content, []byte("%PDF-")) && strings.HasSuffix(f.Name, ".pdf"):
				pdf++
			case strings.HasSuffix(f.Name, ".txt"):
				refused++
			}
		}
		if pdf != f.pdf || refused != f.refused {
			t.Errorf("%s: %d certificates and %d refused", name, pdf, refused)
		}
	}
	for name, form := range map[string]url.Values{"nothing": {"some": {"1"}}, "too many": {"id": unknownIDs(1001)}, "none found": {"all": {"1"}, "what": {"none"}}} {
		if a := v.send("POST", "/certificates", form); a.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %d", name, a.StatusCode)
		}
	}
}

func unknownIDs(n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprintf("01936f5e-4a00-7c3e-8d2a-%012x", i))
	}
	return out
}

// TestConsoleInBrowser: compliance staff at the console, in both languages, at a desk and on
// a phone; and what they took with them verifies.
func TestConsoleInBrowser(t *testing.T) {
	c := newDesk(t)
	tenant := c.enter(t, c.reader).session().Tenant
	named := func(role notary.Role, of notary.ID, name string, supervises ...notary.ID) string {
		text, hash := auth.NewKey()
		must(t, c.ledger.CreateAPIKey(t.Context(), notary.APIKey{Hash: hash, Tenant: of, Role: role, Name: name, Supervises: supervises}))
		return text
	}
	documents := []string{"loan-contract-zh.pdf", "disbursement-voucher-zh.pdf", "repayments-HT-2026-000117.csv"}
	var sum [32]byte
	for i, name := range documents {
		content, err := os.ReadFile(filepath.Join("../cmd/muniment/testdata/case", name))
		must(t, err)
		c.file(t, name, content)
		if i == 0 {
			sum = sha256.Sum256(content)
		}
	}
	court := c.tenant(t, "Court")
	_, err := c.notary.Stamp(t.Context())
	must(t, err)
	const matter, reason = "(2026)粤0305民初1234号", "Order of the court / 法院通知"
	browse(t, "console.mjs", map[string]any{
		"url": c.url, "dir": c.dir, "documents": documents, "sha256": hex.EncodeToString(sum[:]), "matter": matter, "reason": reason,
		"keys": map[string]string{
			"first": named(notary.Compliance, tenant, "沈合规"), "second": named(notary.Compliance, tenant, "Li Compliance"), "depositor": named(notary.Depositor, tenant, "loans"),
			"auditor": named(notary.Auditor, court, "Supervision", tenant), "court": named(notary.Court, court, "Registry"), "operator": named(notary.Operator, notary.ID{}, "Operations"),
		},
		"data": []string{"沈合规", "个人消费借款合同", "Consumer loan agreement", "深圳", reason, matter, "First Bank", "Li Compliance", "Time Authority"},
	})
	verifier := proofs.NewVerifier(c.policy)
	for _, name := range []string{"zh-desk-", "zh-phone-", "en-desk-", "en-phone-"} {
		document, err := os.ReadFile(filepath.Join(c.dir, name+"document"))
		must(t, err)
		for _, what := range []string{"receipt", "disclosed"} {
			data, err := os.ReadFile(filepath.Join(c.dir, name+what))
			must(t, err)
			r, err := proofs.ParseReceipt(data)
			must(t, err)
			e, err := verifier.Verify(r, bytes.NewReader(document))
			if err != nil || e.Outcome() != proofs.Verified {
				t.Errorf("%s%s: %v %v", name, what, e.Outcome(), err)
			}
			if _, shown := e.Record.Get("contract.number"); shown != (what == "receipt") {
				t.Errorf("%s%s shows the contract: %v", name, what, shown)
			}
		}
		pdf, err := os.ReadFile(filepath.Join(c.dir, name+"certificate.pdf"))
		if err != nil || !regexp.MustCompile(`^%PDF-1`).Match(pdf) {
			t.Errorf("%scertificate.pdf: %v", name, err)
		}
		for _, what := range []string{"certificates.zip", "bundle.zip"} {
			z, err := zip.OpenReader(filepath.Join(c.dir, name+what))
			must(t, err)
			if len(z.File) < len(documents) {
				t.Errorf("%s%s has %d files", name, what, len(z.File))
			}
			must(t, z.Close())
		}
	}
}

// TestConsoleSearch: each way to look for deposits finds those that it should, and no others.
func TestConsoleSearch(t *testing.T) {
	c := newDesk(t)
	tenant := c.enter(t, c.reader).session().Tenant
	text, hash := auth.NewKey()
	must(t, c.ledger.CreateAPIKey(t.Context(), notary.APIKey{Hash: hash, Tenant: tenant, Role: notary.Compliance, Name: "沈合规"}))
	sm3 := strings.Repeat("ab", 32)
	one, _ := c.postJSON(t, `{"record":{"content.sha256":"`+strings.Repeat("cd", 32)+`","content.sm3":"`+sm3+`","contract.number":"HT/1 &","label.branch":"深圳"}}`, "Authorization", "Bearer "+text).deposit(t, c.house, 201)
	two, _ := c.postJSON(t, digestOnly(`,"contract.number":"HT-2"`)).deposit(t, c.house, 201)
	v := c.enter(t, c.reader)
	today, tomorrow := time.Now().UTC().Format(time.DateOnly), time.Now().UTC().AddDate(0, 0, 1).Format(time.DateOnly)
	for name, search := range map[string]struct {
		q    url.Values
		find []string
	}{
		"contract":            {url.Values{"by": {"contract"}, "what": {"HT/1 &"}}, []string{one.Id}},
		"part of a contract":  {url.Values{"by": {"contract"}, "what": {"HT"}}, nil},
		"SHA-256, upper case": {url.Values{"by": {"sha256"}, "what": {" " + strings.Repeat("CD", 32) + " "}}, []string{one.Id}},
		"SM3":                 {url.Values{"by": {"sm3"}, "what": {sm3}}, []string{one.Id}},
		"depositor":           {url.Values{"by": {"depositor"}, "what": {"沈合规"}}, []string{one.Id}},
		"label":               {url.Values{"by": {"label"}, "what": {"branch：深圳"}}, []string{one.Id}},
		"today":               {url.Values{"since": {today}, "until": {today}}, []string{two.Id, one.Id}},
		"from tomorrow on":    {url.Values{"since": {tomorrow}}, nil},
		"of one, today":       {url.Values{"by": {"contract"}, "what": {"HT-2"}, "since": {today}}, []string{two.Id}},
		"nothing asked":       {url.Values{}, []string{two.Id, one.Id}},
	} {
		search.q.Set("lang", "en")
		a := v.send("GET", "/?"+search.q.Encode(), nil)
		var found []string
		for _, m := range regexp.MustCompile(`name="id" value="([^"]+)"`).FindAllSubmatch(a.body, -1) {
			found = append(found, string(m[1]))
		}
		if a.StatusCode != 200 || !slices.Equal(found, search.find) {
			t.Errorf("%s: %d %v, want %v", name, a.StatusCode, found, search.find)
		}
	}
	if a := v.send("GET", "/cases/"+url.PathEscape("HT/1 &"), nil); a.StatusCode != 200 || !bytes.Contains(a.body, []byte(one.Id)) {
		t.Errorf("a case with a slash: %d", a.StatusCode)
	}
}

// TestConsoleLongLists: what stands behind pages of the API that are empty, or full, is shown,
// or it is said that there is more.
func TestConsoleLongLists(t *testing.T) {
	c := newDesk(t)
	v := c.enter(t, c.reader)
	keeper := notary.Principal{Tenant: notary.Tenant{ID: v.session().Tenant}, Role: notary.Compliance, Caller: "key:test"}
	first, ours := c.tenant(t, "First Court"), c.tenant(t, "Second Court")
	grant := func(to notary.ID, deposit string, n int) {
		t.Helper()
		_, err := c.notary.Grant(t.Context(), keeper, notary.Opening{Key: fmt.Sprint(deposit, n), To: to, Deposit: mustID(t, deposit), Ends: time.Now().Add(time.Hour), Reason: "r"})
		must(t, err)
	}
	hold := func(deposit string, n int) {
		t.Helper()
		_, _, err := c.notary.Note(t.Context(), keeper, notary.Notice{Key: fmt.Sprint("hold", n), Act: notary.ActHold, Deposit: mustID(t, deposit), Matter: fmt.Sprint(n), Reason: "r"})
		must(t, err)
	}
	var ids []string
	for range 3 {
		d, _ := c.postJSON(t, digestOnly("")).deposit(t, c.house, 201)
		ids = append(ids, d.Id)
	}
	for n := range 120 {
		grant(first, ids[n/60], n)
	}
	grant(ours, ids[2], 0)
	judge := c.enter(t, c.key(t, ours, notary.Court))
	if a := judge.send("GET", "/?tenant="+keeper.Tenant.ID.String(), nil); a.StatusCode != 200 || !bytes.Contains(a.body, []byte("/console/deposits/"+ids[2])) {
		t.Errorf("behind another's grants a court finds nothing: %d", a.StatusCode)
	}
	for n := range 101 {
		hold(ids[n%3], n)
	}
	more := []byte("There are more than these")
	a := v.send("GET", "/keeping?lang=en", nil)
	if rows := bytes.Count(a.body, []byte("#standing")); rows != 100 || !bytes.Contains(a.body, more) {
		t.Errorf("of 101 holds %d are shown, and that there are more: %v", rows, bytes.Contains(a.body, more))
	}
	_, _, err := c.notary.Note(t.Context(), keeper, notary.Notice{Key: "release", Act: notary.ActRelease, Deposit: mustID(t, ids[0]), Matter: "0", Reason: "r"})
	must(t, err)
	a = v.send("GET", "/keeping?lang=en", nil)
	if rows := bytes.Count(a.body, []byte("#standing")); rows != 100 || bytes.Contains(a.body, more) {
		t.Errorf("of 100 holds %d are shown, and that there are more: %v", rows, bytes.Contains(a.body, more))
	}
}

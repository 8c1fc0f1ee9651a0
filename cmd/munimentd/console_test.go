package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/muniment/muniment/storage/storagetest/servers"
)

// guest is a browser at the console: it keeps its cookies, and follows nothing by itself.
type guest struct {
	t       *testing.T
	base    string
	cookies map[string]string
}

func (g *guest) ask(method, address string, form url.Values) (status int, location, body string) {
	g.t.Helper()
	if strings.HasPrefix(address, "/") {
		address = g.base + address
	}
	r, err := http.NewRequestWithContext(g.t.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		g.t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for name, value := range g.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	r.Close = true // the server is started anew between two
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		g.t.Fatal(err)
	}
	defer resp.Body.Close()
	read, err := io.ReadAll(resp.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	for _, c := range resp.Cookies() {
		if g.cookies[c.Name] = c.Value; c.MaxAge < 0 {
			delete(g.cookies, c.Name)
		}
	}
	return resp.StatusCode, resp.Header.Get("Location"), string(read)
}

// TestConsoleSignIn: people of a real issuer sign in to the console, two of them erase, and
// who is not one of its people is nobody; a session survives a restart, and ends when it is
// signed out.
func TestConsoleSignIn(t *testing.T) {
	v, err := servers.StartVault("unused")
	if err != nil {
		t.Fatal(err)
	}
	defer v.Kill()
	if _, err := v.Issuer("muniment"); err != nil {
		t.Fatal(err)
	}
	listen, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	site := "http://" + listen
	issuer, id, secret, err := v.Provider("muniment", site+"/console/sign-in/callback")
	if err != nil {
		t.Fatal(err)
	}
	d := layout(t)
	serve := func() *process {
		return d.serve(t, "--canary", "0s", "--listen", listen, "--console-url", site, "--oidc-issuers",
			fmt.Sprintf("{%s: {audience: muniment, tenant: %s, role-claim: role, roles: {legal: compliance}, client-id: %s, client-secret: %s, name: Example Bank}}", issuer, d.Tenant, id, secret))
	}
	p := serve()
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(p.out)
		}
	})
	a, err := d.client(p).digest("1", "HT-1", "contract")
	if err != nil {
		t.Fatal(err)
	}
	enter := func(name, role string) *guest {
		t.Helper()
		person, err := v.Person(name, role)
		if err != nil {
			t.Fatal(err)
		}
		g := &guest{t: t, base: site, cookies: map[string]string{}}
		if _, _, body := g.ask("GET", "/console/sign-in?lang=en", nil); !strings.Contains(body, "Sign in at Example Bank") {
			t.Fatalf("no way to the issuer: %s", body)
		}
		status, at, _ := g.ask("GET", "/console/sign-in/begin?"+url.Values{"issuer": {issuer}, "to": {"/console/cases/HT-1"}}.Encode(), nil)
		if status != http.StatusSeeOther || !strings.HasPrefix(at, v.URL) {
			t.Fatalf("it leads to %d %s", status, at)
		}
		answer, err := v.SignIn(person, at)
		if err != nil {
			t.Fatal(err)
		}
		stolen := &guest{t: t, base: site, cookies: map[string]string{}}
		if status, _, _ := stolen.ask("GET", "/console/sign-in/callback?"+answer.Encode(), nil); status != http.StatusUnauthorized {
			t.Errorf("another browser signs in with the answer: %d", status)
		}
		status, at, _ = g.ask("GET", "/console/sign-in/callback?"+answer.Encode(), nil)
		if role != "legal" {
			if status != http.StatusUnauthorized {
				t.Errorf("a guest: %d", status)
			}
			return g
		}
		if status != http.StatusSeeOther {
			t.Fatalf("not signed in: %d", status)
		}
		if _, at, _ = g.ask("GET", at, nil); at != "/console/cases/HT-1" {
			t.Errorf("it leads to %q", at)
		}
		return g
	}
	page := func(g *guest, path string) (int, string) {
		t.Helper()
		status, _, body := g.ask("GET", path, nil)
		return status, body
	}
	erase := func(g *guest) string {
		t.Helper()
		_, body := page(g, "/console/deposits/"+a.ID)
		form := regexp.MustCompile(`name="form" value="([^"]+)"`).FindStringSubmatch(body)
		if form == nil {
			t.Fatalf("no form: %s", body)
		}
		g.ask("POST", "/console/deposits/"+a.ID+"/erasure", url.Values{"form": form[1:], "matter": {"order"}, "reason": {"r"}})
		_, body = page(g, "/console/deposits/"+a.ID)
		state := regexp.MustCompile(`class="state ([a-z-]+)"`).FindStringSubmatch(body)
		if state == nil {
			t.Fatalf("no state: %s", body)
		}
		return state[1]
	}
	enter("eve", "guests")
	ann, bob := enter("ann", "legal"), enter("bob", "legal")
	if status, body := page(ann, "/console/cases/HT-1"); status != http.StatusOK || !strings.Contains(body, "HT-1") || !strings.Contains(body, ">ann") && !strings.Contains(body, "ann ·") {
		t.Fatalf("%d %s", status, body)
	}
	if state := erase(ann); state != "erasure-asked" {
		t.Errorf("asked: %s", state)
	}
	if state := erase(ann); state != "erasure-asked" {
		t.Errorf("one person erased alone: %s", state)
	}
	p.stop(t)
	p = serve()
	if state := erase(bob); state != "erased" {
		t.Errorf("after a restart, by another: %s", state)
	}
	_, body := page(ann, "/console/")
	form := regexp.MustCompile(`name="form" value="([^"]+)"`).FindStringSubmatch(body)
	if form == nil {
		t.Fatal(body)
	}
	kept := ann.cookies["__Host-muniment-session"]
	ann.ask("POST", "/console/sign-out", url.Values{"form": form[1:]})
	ann.cookies["__Host-muniment-session"] = kept
	if status, _ := page(ann, "/console/"); status != http.StatusSeeOther {
		t.Errorf("signed out, and goes on: %d", status)
	}
	log, err := os.ReadFile(d.Dir + "/munimentd.yaml")
	if err == nil && strings.Contains(string(log), secret) {
		t.Error("the secret is on disk")
	}
	if strings.Contains(p.out.String(), secret) || strings.Contains(p.out.String(), kept) {
		t.Error("a secret is in the log")
	}
	p.stop(t)
	d.clean(t)
}

// TestConsoleOff: where it is off there is no console, and its settings are held against one
// another.
func TestConsoleOff(t *testing.T) {
	d := layout(t)
	p := d.serve(t, "--canary", "0s", "--console-enabled", "off")
	resp, err := http.Get(p.url + "/console/sign-in")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusNotFound {
		t.Errorf("%d", resp.StatusCode)
	}
	p.stop(t)
	const issuer = "{https://idp.example: {audience: m, tenant: 01a2070d-4e2f-7d00-87c7-be68003ebf3d, role-claim: r, roles: {x: compliance}, client-id: c, client-secret: sesame}}"
	if out, err := d.tool("serve", "--dir", d.Dir, "--oidc-issuers", issuer); err == nil || !strings.Contains(out, "console.url must be set") {
		t.Errorf("%v %s", err, out)
	}
	if out, err := d.tool("config", "--dir", d.Dir, "--console-url", "https://bank.example", "--oidc-issuers", issuer); err != nil || strings.Contains(out, "sesame") || !strings.Contains(out, "idp.example") {
		t.Errorf("%v %s", err, out)
	}
	for _, wrong := range []string{"bank.example", "https://bank.example/", "https://bank.example/console", "http://bank.example", "ftp://bank.example"} {
		if out, err := d.tool("config", "--dir", d.Dir, "--console-url", wrong); err == nil {
			t.Errorf("%s is taken: %s", wrong, out)
		}
	}
}

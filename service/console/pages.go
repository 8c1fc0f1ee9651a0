package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/service/api"
	"github.com/muniment/muniment/service/auth"
)

//go:embed page
var source embed.FS

// pages are the templates of one language, by name.
type pages map[string]*template.Template

// parse reads them: each page is the layout with a main part of its own.
func parse(lang string) pages {
	layout := template.Must(template.New("layout.html").Funcs(speaker(lang).funcs()).Funcs(template.FuncMap{"file": address}).
		ParseFS(source, "page/layout.html", "page/parts.html"))
	out := pages{}
	for _, name := range must(fs.Glob(source, "page/*.html")) {
		stem := strings.TrimSuffix(path.Base(name), ".html")
		if stem == "layout" || stem == "parts" {
			continue
		}
		out[stem] = template.Must(template.Must(layout.Clone()).ParseFS(source, name))
	}
	return out
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err) // of this program's own files
	}
	return v
}

// files are what the pages load, by a name that has the digest of the content in it, so that
// a browser may keep it for ever.
var files = sync.OnceValue(func() map[string]file {
	out := map[string]file{}
	for name, kind := range map[string]string{"console.css": "text/css; charset=utf-8", "console.js": "text/javascript; charset=utf-8"} {
		content := must(source.ReadFile("page/" + name))
		sum := sha256.Sum256(content)
		stem, extension, _ := strings.Cut(name, ".")
		out[name] = file{stem + "." + hex.EncodeToString(sum[:8]) + "." + extension, kind, content}
	}
	return out
})

type file struct {
	name, kind string
	content    []byte
}

// address is where a file of the pages is served.
func address(name string) (string, error) {
	f, ok := files()[name]
	if !ok {
		return "", errors.New("no file " + name)
	}
	return Prefix + "/file/" + f.name, nil
}

func (s *console) file(w http.ResponseWriter, r *http.Request) {
	for _, f := range files() {
		if path.Base(r.URL.Path) == f.name {
			h := w.Header()
			h.Set("Content-Type", f.kind)
			h.Set("Cache-Control", "public, max-age=31536000, immutable")
			h.Set("Content-Length", strconv.Itoa(len(f.content)))
			_, _ = w.Write(f.content)
			return
		}
	}
	s.open(w, r).fail(errNoPage)
}

// view is what a page is filled with: what it is about, and what the frame around it needs.
type view struct {
	*visit
	Page string
	Data any
	// Text are the words that the page's script says.
	Text map[string]string
}

// Lang is the language as HTML names it.
func (v view) Lang() string {
	if v.lang == "zh" {
		return "zh-CN"
	}
	return v.lang
}

// Languages are the others' addresses of this page.
func (v view) Languages() []choice {
	return []choice{{"中文", v.in("zh"), "zh-CN", v.lang == "zh"}, {"English", v.in("en"), "en", v.lang == "en"}}
}

// choice is one of several.
type choice struct {
	Text, Address, Lang string
	Chosen              bool
}

// SignedIn is whether somebody did.
func (v view) SignedIn() bool { return v.token != "" }

// Form is the token that each form carries.
func (v view) Form() string { return auth.FormToken(v.token) }

// To is an address of the console; see visit.to.
func (v view) To(path string, pairs ...string) string { return v.to(path, pairs...) }

// Name is who signed in, as far as there is a name.
func (v view) Name() string {
	if v.who.Grant != (notary.ID{}) {
		return short(v.who.Grant.String())
	}
	if v.session.Name != "" {
		return v.session.Name
	}
	return v.who.Caller
}

// Role is what they may do.
func (v view) Role() string { return string(v.who.Role) }

// Tenant is of whom they are who signed in; empty: of the depository itself.
func (v view) Tenant() string {
	if v.who.Grant != (notary.ID{}) {
		return words["link-visitor"].in(v.lang)
	}
	return v.who.Tenant.Name
}

// ByLink is whether they came by a link.
func (v view) ByLink() bool { return v.who.Grant != (notary.ID{}) }

// LinkAddress is a link as an address that opens the console by it; empty: nobody said where
// browsers reach the console. A fragment is sent to no server.
func (v view) LinkAddress(link string) string {
	if v.URL == "" {
		return ""
	}
	return v.URL + Prefix + "/sign-in#" + link
}

// Keeps is whether who signed in may hold, erase and open; Deposits and Reads likewise.
func (v view) Keeps() bool { return v.who.Role.MayKeep() }

// Deposits is whether they may deposit.
func (v view) Deposits() bool { return v.who.Role.MayDeposit() }

// Reads is whether they find deposits by search.
func (v view) Reads() bool { return v.who.Role.MayRead() || v.who.Role == notary.Auditor }

// Audits is whether they may read the trail.
func (v view) Audits() bool { return v.who.Role.MayAudit() }

// Test is whether nothing here has evidential value: the log is not one of production.
func (v view) Test() bool { return !strings.Contains(v.Config.Origin(), "/prod/") }

// TenantAt is the tenant that the address names, for forms that lead on from it.
func (v view) TenantAt() string { return v.tenant }

// CaseAction is the address of something that is done with a case.
func (v view) CaseAction(contract, what string) string {
	return v.to("/cases/" + url.PathEscape(contract) + what)
}

// Kinds are what deposits are searched by.
func (v view) Kinds() []choice {
	by := ""
	if f, ok := v.Data.(found); ok {
		by = f.By
	}
	out := []choice{}
	for _, kind := range []string{"contract", "sha256", "sm3", "depositor", "label"} {
		out = append(out, choice{Text: speaker(v.lang).or("by", kind), Address: kind, Chosen: kind == by})
	}
	return out
}

// part is what a part of a page is filled with.
type part struct {
	View view
	Rows any
}

// With fills a list.
func (v view) With(rows any) part { return part{v, rows} }

// granting is what the part about grants is filled with.
type granting struct {
	View           view
	Grants         []api.Grant
	Link, LinkEnds string
	Action, Fresh  string
	Here           string
	First, Last    string // the days until which it can be opened
	LinkDays       int    // for how many a link can be made
}

// Granting fills the part about grants, of a case or of a deposit.
func (v view) Granting(action string) granting {
	const day = 24 * time.Hour
	g := granting{
		View: v, Action: action, Here: v.r.URL.EscapedPath(), LinkDays: int(notary.MaxLink / day),
		First: v.now.Format(time.DateOnly), Last: v.now.Add(notary.MaxGrant - 2*day).Format(time.DateOnly),
	}
	if v.r.Method != http.MethodGet { // the answer to a form stands under the form's own address
		g.Here = strings.TrimSuffix(g.Here, "/grants")
	}
	switch d := v.Data.(type) {
	case caseView:
		g.Grants, g.Link, g.LinkEnds, g.Fresh = d.Grants, d.Link, d.LinkEnds, d.Fresh
	case depositView:
		g.Grants, g.Link, g.LinkEnds, g.Fresh = d.Grants, d.Link, d.LinkEnds, d.Fresh
	}
	return g
}

// Script is what the page's script says, as JSON.
func (v view) Script() (string, error) {
	text, err := json.Marshal(v.Text)
	return string(text), err
}

// Origin is the log's name.
func (v view) Origin() string { return v.Config.Origin() }

// Fingerprint is the policy's.
func (v view) Fingerprint() string { return v.Policy.Fingerprint() }

// show answers with a page.
func (v *visit) show(page string, data any) error { return v.render(http.StatusOK, page, data) }

func (v *visit) render(status int, page string, data any) error {
	var b bytes.Buffer
	if err := v.pages[v.lang][page].Execute(&b, view{visit: v, Page: page, Data: data, Text: spoken(v.lang)}); err != nil {
		return err
	}
	h := v.w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	v.w.WriteHeader(status)
	_, _ = v.w.Write(b.Bytes())
	return nil
}

// spoken are the words for scripts: those whose names begin with "script.".
func spoken(lang string) map[string]string {
	out := map[string]string{}
	for name, s := range words {
		if stem, ok := strings.CutPrefix(name, "script."); ok {
			out[stem] = s.in(lang)
		}
	}
	return out
}

// failView is what went wrong, for people.
type failView struct {
	Title, Detail, Member string
	Retry                 bool
}

// explain puts a problem into the page's language. What a problem says in particular is in
// English alone, so that in Chinese its member has to do.
func (v *visit) explain(e *refusal) failView {
	name := e.name()
	s, ok := words["problem."+name]
	if !ok {
		s = words["problem.internal"]
	}
	f := failView{Title: s.in(v.lang), Retry: e.Retry}
	if v.lang == "en" {
		f.Detail = e.Detail
	}
	if e.Member != "" {
		f.Member = speaker(v.lang).label(e.Member)
	}
	return f
}

// fail answers with what went wrong: a page, or JSON for a script that asks for it.
func (v *visit) fail(err error) {
	e := problemOf(err)
	if e.Status >= http.StatusInternalServerError && e.Type == "/problems/internal" {
		v.Logger.Error("a page of the console failed", "error", err)
	}
	if e.Status == http.StatusServiceUnavailable {
		v.w.Header().Set("Retry-After", "5")
	}
	explained := v.explain(e)
	if v.r.Header.Get("Accept") == "application/json" {
		v.w.Header().Set("Content-Type", "application/json")
		v.w.WriteHeader(e.Status)
		_ = json.NewEncoder(v.w).Encode(explained)
		return
	}
	if err := v.render(e.Status, "fail", explained); err != nil {
		v.Logger.Error("a page of the console failed", "error", err)
		http.Error(v.w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
	}
}

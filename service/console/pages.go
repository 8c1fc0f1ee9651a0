package console

import (
	"bytes"
	"embed"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
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

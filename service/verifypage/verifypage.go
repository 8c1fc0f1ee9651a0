// Package verifypage is the public verify page: HTML, style and script, and package proofs as
// WebAssembly, which judges in the visitor's browser. It is files alone; package service
// serves them, and puts the page into case bundles.
//
// muniment.wasm.gz and wasm_exec.js are made by `make generate`; a test builds them again and
// compares.
package verifypage

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	_ "embed" // of the files below
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"html/template"
	"sync"
)

// Source of the page.
var (
	//go:embed page/verify.html
	pageHTML string
	//go:embed page/verify.css
	pageCSS string
	//go:embed page/verify.js
	pageJS string
	//go:embed page/worker.js
	workerJS string
	//go:embed wasm_exec.js
	wasmExecJS string
	//go:embed muniment.wasm.gz
	wasmGzip []byte
)

// Languages are those that the page has, the one for whom nothing else is known first.
var Languages = []string{"zh", "en"}

// A File is one that never changes under its name.
type File struct {
	Name string // with the digest of its content in it
	Type string
	Gzip []byte // the content, compressed
}

// A Site is the page as a site serves it.
type Site struct {
	Pages map[string]File // the page itself, by language; its name is empty
	Files map[string]File // what the page loads, by name
}

// SitePolicy is the Content-Security-Policy of the page and all its files: nothing from
// elsewhere, no script or style but its own files, nothing evaluated but WebAssembly.
const SitePolicy = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; style-src 'self'; " +
	"img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
	"require-trusted-types-for 'script'; trusted-types muniment"

// Prefix is where a site serves Files.
const Prefix = "/verify/"

// script is the page's script, after its words.
func script() string {
	list, err := json.Marshal(words)
	if err != nil {
		panic(err) // a map of strings
	}
	return "const munimentWords = " + string(list) + ";\n" + pageJS
}

// worker is the worker's script, after the toolchain's.
func worker() string { return wasmExecJS + "\n" + workerJS }

// ForSite returns the page as a site serves it.
var ForSite = sync.OnceValue(func() Site {
	s := Site{Pages: map[string]File{}, Files: map[string]File{}}
	add := func(stem, extension string, f File) string {
		sum := sha256.Sum256(f.Gzip)
		f.Name = stem + "." + hex.EncodeToString(sum[:8]) + extension
		s.Files[f.Name] = f
		return Prefix + f.Name
	}
	css := add("verify", ".css", Pack("text/css; charset=utf-8", []byte(pageCSS)))
	js := add("verify", ".js", Pack(javaScript, []byte(script())))
	view := view{
		Page:   "site",
		Style:  template.HTML(`<link rel="stylesheet" href="` + css + `">`),
		Script: template.HTML(`<script src="` + js + `"></script>`),
		Worker: add("worker", ".js", Pack(javaScript, []byte(worker()))),
		Wasm:   add("muniment", ".wasm", File{Type: "application/wasm", Gzip: wasmGzip}),
	}
	for _, lang := range Languages {
		view.Lang = lang
		s.Pages[lang] = Pack("text/html; charset=utf-8", view.render())
	}
	return s
})

// Bundle is the page as it lies in case bundles: one file, with the verifier in it, that asks
// for nothing else and works where it is opened from a disk. Its own policy forbids it every
// connection.
var Bundle = sync.OnceValue(func() []byte {
	css, js := pageCSS, script()
	source := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	v := view{
		Page: "bundle", Lang: Languages[0],
		Policy: "default-src 'none'; script-src " + source(js) + " 'wasm-unsafe-eval'; worker-src blob:; style-src " + source(css) + "; " +
			"img-src data:; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types muniment",
		Style: template.HTML("<style>" + css + "</style>"),
		Script: template.HTML(`<script type="text/plain" id="worker">` + worker() + "</script>\n" +
			`<script type="text/plain" id="wasm">` + base64.StdEncoding.EncodeToString(wasmGzip) + "</script>\n" +
			"<script>" + js + "</script>"),
	}
	return v.render()
})

// view is what the template is filled with.
type view struct {
	Page          string // site or bundle
	Lang          string
	Policy        string // Content-Security-Policy, where no header carries it
	Style, Script template.HTML
	Worker, Wasm  string // URLs
}

// HTMLLang is the language as HTML names it.
func (v view) HTMLLang() string {
	if v.Lang == "zh" {
		return "zh-CN"
	}
	return v.Lang
}

// Suffix tells the bundle's words from the site's.
func (v view) Suffix() string {
	if v.Page == "bundle" {
		return "-bundle"
	}
	return ""
}

// Both are the words of both languages, for what is said in both at once.
func (v view) Both() map[string]map[string]string {
	return map[string]map[string]string{"noscript": {"zh": words["noscript"].Zh, "en": words["noscript"].En}}
}

func (v view) render() []byte {
	t := template.Must(template.New("verify").Funcs(template.FuncMap{"say": func(key string) string {
		w, ok := words[key]
		if !ok {
			panic("the page has no words for " + key)
		}
		return w.in(v.Lang)
	}}).Parse(pageHTML))
	var b bytes.Buffer
	if err := t.Execute(&b, v); err != nil {
		panic(err) // its own files
	}
	return b.Bytes()
}

const javaScript = "text/javascript; charset=utf-8"

// Pack makes a File of content, without a name.
func Pack(kind string, content []byte) File {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err == nil {
		_, err = z.Write(content)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		panic(err) // into memory
	}
	return File{Type: kind, Gzip: b.Bytes()}
}

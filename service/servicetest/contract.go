// Package servicetest holds what the service answers against openapi.yaml, for tests.
package servicetest

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

// A Contract is what openapi.yaml promises of each answer. It reads more strictly
// than a caller would: a status, a field or a media type that is not promised is as
// wrong as one that is not kept to.
type Contract struct {
	doc   *openapi3.T
	paths []path // the most particular first
}

// path is a path of the specification, and how to tell it.
type path struct {
	name    string
	item    *openapi3.PathItem
	pattern *regexp.Regexp
}

const ndjson = "application/x-ndjson"

// Read reads openapi.yaml.
func Read(file string) (*Contract, error) {
	doc, err := openapi3.NewLoader().LoadFromFile(file)
	if err != nil {
		return nil, err
	}
	if err := doc.Validate(context.Background()); err != nil {
		return nil, err
	}
	if openapi3filter.RegisteredBodyDecoder(ndjson) == nil { // its lines are looked at one by one
		openapi3filter.RegisterBodyDecoder(ndjson, openapi3filter.PlainBodyDecoder)
	}
	c := &Contract{doc: doc}
	for name, item := range doc.Paths.Map() {
		c.paths = append(c.paths, path{name, item, pattern(name)})
		for _, op := range item.Operations() {
			op.Security = nil // whether a caller may ask is not the answer's form
		}
	}
	doc.Security = nil
	slices.SortFunc(c.paths, func(a, b path) int {
		return strings.Count(a.name, "{") - strings.Count(b.name, "{")
	})
	for _, s := range doc.Components.Schemas {
		if s.Value.Type.Is("object") && len(s.Value.Properties) > 0 && s.Value.AdditionalProperties.Has == nil {
			no := false
			s.Value.AdditionalProperties.Has = &no
		}
	}
	return c, nil
}

// pattern matches an escaped path. The tile alone spans segments.
func pattern(name string) *regexp.Regexp {
	quoted := regexp.QuoteMeta(name)
	quoted = strings.ReplaceAll(quoted, `\{tile\}`, `(?P<tile>.+)`)
	return regexp.MustCompile("^" + regexp.MustCompile(`\\\{(\w+)\\\}`).ReplaceAllString(quoted, "(?P<$1>[^/]+)") + "$")
}

// find returns the operation of a request, nil if there is none, and its parameters.
func (c *Contract) find(r *http.Request) (*routers.Route, map[string]string) {
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	for _, p := range c.paths {
		found := p.pattern.FindStringSubmatch(r.URL.EscapedPath())
		op := p.item.GetOperation(method)
		if found == nil || op == nil {
			continue
		}
		params := map[string]string{}
		for i, name := range p.pattern.SubexpNames()[1:] {
			value, err := url.PathUnescape(found[i+1])
			if err != nil {
				return nil, nil
			}
			params[name] = value
		}
		return &routers.Route{Spec: c.doc, Path: p.name, PathItem: p.item, Method: method, Operation: op}, params
	}
	return nil, nil
}

// Routes are the operations, each as "METHOD /path".
func (c *Contract) Routes() (all []string) {
	for _, p := range c.paths {
		for method := range p.item.Operations() {
			all = append(all, method+" "+p.name)
		}
	}
	return all
}

// An Answer is what was answered to a request.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte // nil where it is a document, which may be anything
}

// Check returns how an answer is not as promised, nil if it is. The request's body
// is read where it is JSON.
func (c *Contract) Check(r *http.Request, a Answer) error {
	if err := c.check(r, a); err != nil {
		return fmt.Errorf("openapi.yaml does not promise this: %s %s answers %d: %w", r.Method, r.URL.Path, a.Status, err)
	}
	return nil
}

func (c *Contract) check(r *http.Request, a Answer) error {
	route, params := c.find(r)
	if route == nil {
		return c.checkStray(a)
	}
	if r.Method == http.MethodHead { // what it would say of a body is the same
		get := *r
		get.Method, r = http.MethodGet, &get
	}
	request := &openapi3filter.RequestValidationInput{
		Request: r, PathParams: params, Route: route, QueryParams: r.URL.Query(),
		// Forms and lines are the service's own readers' business: the filter reads whole
		// bodies into memory.
		Options: &openapi3filter.Options{ExcludeRequestBody: mediaType(r.Header) != "application/json", SkipSettingDefaults: true},
	}
	response := route.Operation.Responses.Status(a.Status)
	if response == nil {
		return errors.New("the status is not listed")
	}
	if a.Status < 300 {
		if err := openapi3filter.ValidateRequest(context.Background(), request); err != nil {
			return fmt.Errorf("a request that it forbids is not refused: %w", err)
		}
	}
	if len(response.Value.Content) == 0 && len(a.Body) > 0 {
		return errors.New("there is a body")
	}
	input := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: request, Status: a.Status, Header: a.Header,
		Options: &openapi3filter.Options{IncludeResponseStatus: true, ExcludeResponseBody: a.Body == nil, MultiError: true},
	}
	if err := openapi3filter.ValidateResponse(context.Background(), input.SetBodyBytes(a.Body)); err != nil {
		return err
	}
	if err := c.checkHeaders(response.Value, a); err != nil {
		return err
	}
	if a.Body != nil && mediaType(a.Header) == ndjson {
		return c.checkLines(a.Body)
	}
	return nil
}

// anything reports whether the body of an answer may be anything.
func (c *Contract) anything(route *routers.Route, status int, header http.Header) bool {
	if route == nil {
		return false
	}
	response := route.Operation.Responses.Status(status)
	if response == nil {
		return false
	}
	kind := response.Value.Content.Get(mediaType(header))
	return kind != nil && kind.Schema.Value.Format == "binary"
}

// checkHeaders looks for the headers of answers of which the filter takes no notice.
func (c *Contract) checkHeaders(promised *openapi3.Response, a Answer) error {
	for name, h := range promised.Headers {
		if h.Value.Required && a.Header.Get(name) == "" {
			return fmt.Errorf("the header %s is missing", name)
		}
	}
	return nil
}

// checkStray checks the answer to what is in no specification: a problem.
func (c *Contract) checkStray(a Answer) error {
	switch a.Status {
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusUnauthorized, http.StatusServiceUnavailable, http.StatusInternalServerError:
	default:
		return errors.New("there is no such operation")
	}
	if mediaType(a.Header) != "application/problem+json" {
		return fmt.Errorf("a problem of the media type %q", mediaType(a.Header))
	}
	if len(a.Body) == 0 { // to HEAD
		return nil
	}
	return c.checkJSON("Problem", a.Body)
}

// checkLines checks the answer to a batch: its head, and as many lines as that says.
func (c *Contract) checkLines(body []byte) error {
	lines := bytes.SplitAfter(body, []byte("\n"))
	if last := lines[len(lines)-1]; len(last) > 0 {
		return errors.New("the last line has no end")
	}
	lines = lines[:len(lines)-1]
	for i, line := range lines {
		schema := "BatchLine"
		if i == 0 {
			schema = "BatchHead"
		}
		if err := c.checkJSON(schema, line); err != nil {
			return fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	var head struct{ Count int }
	if len(lines) == 0 || json.Unmarshal(lines[0], &head) != nil || head.Count != len(lines)-1 {
		return fmt.Errorf("there are %d lines, and not as many as the first says", len(lines))
	}
	return nil
}

func (c *Contract) checkJSON(schema string, data []byte) error {
	ref := c.doc.Components.Schemas[schema]
	if ref == nil {
		return fmt.Errorf("there is no schema %s", schema)
	}
	v, err := openapi3filter.JSONBodyDecoder(bytes.NewReader(data), nil, ref, nil)
	if err != nil {
		return err
	}
	return ref.Value.VisitJSON(v, openapi3.VisitAsResponse(), openapi3.MultiErrors())
}

func mediaType(h http.Header) string {
	kind, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	return kind
}

// Handler is next, with each answer checked before its end is sent, unless next
// flushes it. drift is told of one that is not as promised; if it returns, the answer
// goes its way.
func (c *Contract) Handler(next http.Handler, drift func(error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/console/") { // pages for people, which promise programs nothing
			next.ServeHTTP(w, r)
			return
		}
		asked := r.Clone(r.Context()) // as it came: handlers may mend its headers
		route, _ := c.find(asked)
		witness := &witness{ResponseWriter: w, contract: c, route: route}
		if mediaType(r.Header) == "application/json" {
			var said bytes.Buffer
			asked.Body = io.NopCloser(&said)
			r.Body = tee{r.Body, &said}
		}
		next.ServeHTTP(witness, r)
		if witness.status == 0 {
			witness.WriteHeader(http.StatusOK)
		}
		a := Answer{Status: witness.status, Header: witness.Header()}
		if !witness.opaque {
			a.Body = plain(a.Header, witness.body.Bytes())
		}
		if err := c.Check(asked, a); err != nil && !witness.alone {
			drift(err)
		}
		_ = witness.pass()
	})
}

// plain is a copy of a body without its Content-Encoding.
func plain(h http.Header, body []byte) []byte {
	if h.Get("Content-Encoding") == "gzip" && len(body) > 0 {
		if z, err := gzip.NewReader(bytes.NewReader(body)); err == nil {
			if out, err := io.ReadAll(z); err == nil {
				return out
			}
		}
	}
	return append([]byte{}, body...)
}

// tee is a body that keeps what was read of it.
type tee struct {
	io.ReadCloser
	said *bytes.Buffer
}

func (t tee) Read(p []byte) (int, error) {
	n, err := t.ReadCloser.Read(p)
	t.said.Write(p[:n])
	return n, err
}

// witness sees an answer, and holds back the last piece of it.
type witness struct {
	http.ResponseWriter
	contract *Contract
	route    *routers.Route
	status   int
	opaque   bool // a document: its bytes are nobody's business
	body     bytes.Buffer
	held     []byte
	alone    bool // the caller has left: what is answered may stop anywhere
}

func (w *witness) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
		w.opaque = w.contract.anything(w.route, status, w.Header())
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *witness) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if err := w.pass(); err != nil {
		return 0, err
	}
	w.held = append(w.held, p...)
	if !w.opaque {
		w.body.Write(p)
	}
	return len(p), nil
}

// pass sends what is held back.
func (w *witness) pass() error {
	if len(w.held) == 0 {
		return nil
	}
	_, err := w.ResponseWriter.Write(w.held)
	w.held, w.alone = w.held[:0], w.alone || err != nil
	return err
}

// FlushError is for http.ResponseController.
func (w *witness) FlushError() error {
	if err := w.pass(); err != nil {
		return err
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Unwrap is for http.ResponseController.
func (w *witness) Unwrap() http.ResponseWriter { return w.ResponseWriter }

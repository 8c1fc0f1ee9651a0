package console

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
)

// maxAnswer bounds an answer of the API that a page is made from, in bytes.
const maxAnswer = 32 << 20

// ask is a request to the API, of whoever signed in.
func (v *visit) ask(method, path string, query url.Values, body io.Reader) (*http.Request, error) {
	target := path
	if v.tenant != "" && method == http.MethodGet {
		query = with(query, "tenant", v.tenant)
	}
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	r, err := http.NewRequestWithContext(v.r.Context(), method, target, body)
	if err != nil {
		return nil, err
	}
	r.RequestURI, r.RemoteAddr, r.Host, r.TLS = target, v.r.RemoteAddr, v.r.Host, v.r.TLS
	if r.Body == nil {
		r.Body = http.NoBody
	}
	return r, nil
}

func with(query url.Values, name, value string) url.Values {
	out := url.Values{name: {value}}
	for n, all := range query {
		out[n] = all
	}
	return out
}

// held keeps an answer in memory.
type held struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (h *held) Header() http.Header { return h.header }

func (h *held) WriteHeader(status int) {
	if h.status == 0 {
		h.status = status
	}
}

func (h *held) Write(p []byte) (int, error) {
	h.WriteHeader(http.StatusOK)
	if h.body.Len()+len(p) > maxAnswer {
		return 0, errors.New("an answer of the API is too long for a page")
	}
	return h.body.Write(p)
}

// hold has the API answer a request, and returns the answer if it is no problem.
func (v *visit) hold(r *http.Request) (*held, error) {
	h := &held{header: http.Header{}}
	v.API(h, r, v.who)
	return h, refused(h.status, h.body.Bytes())
}

// get reads what the API has at a path.
func (v *visit) get(path string, query url.Values, into any) error {
	r, err := v.ask(http.MethodGet, path, query, nil)
	if err != nil {
		return err
	}
	h, err := v.hold(r)
	if err != nil {
		return err
	}
	return json.Unmarshal(h.body.Bytes(), into)
}

// send has the API do something. key is the idempotency key; empty: it takes none.
func (v *visit) send(method, path, key string, body, into any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := v.ask(method, path, nil, bytes.NewReader(text))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	h, err := v.hold(r)
	if err != nil || into == nil {
		return err
	}
	return json.Unmarshal(h.body.Bytes(), into)
}

// through hands an answer on to the browser as it comes, unless it is a problem.
type through struct {
	http.ResponseWriter
	problem *held // what is kept back
	own     http.Header
}

func (t *through) Header() http.Header { return t.own }

func (t *through) WriteHeader(status int) {
	if status >= 400 {
		t.problem = &held{header: t.own, status: status}
		return
	}
	for name, values := range t.own {
		switch name {
		case "Cache-Control", "Content-Security-Policy": // the console's are as strict, or stricter
		default:
			t.ResponseWriter.Header()[name] = values
		}
	}
	t.ResponseWriter.WriteHeader(status)
}

func (t *through) Write(p []byte) (int, error) {
	if t.problem != nil {
		return t.problem.Write(p)
	}
	return t.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (t *through) Unwrap() http.ResponseWriter { return t.ResponseWriter }

// pass answers with what the API has at a path.
func (v *visit) pass(path string, query url.Values) error {
	r, err := v.ask(http.MethodGet, path, query, nil)
	if err != nil {
		return err
	}
	for _, name := range []string{"Range", "If-Range"} {
		if text := v.r.Header.Get(name); text != "" {
			r.Header.Set(name, text)
		}
	}
	return v.passed(r)
}

func (v *visit) passed(r *http.Request) error {
	t := &through{ResponseWriter: v.w, own: http.Header{}}
	v.API(t, r, v.who)
	if t.problem != nil {
		return refused(t.problem.status, t.problem.body.Bytes())
	}
	return nil
}

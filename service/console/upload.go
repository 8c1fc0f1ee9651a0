package console

import (
	"net/http"
)

// depositPage is where documents are dropped.
func (v *visit) depositPage() error { return v.show("upload", nil) }

// deposit hands a document on to the API as it comes. The page's script sends it in the form
// that the API takes, so that it is read once, and kept nowhere on the way.
func (v *visit) deposit() error {
	r, err := v.ask(http.MethodPost, "/v1/deposits", nil, v.r.Body)
	if err != nil {
		return err
	}
	r.ContentLength = v.r.ContentLength
	for _, name := range []string{"Content-Type", "Idempotency-Key"} {
		if text := v.r.Header.Get(name); text != "" {
			r.Header.Set(name, text)
		}
	}
	return v.passed(r)
}

package console

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/muniment/muniment/service/api"
)

// fresh is an idempotency key for a form: who sends the form twice does it once.
func fresh() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return "console-" + hex.EncodeToString(b[:])
}

// given is a field of the form; nil: it was left empty.
func (v *visit) given(name string) *string {
	text := strings.TrimSpace(v.r.PostForm.Get(name))
	if text == "" {
		return nil
	}
	return &text
}

// key is the form's idempotency key.
func (v *visit) key() string {
	if key := v.given("key"); key != nil {
		return *key
	}
	return fresh()
}

// act holds, releases or erases a deposit.
func (v *visit) act() error {
	id, act := chi.URLParam(v.r, "id"), chi.URLParam(v.r, "act")
	reason := ""
	if text := v.given("reason"); text != nil {
		reason = *text
	}
	var done api.NoticeAnswer
	err := v.send(http.MethodPost, depositPath(id)+"/"+act, v.key(), api.NoticeRequest{Matter: v.given("matter"), Reason: reason}, &done)
	if err != nil {
		return err
	}
	if len(done.Remains) > 0 {
		return v.redirect(v.to("/deposits/"+id, "remains", "1") + "#standing")
	}
	return v.redirect(v.to("/deposits/"+id) + "#standing")
}

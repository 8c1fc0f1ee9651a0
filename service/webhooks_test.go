package service

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/notary/notarytest"
	"github.com/muniment/muniment/notary/webhook"
	"github.com/muniment/muniment/service/api"
)

// sendJSON sends JSON.
func (h *house) sendJSON(t *testing.T, path, body string, headers ...string) answer {
	t.Helper()
	return h.do(t, http.MethodPost, path, strings.NewReader(body), append([]string{"Content-Type", "application/json"}, headers...)...)
}

func decoded[T any](t *testing.T, a answer, status int) (v T) {
	t.Helper()
	if a.StatusCode != status {
		t.Fatalf("%d: %s", a.StatusCode, a.body)
	}
	must(t, json.Unmarshal(a.body, &v))
	return v
}

// TestWebhooks: a webhook is made, read without its secret, told anew and taken away, by its
// own tenant alone.
func TestWebhooks(t *testing.T) {
	h := newHouse(t)
	a := h.sendJSON(t, "/v1/webhooks", `{"url":"https://loans.example.org/hook","kinds":["deposit"],"labels":["product=home"]}`)
	made := decoded[api.Webhook](t, a, http.StatusCreated)
	if made.Secret == nil || !strings.HasPrefix(*made.Secret, "whsec_") || a.Header.Get("Location") != "/v1/webhooks/"+made.Id || made.Next != 1 {
		t.Errorf("made: %s", a.body)
	}
	path := "/v1/webhooks/" + made.Id
	for _, key := range []string{h.depositor, h.reader} {
		got := decoded[api.Webhook](t, h.do(t, "GET", path, nil, "Authorization", "Bearer "+key), 200)
		list := decoded[api.WebhookList](t, h.do(t, "GET", "/v1/webhooks", nil, "Authorization", "Bearer "+key), 200)
		if got.Secret != nil || got.Url != made.Url || (*got.Labels)[0] != "product=home" || len(list.Webhooks) != 1 || list.Webhooks[0].Secret != nil {
			t.Errorf("read: %+v, %+v", got, list)
		}
	}
	if s := h.log.String(); strings.Contains(s, *made.Secret) {
		t.Error("the log holds the secret")
	}
	for _, w := range h.ledger.Snapshot().Webhooks {
		if strings.Contains(string(w.Sealed), "loans.example.org") {
			t.Error("the ledger holds the URL in the clear")
		}
	}

	stranger := []string{"Authorization", "Bearer " + h.stranger}
	h.do(t, "GET", path, nil, stranger...).problem(t, notFound)
	h.do(t, "DELETE", path, nil, stranger...).problem(t, notFound)
	h.sendJSON(t, path+"/replay", `{"from":0}`, stranger...).problem(t, notFound)
	if list := decoded[api.WebhookList](t, h.do(t, "GET", "/v1/webhooks", nil, stranger...), 200); len(list.Webhooks) != 0 {
		t.Errorf("a stranger lists %+v", list)
	}
	reader := []string{"Authorization", "Bearer " + h.reader}
	h.sendJSON(t, "/v1/webhooks", `{"url":"https://example.org"}`, reader...).problem(t, forbidden)
	h.do(t, "DELETE", path, nil, reader...).problem(t, forbidden)
	h.sendJSON(t, path+"/replay", `{"from":0}`, reader...).problem(t, forbidden)
	h.do(t, "PUT", path, nil).problem(t, methodNotAllowed)

	if got := decoded[api.Webhook](t, h.sendJSON(t, path+"/replay", `{"from":0}`), 200); got.Next != 0 {
		t.Errorf("replayed: %+v", got)
	}
	h.sendJSON(t, path+"/replay", `{"from":1}`).problem(t, invalidWebhook)
	for _, bad := range []string{`{}`, `{"from":0,"dead":true}`, `{"dead":false}`, `{"from":-1}`, `{"from":"0"}`, `[]`, `{"other":1}`} {
		h.sendJSON(t, path+"/replay", bad).problem(t, malformedJSON)
	}
	if a := h.do(t, "DELETE", path, nil); a.StatusCode != http.StatusNoContent {
		t.Errorf("DELETE: %d %s", a.StatusCode, a.body)
	}
	h.do(t, "DELETE", path, nil).problem(t, notFound)
	h.do(t, "GET", path, nil).problem(t, notFound)
	h.do(t, "GET", "/v1/webhooks/x", nil).problem(t, notFound)
}

// TestDeadAreRevived over the API.
func TestDeadAreRevived(t *testing.T) {
	h := newHouse(t)
	made := decoded[api.Webhook](t, h.sendJSON(t, "/v1/webhooks", `{"url":"https://example.org"}`), http.StatusCreated)
	for _, w := range h.ledger.Snapshot().Webhooks {
		w.State = webhook.State{Next: 9, Dead: []webhook.Dead{{Index: 3, Attempts: 11, Reason: "it answered with status 500"}}}.Marshal()
		must(t, h.ledger.SaveWebhook(t.Context(), w))
	}
	path := "/v1/webhooks/" + made.Id
	if got := decoded[api.Webhook](t, h.do(t, "GET", path, nil), 200); len(got.Dead) != 1 || *got.Dead[0].Reason != "it answered with status 500" {
		t.Errorf("dead: %+v", got)
	}
	if got := decoded[api.Webhook](t, h.sendJSON(t, path+"/replay", `{"dead":true}`), 200); len(got.Dead) != 0 || len(got.Waiting) != 1 || got.Waiting[0].Index != 3 || got.Next != 9 {
		t.Errorf("revived: %+v", got)
	}
}

// TestBadWebhooks: what cannot be made is refused with what is wrong.
func TestBadWebhooks(t *testing.T) {
	h := newHouse(t)
	for body, p := range map[string]*problem{
		`{"url":"http://example.org"}`:                                       invalidWebhook,
		`{"url":"https://10.0.0.1/"}`:                                        invalidWebhook,
		`{"url":"https://example.org/` + strings.Repeat("x", 2048) + `"}`:    invalidWebhook,
		`{"url":"https://example.org","kinds":["genesis"]}`:                  invalidWebhook,
		`{"url":"https://example.org","labels":["x"]}`:                       invalidWebhook,
		`{"url":"https://example.org","contracts":[""]}`:                     invalidWebhook,
		`{"url":"https://example.org","contracts":[` + hundred(`"x"`) + `]}`: invalidWebhook,
		`{"url":1}`: malformedJSON, `{}`: malformedJSON, `{"url":"https://example.org","secret":"x"}`: malformedJSON, ``: malformedJSON,
		`{"url":"` + strings.Repeat("x", maxRecord) + `"}`: tooLarge,
	} {
		h.sendJSON(t, "/v1/webhooks", body).problem(t, p)
	}
	h.do(t, "POST", "/v1/webhooks", strings.NewReader(`{}`), "Content-Type", "text/plain").problem(t, unsupportedMediaType)
	for range notary.MaxWebhooks {
		decoded[api.Webhook](t, h.sendJSON(t, "/v1/webhooks", `{"url":"https://example.org"}`), http.StatusCreated)
	}
	h.sendJSON(t, "/v1/webhooks", `{"url":"https://example.org"}`).problem(t, invalidWebhook)
}

func hundred(s string) string { return strings.TrimSuffix(strings.Repeat(s+",", 100), ",") }

// TestWebhooksAreBounded: of many that are made at once no more stay than a tenant may have.
func TestWebhooksAreBounded(t *testing.T) {
	h := newHouse(t)
	var group, looked sync.WaitGroup
	var looks atomic.Int32
	looked.Add(3 * notary.MaxWebhooks)
	h.ledger.Faults.Set(notarytest.Fault{Call: "CreateWebhook", Do: func() { // all have looked before any is made
		if looks.Add(1) <= 3*notary.MaxWebhooks {
			looked.Done()
			looked.Wait()
		}
	}})
	for range 3 * notary.MaxWebhooks {
		group.Go(func() {
			if a := h.sendJSON(t, "/v1/webhooks", `{"url":"https://loans.example.org/hook"}`); a.StatusCode != http.StatusCreated {
				a.problem(t, invalidWebhook)
			}
		})
	}
	group.Wait()
	list := decoded[api.WebhookList](t, h.do(t, "GET", "/v1/webhooks", nil), 200)
	if len(list.Webhooks) > notary.MaxWebhooks {
		t.Errorf("%d webhooks", len(list.Webhooks))
	}
	for len(list.Webhooks) < notary.MaxWebhooks { // and the rest of the room is there
		decoded[api.Webhook](t, h.sendJSON(t, "/v1/webhooks", `{"url":"https://loans.example.org/hook"}`), http.StatusCreated)
		list = decoded[api.WebhookList](t, h.do(t, "GET", "/v1/webhooks", nil), 200)
	}
	h.sendJSON(t, "/v1/webhooks", `{"url":"https://loans.example.org/hook"}`).problem(t, invalidWebhook)
}

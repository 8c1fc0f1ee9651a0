package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/notary/webhook"
	"github.com/muniment/muniment/service/api"
)

// CreateWebhook implements POST /v1/webhooks.
func (s *server) CreateWebhook(w http.ResponseWriter, r *http.Request) {
	made, subscription, err := s.newWebhook(r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	told, err := describe(made, subscription)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	secret := webhook.Secret(subscription.Secret)
	told.Secret = &secret
	w.Header().Set("Location", "/v1/webhooks/"+told.Id)
	private(w, "application/json")
	w.WriteHeader(http.StatusCreated)
	encode(w, told)
}

func (s *server) newWebhook(r *http.Request) (made notary.Webhook, subscription notary.Subscription, err error) {
	who := of(r).principal
	if !who.Role.MaySubscribe() {
		return made, subscription, notary.ErrForbidden
	}
	if subscription, err = s.subscription(r); err != nil {
		return made, subscription, err
	}
	if err := s.roomForWebhook(r.Context(), who.Tenant.ID, 1); err != nil {
		return made, subscription, err
	}
	made, from, err := s.Notary.NewWebhook(r.Context(), who, &subscription)
	invalid := new(notary.InvalidError)
	switch {
	case errors.As(err, &invalid):
		return made, subscription, &refusal{problem: invalidWebhook, detail: invalid.Error(), member: invalid.Member}
	case err != nil:
		return made, subscription, err
	}
	made.State = webhook.State{Next: from}.Marshal()
	if err := stored(s.Webhooks.CreateWebhook(r.Context(), made)); err != nil {
		return made, subscription, err
	}
	// Others may have made theirs meanwhile: whoever finds too many takes its own away.
	if err := s.roomForWebhook(r.Context(), who.Tenant.ID, 0); err != nil {
		return made, subscription, errors.Join(err, stored(s.Webhooks.DeleteWebhook(r.Context(), made.Tenant, made.ID)))
	}
	return made, subscription, nil
}

// roomForWebhook refuses a tenant that would have too many with that many more.
func (s *server) roomForWebhook(ctx context.Context, tenant notary.ID, more int) error {
	there, err := s.Webhooks.Webhooks(ctx, tenant)
	if err != nil {
		return fmt.Errorf("%w: %w", notary.ErrUnavailable, err)
	}
	if len(there)+more > notary.MaxWebhooks {
		return refuse(invalidWebhook, fmt.Sprintf("The tenant may have %d webhooks, and not more. Delete one.", notary.MaxWebhooks))
	}
	return nil
}

// stored is the error of a write that has no business failing.
func stored(err error) error {
	if err == nil || errors.Is(err, notary.ErrNotFound) || errors.Is(err, notary.ErrNoRoom) {
		return err
	}
	return fmt.Errorf("%w: %w", notary.ErrUnavailable, err)
}

// subscription reads the body of POST /v1/webhooks.
func (s *server) subscription(r *http.Request) (sub notary.Subscription, err error) {
	fields, err := s.fields(r, `{"url": "https://…", "kinds": […], "contracts": […], "labels": […]}`, "url", "kinds", "contracts", "labels")
	if err != nil {
		return sub, err
	}
	if fields["url"] == nil {
		return sub, missing("url")
	}
	for name, to := range map[string]any{"url": &sub.URL, "kinds": &sub.Kinds, "contracts": &sub.Contracts, "labels": &sub.Labels} {
		if value := fields[name]; value != nil && json.Unmarshal(value, to) != nil {
			return sub, refuse(malformedJSON, fmt.Sprintf("The field %q is not of the type asked for.", name))
		}
	}
	if err := s.Caller.CheckURL(sub.URL); err != nil {
		return sub, &refusal{problem: invalidWebhook, detail: "url: " + err.Error(), member: "url"}
	}
	return sub, nil
}

// fields reads a small JSON object that has no other fields than these.
func (s *server) fields(r *http.Request, form string, names ...string) (map[string]json.RawMessage, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return nil, refuse(unsupportedMediaType, "Send application/json.")
	}
	b, err := s.body(r, maxRecord, fmt.Sprintf("The body is larger than %d bytes.", maxRecord))
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(b)
	if err != nil {
		return nil, err
	}
	return envelope(data, form, names...)
}

// ListWebhooks implements GET /v1/webhooks.
func (s *server) ListWebhooks(w http.ResponseWriter, r *http.Request) {
	all, err := s.ownWebhooks(r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	list := api.WebhookList{Webhooks: make([]api.Webhook, len(all))}
	for i, hook := range all {
		if list.Webhooks[i], err = s.describe(hook); err != nil {
			s.fail(w, r, err)
			return
		}
	}
	private(w, "application/json")
	encode(w, list)
}

// GetWebhook implements GET /v1/webhooks/{id}.
func (s *server) GetWebhook(w http.ResponseWriter, r *http.Request, id api.WebhookID) {
	hook, err := s.ownWebhook(r, id)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.tellWebhook(w, r, hook)
}

// DeleteWebhook implements DELETE /v1/webhooks/{id}.
func (s *server) DeleteWebhook(w http.ResponseWriter, r *http.Request, id api.WebhookID) {
	err := notary.ErrForbidden
	if who := of(r).principal; who.Role.MaySubscribe() {
		var parsed notary.ID
		if parsed, err = notary.ParseID(id); err == nil {
			err = stored(s.Webhooks.DeleteWebhook(r.Context(), who.Tenant.ID, parsed))
		}
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// ReplayWebhook implements POST /v1/webhooks/{id}/replay.
func (s *server) ReplayWebhook(w http.ResponseWriter, r *http.Request, id api.WebhookID) {
	hook, err := s.replay(r, id)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.tellWebhook(w, r, hook)
}

// replayTries is how often a state that moves on meanwhile is read anew.
const replayTries = 10

func (s *server) replay(r *http.Request, id string) (hook notary.Webhook, err error) {
	if !of(r).principal.Role.MaySubscribe() {
		return hook, notary.ErrForbidden
	}
	change, err := s.replayRequest(r)
	if err != nil {
		return hook, err
	}
	for range replayTries {
		if hook, err = s.ownWebhook(r, id); err != nil {
			return hook, err
		}
		state, err := webhook.ParseState(hook)
		if err != nil {
			return hook, fmt.Errorf("%w: the state of webhook %v", notary.ErrDamaged, hook.ID)
		}
		next := change(state)
		if next.Next > state.Next {
			return hook, &refusal{problem: invalidWebhook, detail: fmt.Sprintf("from: the webhook has come to %d; what lies beyond is told anyway", state.Next), member: "from"}
		}
		hook.State = next.Marshal()
		if err = s.Webhooks.SaveWebhook(r.Context(), hook); !errors.Is(err, notary.ErrConflict) {
			return hook, stored(err)
		}
	}
	return hook, stored(err)
}

// replayRequest reads what is to be told anew.
func (s *server) replayRequest(r *http.Request) (func(webhook.State) webhook.State, error) {
	const form = `{"from": INDEX} or {"dead": true}`
	fields, err := s.fields(r, form, "from", "dead")
	if err != nil {
		return nil, err
	}
	var from *uint64
	var dead bool
	wrong := fields["from"] != nil && json.Unmarshal(fields["from"], &from) != nil || fields["dead"] != nil && json.Unmarshal(fields["dead"], &dead) != nil
	if wrong || (from != nil) == dead {
		return nil, refuse(malformedJSON, "This is not a JSON object of the form "+form+".")
	}
	if dead {
		return webhook.State.Revive, nil
	}
	return func(state webhook.State) webhook.State { return state.Replay(*from) }, nil
}

// ownWebhooks returns the principal's webhooks.
func (s *server) ownWebhooks(r *http.Request) ([]notary.Webhook, error) {
	who := of(r).principal
	if !who.Role.MayRead() {
		return nil, notary.ErrForbidden
	}
	all, err := s.Webhooks.Webhooks(r.Context(), who.Tenant.ID)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", notary.ErrUnavailable, err)
	}
	return all, nil
}

// ownWebhook returns one of them.
func (s *server) ownWebhook(r *http.Request, id string) (notary.Webhook, error) {
	parsed, err := notary.ParseID(id)
	if err != nil {
		return notary.Webhook{}, err
	}
	all, err := s.ownWebhooks(r)
	for _, w := range all {
		if w.ID == parsed {
			return w, nil
		}
	}
	if err == nil {
		err = notary.ErrNotFound
	}
	return notary.Webhook{}, err
}

func (s *server) tellWebhook(w http.ResponseWriter, r *http.Request, hook notary.Webhook) {
	told, err := s.describe(hook)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	private(w, "application/json")
	encode(w, told)
}

func (s *server) describe(hook notary.Webhook) (api.Webhook, error) {
	subscription, err := s.Notary.Subscription(hook)
	if err != nil {
		return api.Webhook{}, err
	}
	return describe(hook, subscription)
}

// describe is a webhook without its secret.
func describe(hook notary.Webhook, subscription notary.Subscription) (api.Webhook, error) {
	state, err := webhook.ParseState(hook)
	if err != nil {
		return api.Webhook{}, fmt.Errorf("%w: the state of webhook %v", notary.ErrDamaged, hook.ID)
	}
	list := func(items []string) *[]string {
		if len(items) == 0 {
			return nil
		}
		return &items
	}
	told := api.Webhook{
		Id: hook.ID.String(), Created: hook.Created, Url: subscription.URL, Next: state.Next,
		Kinds: list(subscription.Kinds), Contracts: list(subscription.Contracts), Labels: list(subscription.Labels),
		Waiting: []api.WebhookAttempt{}, Dead: []api.WebhookAttempt{},
	}
	for _, a := range state.Waiting {
		attempt := api.WebhookAttempt{Index: a.Index, Attempts: a.Attempts}
		if a.Attempts > 0 {
			attempt.Due, attempt.Reason = &a.Due, &a.Reason
		}
		told.Waiting = append(told.Waiting, attempt)
	}
	for _, a := range state.Dead {
		told.Dead = append(told.Dead, api.WebhookAttempt{Index: a.Index, Attempts: a.Attempts, At: &a.At, Reason: &a.Reason})
	}
	return told, nil
}

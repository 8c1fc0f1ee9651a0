package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"slices"

	"github.com/muniment/muniment/notary"
)

// accountsOrder is what an operator wants of tenants and API keys, the body of
// POST /accounts: at most one thing to be done, and then everything is told.
type accountsOrder struct {
	Tenant *notary.Tenant `json:"tenant,omitempty"`
	Key    *notary.APIKey `json:"key,omitempty"`
	// Revoke is the name of a key, "key:" and 16 hex digits, as audit notes and lists have it.
	Revoke string `json:"revoke,omitempty"`
}

// accounts is the answer.
type accounts struct {
	Tenants []notary.Tenant `json:"tenants,omitempty"`
	Keys    []notary.APIKey `json:"keys,omitempty"` // hashes, never the keys
	Error   string          `json:"error,omitempty"`
}

// carryOut does what an order says, on a depository that this process has open.
// It stands in the tenant's trail before it is done.
func (o accountsOrder) carryOut(ctx context.Context, all notary.Accounts, trail notary.Trail) (a accounts, err error) {
	switch {
	case o.Tenant != nil:
		if err = noteCommand(ctx, trail, notary.ActionTenant, o.Tenant.ID); err == nil {
			err = all.CreateTenant(ctx, *o.Tenant)
		}
	case o.Key != nil:
		named := o.Key.Supervises
		if o.Key.Role != notary.Operator {
			named = append(slices.Clone(named), o.Key.Tenant)
		}
		for _, id := range named {
			if _, err = all.Tenant(ctx, id); errors.Is(err, notary.ErrNotFound) {
				return a, fmt.Errorf("there is no tenant %s; munimentd tenant list shows those there are", id)
			}
			if err != nil {
				return a, err
			}
		}
		if err = noteCommand(ctx, trail, notary.ActionKey, o.Key.Tenant); err == nil {
			err = all.CreateAPIKey(ctx, *o.Key)
		}
	case o.Revoke != "":
		err = revoke(ctx, all, trail, o.Revoke)
	}
	if err == nil {
		a.Tenants, err = all.Tenants(ctx)
	}
	if err == nil {
		a.Keys, err = all.APIKeys(ctx)
	}
	return a, err
}

func revoke(ctx context.Context, all notary.Accounts, trail notary.Trail, name string) error {
	keys, err := all.APIKeys(ctx)
	if err != nil {
		return err
	}
	for _, k := range keys {
		if k.Caller() == name {
			if err := noteCommand(ctx, trail, notary.ActionKeyRevoked, k.Tenant); err != nil {
				return err
			}
			return all.DeleteAPIKey(ctx, k.Hash)
		}
	}
	return fmt.Errorf("there is no API key %s; munimentd api-key list shows those there are", name)
}

// accounts answers POST /accounts.
func (c *control) accounts(w http.ResponseWriter, r *http.Request) {
	var o accountsOrder
	var a accounts
	err := json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&o)
	if err == nil {
		a, err = o.carryOut(r.Context(), c.store.Accounts, c.store.Trail)
	}
	if err != nil {
		a = accounts{Error: err.Error()}
	}
	_ = json.NewEncoder(w).Encode(a) // an answer that cannot be written has nobody waiting for it
}

// order has an order carried out, by the running depository where there is one.
func order(ctx context.Context, cfg *config, o accountsOrder) (accounts, error) {
	d, err := open(ctx, cfg, slog.New(slog.NewTextHandler(os.Stderr, nil)), func(err error) {
		fmt.Fprintln(os.Stderr, "munimentd:", err)
		os.Exit(exitFatal)
	})
	if errors.Is(err, errTaken) {
		return askAccounts(ctx, cfg.Dir, o)
	}
	if err != nil {
		return accounts{}, err
	}
	a, err := o.carryOut(ctx, d.store.Accounts, d.store.Trail)
	return a, errors.Join(err, d.close())
}

func askAccounts(ctx context.Context, dir string, o accountsOrder) (a accounts, err error) {
	body, err := json.Marshal(o)
	if err != nil {
		return a, err
	}
	resp, err := askWith(ctx, dir, http.MethodPost, "/accounts", bytes.NewReader(body))
	if err != nil {
		return a, err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
		return a, fmt.Errorf("the depository stopped answering: %w", err)
	}
	if a.Error != "" {
		return a, errors.New(a.Error)
	}
	return a, nil
}

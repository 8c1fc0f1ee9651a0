package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/auth"
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
func (o accountsOrder) carryOut(ctx context.Context, all notary.Accounts) (a accounts, err error) {
	switch {
	case o.Tenant != nil:
		err = all.CreateTenant(ctx, *o.Tenant)
	case o.Key != nil:
		if _, err = all.Tenant(ctx, o.Key.Tenant); errors.Is(err, notary.ErrNotFound) {
			return a, fmt.Errorf("there is no tenant %s; munimentd tenant list shows those there are", o.Key.Tenant)
		}
		if err == nil {
			err = all.CreateAPIKey(ctx, *o.Key)
		}
	case o.Revoke != "":
		err = revoke(ctx, all, o.Revoke)
	}
	if err == nil {
		a.Tenants, err = all.Tenants(ctx)
	}
	if err == nil {
		a.Keys, err = all.APIKeys(ctx)
	}
	return a, err
}

func revoke(ctx context.Context, all notary.Accounts, name string) error {
	keys, err := all.APIKeys(ctx)
	if err != nil {
		return err
	}
	for _, k := range keys {
		if k.Caller() == name {
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
		a, err = o.carryOut(r.Context(), c.store.Accounts)
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
	a, err := o.carryOut(ctx, d.store.Accounts)
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

func tenantCommand() *cobra.Command {
	c := &cobra.Command{Use: "tenant", Short: "Create tenants and list them"}
	c.AddCommand(tenantCreateCommand(), tenantListCommand())
	return c
}

func tenantCreateCommand() *cobra.Command {
	var t notary.Tenant
	c := &cobra.Command{
		Use:   "create --dir DIR --name NAME",
		Short: "Take on a lender or a court, with keys of its own",
		Long: `Create a tenant, its key file DIR/keys/tenants/<id>.key, and nothing else: API keys for it
come from munimentd api-key create. Its name, its registered number, and how and by whom its
identity was established, stand in the record of each of its deposits from the first on,
and are not changed afterwards. A mistyped USCC or LEI is refused. A running depository
knows it at once.

Where replicas run with keys directories of their own, copy the key file to each BEFORE the
first API key is created. Back it up: what it sealed nobody can read without it.

Exit code 0: created. 2: it was not.`,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := loadConfig(c)
			if err != nil {
				return err
			}
			if err := checkTenant(t); err != nil {
				return err
			}
			if t, err = newTenant(c.Context(), cfg, t); err != nil {
				return err
			}
			return tell(c, struct {
				ID           string `json:"id"`
				Name         string `json:"name"`
				Registration string `json:"registration,omitempty"`
				Verified     string `json:"verified,omitempty"`
				VerifiedBy   string `json:"verified_by,omitempty"`
				KeyFile      string `json:"key_file"`
			}{t.ID.String(), t.Name, t.Registration, t.Verified, t.VerifiedBy, tenantKeyPath(cfg.Dir, t.ID)},
				"tenant:   %s\nname:     %s\nkey file: %s\n", t.ID, t.Name, tenantKeyPath(cfg.Dir, t.ID))
		},
	}
	settingFlags(c, onlyDir)
	c.Flags().StringVar(&t.Name, "name", "", "legal `name`, as it will stand in each record (required)")
	c.Flags().StringVar(&t.Registration, "registration", "", "registered `number`, such as a USCC or an LEI")
	c.Flags().StringVar(&t.Verified, "verified", "", "`how` its identity was established, such as 'business licence seen, transfer of 0.01 from its account'")
	c.Flags().StringVar(&t.VerifiedBy, "verified-by", "", "by `whom`; goes with --verified")
	c.Flags().Bool("json", false, "print one JSON object")
	return c
}

// maxTenantText bounds what stands of a tenant in each record, in bytes.
const maxTenantText = 1000

// checkTenant refuses what should not stand in the records of decades.
func checkTenant(t notary.Tenant) error {
	if strings.TrimSpace(t.Name) == "" {
		return errors.New("--name is the tenant's legal name, and required")
	}
	if (t.Verified == "") != (t.VerifiedBy == "") {
		return errors.New("--verified and --verified-by go together")
	}
	for _, s := range []string{t.Name, t.Registration, t.Verified, t.VerifiedBy} {
		if _, err := proofs.Text(s); err != nil || len(s) > maxTenantText || s != printable(s) {
			return fmt.Errorf("%.40q cannot stand in a record: it has control characters, blanks around it, or more than %d bytes", s, maxTenantText)
		}
	}
	return checkRegistration(t.Registration)
}

// newTenant makes the key file first: a tenant without one could not be served.
func newTenant(ctx context.Context, cfg *config, t notary.Tenant) (notary.Tenant, error) {
	t.Created = time.Now().UTC().Truncate(time.Millisecond)
	var err error
	if t.ID, err = notary.NewID(t.Created, rand.Reader); err != nil {
		return t, err
	}
	keys, err := cfg.tenantKeys()
	if err != nil {
		return t, err
	}
	if err := keys.create(ctx, t.ID); err != nil {
		return t, err
	}
	_, err = order(ctx, cfg, accountsOrder{Tenant: &t})
	return t, err
}

func tenantListCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "list --dir DIR",
		Short: "List the tenants",
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := loadConfig(c)
			if err != nil {
				return err
			}
			a, err := order(c.Context(), cfg, accountsOrder{})
			if err != nil {
				return err
			}
			return tellAll(c, a.Tenants, "TENANT\tNAME\tREGISTRATION\tCREATED", func(t notary.Tenant) (any, []string) {
				return struct {
						ID           string    `json:"id"`
						Name         string    `json:"name"`
						Registration string    `json:"registration,omitempty"`
						Verified     string    `json:"verified,omitempty"`
						VerifiedBy   string    `json:"verified_by,omitempty"`
						Created      time.Time `json:"created"`
					}{t.ID.String(), t.Name, t.Registration, t.Verified, t.VerifiedBy, t.Created},
					[]string{t.ID.String(), t.Name, t.Registration, t.Created.Format(time.DateOnly)}
			})
		},
	}
	settingFlags(c, onlyDir)
	c.Flags().Bool("json", false, "print one JSON object a line")
	return c
}

func apiKeyCommand() *cobra.Command {
	c := &cobra.Command{Use: "api-key", Short: "Create API keys, list them, take them away"}
	c.AddCommand(apiKeyCreateCommand(), apiKeyListCommand(), apiKeyRevokeCommand())
	return c
}

// roles are those that API keys can have.
var roles = []notary.Role{notary.Depositor, notary.Compliance}

func apiKeyCreateCommand() *cobra.Command {
	var tenant, role, name string
	var days int
	c := &cobra.Command{
		Use:   "create --dir DIR --tenant ID --role ROLE",
		Short: "Create an API key, which is shown once",
		Long: `Create an API key of a tenant and print it. It is shown once: the depository keeps its hash.
A running depository takes it at once.

Roles: depositor deposits and reads; compliance reads, holds, releases and erases. An erasure
takes two keys of the role compliance, so give each person one of their own.

To rotate a key, create another, change the caller, and revoke the first: both are taken
meanwhile.

Exit code 0: created. 2: it was not.`,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := loadConfig(c)
			if err != nil {
				return err
			}
			k := notary.APIKey{Role: notary.Role(role), Name: name, Created: time.Now().UTC().Truncate(time.Millisecond)}
			if k.Tenant, err = notary.ParseID(tenant); err != nil {
				return errors.New("--tenant is the id of a tenant; munimentd tenant list shows those there are")
			}
			if k.Role != notary.Depositor && k.Role != notary.Compliance {
				return fmt.Errorf("--role is one of %q", roles)
			}
			if days < 0 || days > 36500 {
				return errors.New("--days is 1 to 36,500, or 0 for a key without an end")
			}
			if days > 0 {
				k.Expires = k.Created.AddDate(0, 0, days)
			}
			text, hash := auth.NewKey()
			k.Hash = hash
			if _, err := order(c.Context(), cfg, accountsOrder{Key: &k}); err != nil {
				return err
			}
			return tell(c, printedKey(k, text), "api-key: %s\nname:    %s\nrole:    %s\nends:    %s\n", text, k.Caller(), k.Role, endOf(k))
		},
	}
	settingFlags(c, onlyDir)
	f := c.Flags()
	f.StringVar(&tenant, "tenant", "", "the tenant's `id` (required)")
	f.StringVar(&role, "role", "", "`role`: depositor or compliance (required)")
	f.StringVar(&name, "name", "", "`name` by which you will know it, such as the person's or the system's")
	f.IntVar(&days, "days", 0, "`days` until it ends; 0: it does not")
	f.Bool("json", false, "print one JSON object")
	return c
}

// keyLine is what JSON says of a key; its names are stable.
type keyLine struct {
	APIKey  string    `json:"api_key,omitempty"` // when it was created, and never again
	ID      string    `json:"id"`
	Tenant  string    `json:"tenant"`
	Role    string    `json:"role"`
	Name    string    `json:"name,omitempty"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires,omitzero"`
	SHA256  string    `json:"sha256"`
}

func printedKey(k notary.APIKey, text string) keyLine {
	return keyLine{text, k.Caller(), k.Tenant.String(), string(k.Role), k.Name, k.Created, k.Expires, hex.EncodeToString(k.Hash[:])}
}

func endOf(k notary.APIKey) string {
	if k.Expires.IsZero() {
		return "never"
	}
	return k.Expires.Format(time.DateOnly)
}

func apiKeyListCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "list --dir DIR",
		Short: "List the API keys, by name and hash",
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := loadConfig(c)
			if err != nil {
				return err
			}
			a, err := order(c.Context(), cfg, accountsOrder{})
			if err != nil {
				return err
			}
			return tellAll(c, a.Keys, "KEY\tTENANT\tROLE\tCREATED\tENDS\tNAME", func(k notary.APIKey) (any, []string) {
				return printedKey(k, ""), []string{k.Caller(), k.Tenant.String(), string(k.Role), k.Created.Format(time.DateOnly), endOf(k), k.Name}
			})
		},
	}
	settingFlags(c, onlyDir)
	c.Flags().Bool("json", false, "print one JSON object a line")
	return c
}

func apiKeyRevokeCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "revoke --dir DIR KEY",
		Short: "Take an API key away",
		Long: `Take an API key away, named as munimentd api-key list names it: key: and 16 hex digits. No
replica takes it five seconds later, and no recovery brings it back.

Exit code 0: it is gone. 2: it is not.`,
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := loadConfig(c)
			if err != nil {
				return err
			}
			if _, err := order(c.Context(), cfg, accountsOrder{Revoke: args[0]}); err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s is taken away; a running depository refuses it within five seconds\n", args[0])
			return err
		},
	}
	settingFlags(c, onlyDir)
	c.Args = cobra.ExactArgs(1)
	return c
}

// tell prints one result, as JSON or in words.
func tell(c *cobra.Command, object any, words string, args ...any) error {
	if asJSON, err := c.Flags().GetBool("json"); err != nil || asJSON {
		return errors.Join(err, json.NewEncoder(c.OutOrStdout()).Encode(object))
	}
	_, err := fmt.Fprintf(c.OutOrStdout(), words, args...)
	return err
}

// tellAll prints many, as lines of JSON or as a table.
func tellAll[T any](c *cobra.Command, all []T, heads string, line func(T) (object any, columns []string)) error {
	if asJSON, err := c.Flags().GetBool("json"); err != nil || asJSON {
		e := json.NewEncoder(c.OutOrStdout())
		for _, one := range all {
			object, _ := line(one)
			err = errors.Join(err, e.Encode(object))
		}
		return err
	}
	w := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, heads)
	for _, one := range all {
		_, columns := line(one)
		for i := range columns { // names are the operator's own; a terminal takes no control characters from them
			columns[i] = printable(columns[i])
		}
		fmt.Fprintln(w, strings.Join(columns, "\t"))
	}
	return w.Flush()
}

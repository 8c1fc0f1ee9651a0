package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/service/auth"
)

func apiKeyCommand() *cobra.Command {
	c := &cobra.Command{Use: "api-key", Short: "Create API keys, list them, take them away"}
	c.AddCommand(apiKeyCreateCommand(), apiKeyListCommand(), apiKeyRevokeCommand())
	return c
}

// keyFlags are what api-key create is told.
type keyFlags struct {
	tenant, role, name string
	supervises         []string
	days               int
}

// key is the key that is wanted, without its hash.
func (f keyFlags) key(now time.Time) (k notary.APIKey, err error) {
	k = notary.APIKey{Role: notary.Role(f.role), Name: f.name, Created: now.UTC().Truncate(time.Millisecond)}
	if !slices.Contains(notary.Roles, k.Role) {
		return k, fmt.Errorf("--role is one of %q", notary.Roles)
	}
	switch k.Tenant, err = notary.ParseID(f.tenant); {
	case k.Role == notary.Operator && f.tenant != "":
		return k, errors.New("an operator is of no tenant: leave --tenant out")
	case k.Role == notary.Operator:
	case err != nil:
		return k, errors.New("--tenant is the id of a tenant; munimentd tenant list shows those there are")
	}
	if (len(f.supervises) > 0) != (k.Role == notary.Auditor) || len(f.supervises) > notary.MaxSupervised {
		return k, fmt.Errorf("--supervises names 1 to %d tenants for --role auditor, and for no other", notary.MaxSupervised)
	}
	for _, text := range f.supervises {
		id, err := notary.ParseID(text)
		if err != nil {
			return k, errors.New("--supervises is ids of tenants; munimentd tenant list shows those there are")
		}
		k.Supervises = append(k.Supervises, id)
	}
	if f.days < 0 || f.days > 36500 {
		return k, errors.New("--days is 1 to 36,500, or 0 for a key without an end")
	}
	if f.days > 0 {
		k.Expires = k.Created.AddDate(0, 0, f.days)
	}
	return k, nil
}

func apiKeyCreateCommand() *cobra.Command {
	var wanted keyFlags
	c := &cobra.Command{
		Use:   "create --dir DIR --role ROLE [--tenant ID]",
		Short: "Create an API key, which is shown once",
		Long: `Create an API key and print it. It is shown once: the depository keeps its hash.
A running depository takes it at once.

Roles:
  depositor   deposits, and reads its tenant's deposits
  compliance  reads, holds, releases and erases them, and opens them to courts. An erasure
              takes two keys of this role, so give each person one of their own
  auditor     reads the deposits of the tenants that --supervises names, and nothing else.
              --tenant is the supervisor itself: create a tenant for it first
  court       reads what was opened to it. --tenant is the court itself
  operator    creates tenants and keys over HTTP (/v1/tenants, /v1/keys), and reads no
              deposit. It is of no tenant. A key of the role compliance, auditor or operator
              that is asked for over HTTP is confirmed by another operator: make two

To rotate a key, create another, change the caller, and revoke the first: both are taken
meanwhile.

Exit code 0: created. 2: it was not.`,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := loadConfig(c)
			if err != nil {
				return err
			}
			k, err := wanted.key(time.Now())
			if err != nil {
				return err
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
	f.StringVar(&wanted.tenant, "tenant", "", "the tenant's `id` (required but for an operator)")
	f.StringVar(&wanted.role, "role", "", "`role`: depositor, compliance, auditor, court or operator (required)")
	f.StringSliceVar(&wanted.supervises, "supervises", nil, "`ids` of the tenants that an auditor reads, with commas between them")
	f.StringVar(&wanted.name, "name", "", "`name` by which you will know it, such as the person's or the system's")
	f.IntVar(&wanted.days, "days", 0, "`days` until it ends; 0: it does not")
	f.Bool("json", false, "print one JSON object")
	return c
}

// keyLine is what JSON says of a key; its names are stable.
type keyLine struct {
	APIKey  string    `json:"api_key,omitempty"` // when it was created, and never again
	ID      string    `json:"id"`
	Tenant  string    `json:"tenant,omitempty"` // none of an operator
	Role    string    `json:"role"`
	Name    string    `json:"name,omitempty"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires,omitzero"`
	SHA256  string    `json:"sha256"`

	Supervises  []string `json:"supervises,omitempty"`
	AskedBy     string   `json:"asked_by,omitempty"` // over HTTP
	ConfirmedBy string   `json:"confirmed_by,omitempty"`
	Waits       bool     `json:"waits,omitempty"` // for another operator to confirm it
}

func printedKey(k notary.APIKey, text string) keyLine {
	l := keyLine{
		APIKey: text, ID: k.Caller(), Role: string(k.Role), Name: k.Name, Created: k.Created, Expires: k.Expires, SHA256: hex.EncodeToString(k.Hash[:]),
		AskedBy: k.AskedBy, ConfirmedBy: k.ConfirmedBy, Waits: k.Pending(),
	}
	if k.Tenant != (notary.ID{}) {
		l.Tenant = k.Tenant.String()
	}
	for _, id := range k.Supervises {
		l.Supervises = append(l.Supervises, id.String())
	}
	return l
}

func tenantColumn(k notary.APIKey) string {
	if k.Tenant == (notary.ID{}) {
		return "-"
	}
	return k.Tenant.String()
}

func endOf(k notary.APIKey) string {
	switch {
	case k.Pending():
		return "unconfirmed"
	case k.Expires.IsZero():
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
				return printedKey(k, ""), []string{k.Caller(), tenantColumn(k), string(k.Role), k.Created.Format(time.DateOnly), endOf(k), k.Name}
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

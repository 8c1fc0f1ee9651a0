package main

import (
	"encoding/hex"
	"errors"
	"fmt"
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

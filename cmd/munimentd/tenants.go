package main

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/notary"
)

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
			if err := t.Check(); err != nil {
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

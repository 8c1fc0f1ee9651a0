package main

import (
	"fmt"
	"log/slog"
	"slices"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/storage"
)

func migrateCommand() *cobra.Command {
	var back int64
	c := &cobra.Command{
		Use:   "migrate --dir DIR",
		Short: "Bring the schema of a ledger in PostgreSQL up to date",
		Long: `Create the schema and roles of a ledger in PostgreSQL, and of an anchor in a database of
its own (anchor.postgres.url), or bring older ones up to date.
munimentd init does it for a new depository; serve never does, and refuses an old
schema. The login must be allowed to create what is missing. Several may run at a
time. A ledger in the directory needs no migration.

--back-to takes the schema of the ledger back to an older version, for the munimentd
before this one, should it be needed again: rows, seals and documents stay, and what only
the newer one kept (webhooks, the second tree) is dropped. Stop the newer one first.

Exit code 0: the schema is up to date, or back. 2: it is not.`,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := loadConfig(c)
			if err != nil {
				return err
			}
			anchored := slices.Contains(cfg.Anchors, "postgres") && cfg.AnchorPG.URL != ""
			if cfg.Ledger != "postgres" && !anchored {
				_, err := fmt.Fprintln(c.OutOrStdout(), "the ledger is in the directory: there is nothing to migrate")
				return err
			}
			if back > 0 {
				if err := storage.MigrateBack(c.Context(), cfg.storage(slog.New(slog.DiscardHandler), nil), back); err != nil {
					return err
				}
				_, err := fmt.Fprintf(c.OutOrStdout(), "schema %s is back at version %d\n", cfg.Postgres.Schema, back)
				return err
			}
			if err := storage.Migrate(c.Context(), cfg.storage(slog.New(slog.DiscardHandler), nil)); err != nil {
				return err
			}
			if cfg.Ledger == "postgres" {
				_, err = fmt.Fprintf(c.OutOrStdout(), "schema %s is up to date\n", cfg.Postgres.Schema)
			}
			if anchored {
				_, err = fmt.Fprintf(c.OutOrStdout(), "schema %s of the anchor is up to date\n", cfg.AnchorPG.Schema)
			}
			return err
		},
	}
	settingFlags(c, onlyDir)
	c.Flags().Int64Var(&back, "back-to", 0, "take the ledger's schema back to this older version")
	return c
}

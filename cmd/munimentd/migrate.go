package main

import (
	"fmt"
	"log/slog"
	"slices"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/storage"
)

func migrateCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "migrate --dir DIR",
		Short: "Bring the schema of a ledger in PostgreSQL up to date",
		Long: `Create the schema and roles of a ledger in PostgreSQL, and of an anchor in a database of
its own (anchor.postgres.url), or bring older ones up to date.
munimentd init does it for a new depository; serve never does, and refuses an old
schema. The login must be allowed to create what is missing. Several may run at a
time. A ledger in the directory needs no migration.

Exit code 0: the schema is up to date. 2: it is not.`,
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
	return c
}

package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/proofs/approval"
)

func approversCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "approvers",
		Short: "Name those without whom the log's key, a tenant's key and a lost ledger are not touched",
		Long: `Where approvers are named, these are done only with a note that a quorum of them signed, and
the note stands in the log: key rotate begin and finish, tenant-key rotate, recover, restore,
import, and a change of the approvers themselves. Asked of recover --new-origin, it stands in
the marker of the log that was ended. Asked for without one, each writes a request, to be signed
with muniment approve. It is for this log, these parameters, once, and for 24 hours.

It protects against one operator alone with the commands of this program. Whoever has root and
the keys can sign and write without it; but then the log shows a rotation without an
approval, to everyone (munimentd approvers verify).`,
	}
	c.AddCommand(approversSetCommand(), approversShowCommand(), approversVerifyCommand())
	return c
}

func approversSetCommand() *cobra.Command {
	var keys, files []string
	var quorum int
	c := &cobra.Command{
		Use:   "set --dir DIR --quorum N --key VKEY…",
		Short: "Put a list of approvers in force; those before must approve of it",
		Long: `Write the list into the log and into DIR/approvers; on each other replica, put the same file.
The first list needs nobody's approval, each later one that of the quorum before.

A ledger in the directory belongs to one process: stop munimentd serve for it.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := loadConfig(c)
			if err != nil {
				return err
			}
			var vkeys []proofs.VerifierKey
			for _, text := range keys {
				k, err := proofs.ParseVerifierKey(text)
				if err != nil {
					return fmt.Errorf("--key %q: %w", text, err)
				}
				vkeys = append(vkeys, k)
			}
			list, err := approval.NewApprovers(quorum, vkeys...)
			if err != nil {
				return err
			}
			if err := setApprovers(c.Context(), cfg, list, files); err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%d of %d approve from now on; munimentd serve seals it\n", list.Quorum, len(list.Keys))
			return err
		},
	}
	settingFlags(c, onlyDir)
	c.Flags().IntVar(&quorum, "quorum", 2, "how many of them must approve")
	c.Flags().StringArrayVar(&keys, "key", nil, "vkey of an approver, as muniment approve --new-key prints it; repeated")
	approvalFlag(c, &files)
	return c
}

func setApprovers(ctx context.Context, cfg *config, list approval.Approvers, files []string) error {
	return withDepository(ctx, cfg, func(d *depository) error {
		logged, err := notary.Approvers(ctx, d.config)
		if err != nil {
			return err
		}
		if n := len(logged); n == 0 || logged[n-1].List != list.String() {
			s, err := readApprovers(cfg.Dir, logged, false)
			if err != nil {
				return err
			}
			sum := sha256.Sum256([]byte(list.String()))
			a := consent{"approvers-set", map[string]string{"quorum": strconv.Itoa(list.Quorum), "approvers": strconv.Itoa(len(list.Keys)), "sha256": hex.EncodeToString(sum[:])}, files}
			for i, k := range list.Keys {
				a.parameters["key."+strconv.Itoa(100+i)] = k.String()
			}
			ok, err := a.approve(ctx, cfg.Dir, d.config.Policy.Logs[0].Name, d.newest, s)
			if err != nil {
				return err
			}
			if err := notary.NameApprovers(ctx, d.config, list.String(), ok.note, n); err != nil {
				return err
			}
			if err := ok.used(); err != nil {
				return err
			}
		}
		return replaceFile(approversPath(cfg.Dir), []byte(list.String()), 0o644)
	})
}

func approversShowCommand() *cobra.Command {
	var log bool
	c := &cobra.Command{
		Use:   "show --dir DIR",
		Short: "Show who approves",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := loadConfig(c)
			if err != nil {
				return err
			}
			return withApprovers(c.Context(), cfg, func(logged []notary.NamedApprovers) error {
				if len(logged) == 0 {
					return errors.New("nobody is named who approves")
				}
				if !log {
					if _, err := readApprovers(cfg.Dir, logged, false); err != nil {
						return err
					}
				}
				_, err := io.WriteString(c.OutOrStdout(), logged[len(logged)-1].List)
				return err
			})
		},
	}
	settingFlags(c, onlyDir)
	c.Flags().BoolVar(&log, "log", false, "as the log says, whatever DIR/approvers says")
	return c
}

// withApprovers reads the log's lists, of a running depository too.
func withApprovers(ctx context.Context, cfg *config, f func([]notary.NamedApprovers) error) error {
	return withDepositoryOr(ctx, cfg, func(d *depository) error {
		logged, err := notary.Approvers(ctx, d.config)
		if err != nil {
			return err
		}
		return f(logged)
	}, func() error {
		s, err := askState(ctx, cfg.Dir)
		if err != nil {
			return err
		}
		return f(s.Approvers)
	})
}

func approversVerifyCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "verify --dir DIR",
		Short: "Name each change of keys or approvers in the log that was not approved",
		Long: `Hold every entry of kind key, and every list of approvers, against the list that was in force
before it. Those of before the first list need no approval.

A ledger in the directory belongs to one process: stop munimentd serve for it.

Exit code 0: all were approved. 1: some were not, and are named. 2: it could not be told.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := loadConfig(c)
			if err != nil {
				return err
			}
			var wrong []string
			err = withDepository(c.Context(), cfg, func(d *depository) error {
				wrong, err = unapproved(c.Context(), d)
				return err
			})
			if err != nil {
				return err
			}
			for _, what := range wrong {
				fmt.Fprintln(c.OutOrStdout(), "WRONG:", what)
			}
			if len(wrong) > 0 {
				return exitError(exitFound)
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), "CLEAN: every change since the first list was approved")
			return err
		},
	}
	settingFlags(c, onlyDir)
	return c
}

// unapproved names what changed keys or approvers without the approval that it needed.
func unapproved(ctx context.Context, d *depository) (wrong []string, err error) {
	lists, err := notary.Approvers(ctx, d.config)
	if err != nil {
		return nil, err
	}
	changes, err := notary.KeyChanges(ctx, d.config)
	if err != nil {
		return nil, err
	}
	origin := d.config.Policy.Logs[0].Name
	check := func(index uint64, what, note, operation string) error {
		var before string
		for _, l := range lists {
			if l.Index < index {
				before = l.List
			}
		}
		if before == "" {
			return nil
		}
		list, err := approval.ParseApprovers(before)
		if err != nil {
			return fmt.Errorf("%w: a list of approvers: %w", notary.ErrDamaged, err)
		}
		r, n, err := approval.Open([]byte(note))
		if err == nil {
			_, err = list.Check(n)
		}
		if err == nil && (r.Operation != operation || r.Origin != origin) {
			err = approval.ErrOther
		}
		if err != nil {
			wrong = append(wrong, fmt.Sprintf("entry %d, %s, was not approved: %v", index, what, err))
		}
		return nil
	}
	for _, l := range lists {
		err = errors.Join(err, check(l.Index, "a list of approvers", l.Note, "approvers-set"))
	}
	for _, k := range changes {
		operation := "key-rotate-begin"
		if k.Retired {
			operation = "key-rotate-finish"
		}
		err = errors.Join(err, check(k.Index, "a change of the log's key", k.Approval, operation))
	}
	return wrong, err
}

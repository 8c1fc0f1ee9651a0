package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/auth"
)

type recoverOptions struct {
	Mirrors    []string
	Receipts   []string
	Newest     []string
	DryRun     bool
	NewAPIKeys bool
	Approvals  []string
	newOriginOptions
}

// recovered is what recover tells.
type recovered struct {
	Dir    string `json:"dir"`
	DryRun bool   `json:"dry_run"`
	*notary.Rebuild
	Size     uint64 `json:"size"` // entries that are sealed, all of which the ledger has now
	Root     string `json:"root"`
	Restored uint64 `json:"restored"` // entries that it did not have before
	// Accounts were brought back from their copies, Tenants made anew from records.
	Accounts struct {
		Tenants int `json:"tenants"`
		APIKeys int `json:"api_keys"`
	} `json:"accounts"`
	Tenants []string `json:"tenants,omitempty"`
	APIKeys []newKey `json:"api_keys,omitempty"`
	Strays  []string `json:"tenants_without_deposits,omitempty"` // known by their key files alone
}

type newKey struct {
	Tenant string `json:"tenant"`
	Name   string `json:"name"`
	APIKey string `json:"api_key"`
}

func recoverCommand() *cobra.Command {
	var o recoverOptions
	var asJSON bool
	c := &cobra.Command{
		Use:   "recover --dir DIR",
		Short: "Rebuild a ledger that was lost, or is behind its anchor",
		Long: `Rebuild the ledger until it has the root that the anchors hold: from the segments in the
object store, and where those are missing from copies of the public entries. The
ledger may be empty (a fresh directory, or munimentd migrate on a fresh database), or
an older backup. First a way to the sealed root is proved, entry by entry; only then
is anything written, and only what leads there. No anchor is ever written to. When it
is interrupted, run it again: it goes on from what is there.

  --mirror PATH|URL    a log in tlog-tiles layout: the folder or address that has
                       tile/entries/; may be repeated
  --receipts PATH      a receipt, or a folder of receipts; may be repeated
  --newest FILE        a receipt or checkpoint newer than the anchors, if one is known

Tenants and API keys come from their copies in the object store; a key that was asked for
over HTTP and that nobody had confirmed is lost. What was opened to courts stands in the
log, and comes back with it.

An entry from a mirror or a receipt stands in the log again, alone: every receipt stays
good, but what was private of it (record, document, idempotency key) cannot be had,
and is named.

If nothing leads to the sealed root, nothing is written. A log that went on from less
would fork. It can only be ended, and another one begun, whose first entry names it:

  munimentd recover --dir DIR --new-origin NAME --new-dir NEW --freeze ORIGIN --because lost|key-stolen

Exit code 0: the ledger has all that is sealed. 1: it has, or with --dry-run would have,
and private parts were lost, which are named. 2: it could not be rebuilt, and nothing was
written but what an interrupted run had committed.`,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := loadConfig(c)
			if err != nil {
				return err
			}
			if o.asked() {
				made, err := o.run(c.Context(), cfg, o, newBar(c.ErrOrStderr()))
				if err != nil {
					return err
				}
				return made.print(c.OutOrStdout(), asJSON)
			}
			bar := newBar(c.ErrOrStderr())
			made, err := recoverLedger(c.Context(), cfg, o, bar)
			bar.end()
			if err != nil {
				return err
			}
			return made.print(c.OutOrStdout(), asJSON)
		},
	}
	settingFlags(c, onlyDir)
	f := c.Flags()
	f.StringArrayVar(&o.Mirrors, "mirror", nil, "folder or URL of a mirror of the log; may be repeated")
	f.StringArrayVar(&o.Receipts, "receipts", nil, "receipt, or folder of receipts; may be repeated")
	f.StringArrayVar(&o.Newest, "newest", nil, "receipt, checkpoint or anchor that shows how far the log had come; may be repeated")
	f.BoolVar(&o.DryRun, "dry-run", false, "prove the way and tell what would be lost; write nothing")
	approvalFlag(c, &o.Approvals)
	f.BoolVar(&o.NewAPIKeys, "new-api-keys", false, "make a new API key for each tenant, and show it this once")
	o.flags(f)
	f.BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

// recoverLedger rebuilds the ledger.
func recoverLedger(ctx context.Context, cfg *config, o recoverOptions, bar *bar) (made *recovered, err error) {
	d, err := openForRecovery(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	from, err := o.recovery(ctx, d, bar)
	if err != nil {
		return nil, err
	}
	way, err := notary.PlanRebuild(ctx, from)
	if errors.Is(err, notary.ErrUnreachable) {
		return nil, fmt.Errorf("%w. Nothing was written. Name more: --mirror, --receipts, an older or newer copy of the bucket; "+
			"if nothing is left, see munimentd recover --help for how the log is ended", err)
	}
	if err != nil {
		return nil, err
	}
	ok, err := o.approved(ctx, cfg, d, way)
	if err != nil {
		return nil, err
	}
	made = &recovered{Dir: cfg.Dir, DryRun: o.DryRun, Rebuild: way, Size: way.Sealed.Size, Root: way.Sealed.Root.String()}
	if !o.DryRun {
		if err := made.run(ctx, d); err != nil {
			return nil, err
		}
		if ok.note != "" {
			if err := notary.WriteApproval(ctx, d.config, ok.note, ok.nonce); err != nil {
				return nil, fmt.Errorf("the ledger is rebuilt, and its approval is not in the log: %w", err)
			}
		}
		if err := ok.used(); err != nil {
			return nil, err
		}
	}
	made.Restored = made.Size - min(made.Size, way.Had)
	if o.DryRun {
		return made, nil
	}
	return made, made.accounts(ctx, d, cfg.Dir, o.NewAPIKeys)
}

// approved has a recovery approved where DIR/approvers names somebody: the log's own word on
// who approves is what is lost.
func (o recoverOptions) approved(ctx context.Context, cfg *config, d *depository, way *notary.Rebuild) (approved, error) {
	if o.DryRun || way.Had >= way.Sealed.Size {
		return approved{}, nil
	}
	s, err := readApprovers(cfg.Dir, nil, true)
	if err != nil {
		return approved{}, err
	}
	a := consent{"recover", map[string]string{"sealed.size": strconv.FormatUint(way.Sealed.Size, 10), "sealed.root": way.Sealed.Root.String()}, o.Approvals}
	return a.approve(ctx, cfg.Dir, d.config.Policy.Logs[0].Name, d.newest, s)
}

// run brings back who may call, and then the rows.
func (r *recovered) run(ctx context.Context, d *depository) (err error) {
	if err := d.signOut(ctx); err != nil {
		return err
	}
	if r.Had >= r.Size {
		return nil
	}
	if d.store.Segments != nil {
		r.Accounts.Tenants, r.Accounts.APIKeys, err = notary.RestoreAccounts(ctx, d.store.Accounts, d.store.Segments, r.Origin)
		if err != nil {
			return err
		}
	}
	err = r.Run(ctx)
	for _, t := range r.Rebuild.Tenants {
		r.Tenants = append(r.Tenants, t.ID.String())
	}
	return err
}

// openForRecovery opens what is there, and lays out an embedded ledger that is missing.
func openForRecovery(ctx context.Context, cfg *config) (*depository, error) {
	if err := frozen(cfg.Dir); err != nil {
		return nil, err
	}
	if cfg.Ledger == "pebble" {
		if _, err := readPolicy(cfg.Dir); err != nil {
			return nil, fmt.Errorf("%w; put keys, policy and settings back first, from where they are kept apart", err)
		}
		if err := os.Mkdir(filepath.Join(cfg.Dir, "ledger"), 0o700); err != nil && !errors.Is(err, os.ErrExist) {
			return nil, err
		}
	}
	return open(ctx, cfg, slog.New(slog.DiscardHandler), func(err error) {
		fmt.Fprintln(os.Stderr, "munimentd:", err)
		os.Exit(exitFatal)
	})
}

// recovery gathers what the ledger may be rebuilt from.
func (o recoverOptions) recovery(ctx context.Context, d *depository, bar *bar) (notary.Recovery, error) {
	from := notary.Recovery{Config: d.config, Accounts: d.store.Accounts, Progress: bar.show}
	key := d.config.Policy.Logs[0]
	for _, path := range o.Newest {
		k, err := readKnown(path, key)
		if err != nil {
			return from, err
		}
		from.Known = append(from.Known, k.checkpoint)
	}
	for _, at := range o.Mirrors {
		m, err := openMirror(at)
		if err != nil {
			return from, err
		}
		from.Sources = append(from.Sources, m)
	}
	for _, path := range o.Receipts {
		r, err := readReceipts(ctx, path, d.config.Policy)
		if err != nil {
			return from, err
		}
		from.Sources = append(from.Sources, r)
		from.Known = append(from.Known, r.newest...)
	}
	return from, nil
}

// accounts tells which tenants are known by their key files alone, and makes new keys.
func (r *recovered) accounts(ctx context.Context, d *depository, dir string, newKeys bool) error {
	tenants, err := d.store.Accounts.Tenants(ctx)
	if err != nil {
		return err
	}
	there := map[string]bool{notary.ID{}.String(): true, canaryTenant.ID.String(): true}
	for _, t := range tenants {
		there[t.ID.String()] = true
		if !newKeys || t.ID == canaryTenant.ID {
			continue
		}
		key, hash := auth.NewKey()
		err := d.store.Accounts.CreateAPIKey(ctx, notary.APIKey{Hash: hash, Tenant: t.ID, Role: notary.Depositor, Created: t.Created})
		if err != nil {
			return err
		}
		r.APIKeys = append(r.APIKeys, newKey{t.ID.String(), t.Name, key})
	}
	names, err := keyFiles(filepath.Join(dir, "keys"))
	if err != nil {
		return err
	}
	for _, name := range names {
		id, isTenant := tenantOfKeyFile(name)
		if isTenant && !there[id] {
			r.Strays = append(r.Strays, id)
		}
	}
	return nil
}

func tenantOfKeyFile(name string) (string, bool) {
	base := filepath.Base(name)
	id := base[:len(base)-len(filepath.Ext(base))]
	_, err := notary.ParseID(id)
	return id, err == nil
}

// maxTold bounds what is told line by line.
const maxTold = 100

func (r *recovered) print(w io.Writer, asJSON bool) error {
	if asJSON {
		if err := json.NewEncoder(w).Encode(r); err != nil {
			return err
		}
	} else {
		r.tell(w)
	}
	if !r.Clean() {
		return exitError(exitFound)
	}
	return nil
}

func (r *recovered) tell(w io.Writer) {
	fmt.Fprintf(w, `log        %s
sealed     %d entries
root       %s
had        %d entries
restored   %d entries, from %d segments
`, r.Origin, r.Size, r.Root, r.Had, r.Restored, r.Segments)
	tellLost(w, "ALONE", r.Alone)
	tellLost(w, "LOST", r.Lost)
	if a := r.Accounts; a.Tenants+a.APIKeys > 0 {
		fmt.Fprintf(w, "accounts   %d tenants and %d API keys brought back\n", a.Tenants, a.APIKeys)
	}
	for _, t := range r.Tenants {
		fmt.Fprintf(w, "tenant     %s made anew\n", t)
	}
	for _, k := range r.APIKeys {
		fmt.Fprintf(w, "api-key    %s of tenant %s, shown this once\n", k.APIKey, k.Tenant)
	}
	for _, id := range r.Strays {
		fmt.Fprintf(w, "NOTE: tenant %s has a key file and no deposit; its name is not known any more\n", id)
	}
	if len(r.Tenants) > 0 && len(r.APIKeys) == 0 {
		fmt.Fprintln(w, "NOTE: API keys of tenants that were made anew are lost: munimentd recover --new-api-keys makes new ones")
	}
	switch {
	case r.DryRun && r.Had >= r.Size, !r.DryRun && r.Restored == 0:
		fmt.Fprintln(w, "WHOLE: the ledger has all that is sealed")
	case r.DryRun:
		fmt.Fprintln(w, "REACHABLE: nothing was written; without --dry-run the ledger is rebuilt")
	default:
		fmt.Fprintf(w, "RECOVERED: munimentd serve --dir %s\n", r.Dir)
	}
}

func tellLost(w io.Writer, what string, list []notary.LostRange) {
	for i, l := range list {
		if i == maxTold {
			fmt.Fprintf(w, "%s: and %d more runs of entries; --json names them\n", what, len(list)-i)
			break
		}
		fmt.Fprintf(w, "%s: entries %d to %d: %s\n", what, l.From, l.To-1, l.Why)
	}
}

// stateOfLog is the newest state that the anchors hold.
func stateOfLog(ctx context.Context, anchors []notary.Anchor, origin string) (newest proofs.Checkpoint, err error) {
	for i, a := range anchors {
		held, err := a.Load(ctx)
		if err != nil {
			return newest, fmt.Errorf("reading anchor %d: %w", i, err)
		}
		cp, err := proofs.ParseCheckpoint(string(held))
		if err != nil || cp.Origin != origin {
			return newest, fmt.Errorf("anchor %d holds no checkpoint of %s", i, origin)
		}
		if i == 0 || cp.Size > newest.Size {
			newest = cp
		}
	}
	return newest, nil
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/storage"
	"github.com/muniment/muniment/storage/dir"
)

type importOptions struct {
	From         string
	Keys         string
	Newest       []string
	NothingNewer bool
	DryRun       bool
	Approvals    []string
}

// imported is what import tells.
type imported struct {
	archived
	Dir    string `json:"dir"`
	DryRun bool   `json:"dry_run,omitempty"`
}

const (
	// importedName is the mark in an archive that was imported: a final one makes one house.
	importedName = "imported"
	// importingName is the mark in a directory whose import has not come to its end.
	importingName = "importing"
)

func importCommand() *cobra.Command {
	var o importOptions
	var asJSON bool
	c := &cobra.Command{
		Use:   "import --dir DIR --from ARCHIVE",
		Short: "Fill the engines that the settings name from an archive",
		Long: `Make a depository of an archive that munimentd export wrote, on the engines that the
settings in DIR/munimentd.yaml name, whichever it came from: same entries, same root, so
every receipt stays good, and every Idempotency-Key stands for what it stood for, but for
those of deposits that were erased before they were first exported. The archive is checked
whole before anything is written. An import that is interrupted goes on when it is run
again.

A log must go on in one house alone. An archive of export --final comes from a log that
was ended there, and can be imported once: the archive is marked. Any other is a copy of a
log that went on; who imports it says by --nothing-newer that no deposit was answered after
it was taken and none will be there again, or shows by --newest how far the log had come.
If that is farther than the archive, nothing is imported.

Where the log names approvers, DIR is served only with their approval, which is for DIR alone.
Who they are is known once the log is there: run it again with what they have signed.

--keys names the key files, as DIR/keys was, unless they are in the archive.

Exit code 0: DIR can be served. 2: nothing, or not all, was imported.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := loadConfig(c)
			if err != nil {
				return err
			}
			bar := newBar(c.ErrOrStderr())
			made, err := importArchive(c.Context(), cfg, o, bar)
			bar.end()
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(c.OutOrStdout()).Encode(made)
			}
			return made.print(c.OutOrStdout())
		},
	}
	settingFlags(c, onlyDir)
	c.Flags().StringVar(&o.From, "from", "", "directory of the archive (required)")
	c.MarkFlagRequired("from")
	c.Flags().StringVar(&o.Keys, "keys", "", "directory of the key files, as DIR/keys was (default: those in the archive)")
	c.Flags().StringArrayVar(&o.Newest, "newest", nil, "receipt or checkpoint that shows how far the log had come; may be repeated")
	c.Flags().BoolVar(&o.NothingNewer, "nothing-newer", false, "assert that no deposit was answered after the archive was written")
	c.Flags().BoolVar(&o.DryRun, "dry-run", false, "check the archive whole, and write nothing")
	approvalFlag(c, &o.Approvals)
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

func (m *imported) print(w io.Writer) error {
	fmt.Fprintf(w, "origin     %s\nentries    %d\nroot       %s\ndocuments  %d, %d bytes\n", m.Origin, m.Size, m.Root, m.Documents.Count, m.Documents.Bytes)
	if m.DryRun {
		_, err := fmt.Fprintln(w, "SOUND: the archive is whole; nothing was written")
		return err
	}
	_, err := fmt.Fprintf(w, "IMPORTED: munimentd serve --dir %s goes on with it; munimentd fsck re-hashes every document\n", m.Dir)
	return err
}

func importArchive(ctx context.Context, cfg *config, o importOptions, bar *bar) (*imported, error) {
	a, err := openArchive(o.From)
	if err != nil {
		return nil, err
	}
	if err := a.check(ctx, bar); err != nil {
		return nil, err
	}
	m := &imported{archived: a.about, Dir: cfg.Dir, DryRun: o.DryRun}
	if o.DryRun {
		return m, nil
	}
	house, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, err
	}
	if err := a.mayGoOn(house, o); err != nil {
		return nil, err
	}
	if err := a.settle(ctx, cfg, o); err != nil {
		return nil, err
	}
	if err := a.moveIn(ctx, cfg, o.Approvals, bar); err != nil {
		return nil, err
	}
	// Marked before it may be served: a second house must not follow.
	if err := replaceFile(filepath.Join(a.path, importedName), []byte(house+"\n"), 0o600); err != nil {
		return nil, fmt.Errorf("the archive cannot be marked as imported: %w", err)
	}
	if err := os.Remove(filepath.Join(cfg.Dir, importingName)); err != nil {
		return nil, err
	}
	return m, syncDir(cfg.Dir)
}

// mayGoOn refuses an archive from which the log could go on in two houses. The one that it
// was imported into may come to its end: until then nothing is served there.
func (a *archive) mayGoOn(house string, o importOptions) error {
	if to, err := os.ReadFile(filepath.Join(a.path, importedName)); err == nil {
		_, half := os.Stat(filepath.Join(house, importingName))
		if half == nil && string(bytes.TrimSpace(to)) == house {
			return nil
		}
		return fmt.Errorf("the archive was imported before, into %s: a log that goes on in two houses forks. If that house is gone for good and answered no deposit, delete %s",
			bytes.TrimSpace(to), filepath.Join(a.path, importedName))
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	policy, err := readPolicy(a.path)
	if err != nil {
		return err
	}
	shown := false
	for _, path := range o.Newest {
		k, err := readKnown(path, policy.Logs[0])
		if err != nil {
			return err
		}
		if k.checkpoint.Size > a.sealed.Size {
			return fmt.Errorf("%s shows a log of %d entries, and the archive has %d: what is missing stands in receipts; export again", path, k.checkpoint.Size, a.sealed.Size)
		}
		if k.checkpoint.Size == a.sealed.Size && k.checkpoint.Root != a.sealed.Root {
			return fmt.Errorf("%s shows another log of %d entries: it has forked", path, k.checkpoint.Size)
		}
		shown = shown || k.checkpoint.Size == a.sealed.Size
	}
	if !a.about.Final && !o.NothingNewer && !shown {
		return errors.New("the archive is a copy of a log that went on where it was taken: export it with --final, or show by --newest that it is the newest, or say --nothing-newer if that house is gone")
	}
	return nil
}

// dropUnfinished takes away what newFile was killed over.
func dropUnfinished(dir string) error {
	left, err := filepath.Glob(filepath.Join(dir, newFilePrefix+"*"))
	for _, path := range left {
		err = errors.Join(err, os.Remove(path))
	}
	return err
}

// settle lays out directory and engines, or what an earlier run has left to do of it.
func (a *archive) settle(ctx context.Context, cfg *config, o importOptions) error {
	if err := makeDir(cfg.Dir); err != nil {
		return err
	}
	mark := filepath.Join(cfg.Dir, importingName)
	there, err := os.ReadFile(mark)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := vacant(cfg.Dir); err != nil {
			return err
		}
		if err := newFile(mark, a.note); err != nil {
			return err
		}
	case err != nil:
		return err
	case !bytes.Equal(there, a.note):
		return fmt.Errorf("%s holds the beginning of another import", cfg.Dir)
	}
	if err := dropUnfinished(cfg.Dir); err != nil { // also of a run that ended right after its mark
		return err
	}
	keys := o.Keys
	if keys == "" {
		if keys = filepath.Join(a.path, "secrets"); !a.about.Keys {
			return errors.New("the keys are not in the archive: name them by --keys")
		}
	}
	if err := copySecrets(ctx, keys, filepath.Join(cfg.Dir, "keys")); err != nil {
		return err
	}
	for _, name := range []string{"policies", "policy"} {
		if err := a.bring(name, cfg.Dir); err != nil {
			return err
		}
	}
	s := cfg.storage(slog.New(slog.DiscardHandler), nil)
	if err := storage.Migrate(ctx, s); err != nil {
		return err
	}
	for _, folder := range []struct {
		name string
		here bool
	}{{"ledger", cfg.Ledger == "pebble"}, {"blobs", cfg.Blobs == "dir"}} {
		if folder.here {
			if err := makeDir(filepath.Join(cfg.Dir, folder.name)); err != nil {
				return err
			}
		}
	}
	return a.anchors(ctx, s)
}

// bring copies a file, or the files of a folder.
func (a *archive) bring(name, to string) error {
	from := filepath.Join(a.path, name)
	info, err := os.Stat(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !info.IsDir() {
		data, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		return replaceFile(filepath.Join(to, name), data, 0o644)
	}
	names, err := regularFiles(from)
	if err == nil {
		err = makeDir(filepath.Join(to, name))
	}
	for _, file := range names {
		if err == nil {
			err = a.bring(filepath.Join(name, file), to)
		}
	}
	return err
}

// anchors makes every register hold what is imported: the ledger is behind them until all
// of it is there, and nothing is signed meanwhile.
func (a *archive) anchors(ctx context.Context, s storage.Config) error {
	body := []byte(a.sealed.String())
	for _, r := range s.Registers() {
		err := storage.CreateAnchor(ctx, r, body)
		if errors.Is(err, notary.ErrExists) || errors.Is(err, fs.ErrExist) {
			var there []byte
			if there, err = storage.ReadAnchor(ctx, r); err == nil && !bytes.Equal(there, body) {
				err = errors.New("it holds another state: import never writes over a depository; name another schema and prefix")
			}
		}
		if err != nil {
			return fmt.Errorf("anchor %s: %w", r, err)
		}
	}
	return nil
}

// moveIn fills the engines.
func (a *archive) moveIn(ctx context.Context, cfg *config, approvals []string, bar *bar) error {
	d, err := open(ctx, cfg, slog.New(slog.DiscardHandler), func(err error) {
		fmt.Fprintln(os.Stderr, "munimentd:", err)
		os.Exit(exitFatal)
	})
	if err != nil {
		return err
	}
	err = a.fillEngines(ctx, d, bar)
	if err == nil {
		err = a.approved(ctx, d, cfg.Dir, approvals)
	}
	return errors.Join(err, d.close())
}

// approved has those whom the log names approve of its going on here. Until they have, the
// directory stays marked as one whose import has not come to its end.
func (a *archive) approved(ctx context.Context, d *depository, dir string, files []string) error {
	ok, err := d.houseApproval(ctx, "import", dir, dir, files, a.sealed)
	if err == nil {
		err = d.nameAgain(ctx, dir)
	}
	if err == nil {
		err = d.writeHouseApproval(ctx, dir, ok)
	}
	return err
}

func (a *archive) fillEngines(ctx context.Context, d *depository, bar *bar) error {
	c := d.config
	c.Segments = a.segments
	way, err := notary.PlanRebuild(ctx, notary.Recovery{Config: c, Accounts: d.store.Accounts, Known: []proofs.Checkpoint{a.sealed}, Progress: bar.show})
	if err != nil {
		return err
	}
	if _, _, err := notary.RestoreAccounts(ctx, d.store.Accounts, a.segments, a.sealed.Origin); err != nil {
		return err
	}
	if err := way.Run(ctx); err != nil {
		return err
	}
	if !way.Clean() {
		return fmt.Errorf("private parts of %d ranges of entries do not open under these keys: are they this depository's?", len(way.Alone)+len(way.Lost))
	}
	blobs, err := dir.OpenBlobs(dir.Config{Dir: filepath.Join(a.path, "blobs")})
	if err != nil {
		return err
	}
	_, err = bringDocuments(ctx, d.config, blobs, d.store.Blobs, bar)
	if err = errors.Join(err, blobs.Close()); err != nil {
		return err
	}
	if err := a.attest(ctx, d); err != nil {
		return err
	}
	if err := a.restoreTrail(ctx, d.store.Trail); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return d.store.Ledger.Publish(ctx, a.sealed.Size, a.note)
}

// attest brings time-stamps, renewals and webhooks back.
func (a *archive) attest(ctx context.Context, d *depository) error {
	stamp := func(data []byte) error {
		var s notary.Stamp
		if err := json.Unmarshal(data, &s); err != nil {
			return err
		}
		return d.store.Ledger.Stamp(ctx, s)
	}
	renewal := func(data []byte) error {
		var r notary.Renewal
		if err := json.Unmarshal(data, &r); err != nil {
			return err
		}
		return d.store.Ledger.Renew(ctx, r)
	}
	hook := func(data []byte) error {
		var w notary.Webhook
		if err := json.Unmarshal(data, &w); err != nil {
			return err
		}
		return d.store.Webhooks.CreateWebhook(ctx, w)
	}
	for _, kind := range []struct {
		folder string
		put    func([]byte) error
	}{{"stamps", stamp}, {"renewals", renewal}, {"webhooks", hook}} {
		names, err := regularFiles(filepath.Join(a.path, kind.folder))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		for _, name := range names {
			data, err := os.ReadFile(filepath.Join(a.path, kind.folder, name))
			if err == nil {
				err = kind.put(data)
			}
			if err != nil && !errors.Is(err, notary.ErrExists) {
				return fmt.Errorf("%s/%s: %w", kind.folder, name, err)
			}
		}
	}
	return nil
}

package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/storage/dir"
)

type exportOptions struct {
	To       string
	WithKeys bool
	Final    bool
}

func exportCommand() *cobra.Command {
	var o exportOptions
	var asJSON bool
	c := &cobra.Command{
		Use:   "export --dir DIR --to ARCHIVE",
		Short: "Write the whole depository into an archive that any engine can be filled from",
		Long: `Write rows, documents, seals, time-stamps, tenants and the hashes of API keys, up to the
newest published checkpoint, into the directory ARCHIVE, whatever engines keep them.
munimentd import makes a depository of it on the same engines or on others; sha256sum -c
SHA256SUMS checks it without us. What is there already from an export that was
interrupted, or from an earlier one, is kept, and only what is new is written; what was
erased, revoked or replaced since is taken out.

A depository in the directory must be stopped for it; one in PostgreSQL and S3 goes on.

--final is for moving house: stop every munimentd serve first. It ends the log HERE, so
that nothing can be deposited in two houses, and then exports all of it. Without it the
archive is a copy; who imports a copy must know that the log does not go on elsewhere.

The keys are left out. --with-keys puts the key files in.

Exit code 0: ARCHIVE is whole and checked. 2: it is not.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := loadConfig(c)
			if err != nil {
				return err
			}
			bar := newBar(c.ErrOrStderr())
			made, err := exportArchive(c.Context(), cfg, o, bar)
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
	c.Flags().StringVar(&o.To, "to", "", "directory of the archive (required)")
	c.MarkFlagRequired("to")
	c.Flags().BoolVar(&o.WithKeys, "with-keys", false, "put the key files into the archive: whoever has it can then read every document and sign for the log")
	c.Flags().BoolVar(&o.Final, "final", false, "end the log here first: it goes on where the archive is imported")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

func (a *archived) print(w io.Writer) error {
	fmt.Fprintf(w, "origin     %s\nentries    %d\nroot       %s\ndocuments  %d, %d bytes\ntenants    %d, with %d API keys\ntime-stamps %d\n",
		a.Origin, a.Size, a.Root, a.Documents.Count, a.Documents.Bytes, a.Tenants, a.APIKeys, a.Stamps)
	if !a.Keys {
		fmt.Fprintln(w, "keys       NOT in the archive: import wants them by --keys")
	}
	verdict := "EXPORTED: a copy; the log goes on here"
	if a.Final {
		verdict = "EXPORTED: the log has ended here, and goes on where this is imported, once"
	}
	_, err := fmt.Fprintf(w, "%s\n", verdict)
	return err
}

// moved is why a log ended that was exported for good.
const moved = "moved"

func exportArchive(ctx context.Context, cfg *config, o exportOptions, bar *bar) (made *archived, err error) {
	e, err := readFrozen(cfg.Dir)
	if err == nil && e != nil && (e.Because != moved || !o.Final) {
		err = frozen(cfg.Dir)
	}
	if err == nil {
		err = makeDir(o.To)
	}
	if err == nil {
		err = apart(o.To, cfg.Dir)
	}
	if err != nil {
		return nil, err
	}
	err = withDepository(ctx, cfg, func(d *depository) error {
		made, err = d.export(ctx, cfg, o, bar)
		return err
	})
	return made, err
}

// export fills the archive. Its own description goes first and comes last, so that it is
// whole or says that it is not.
func (d *depository) export(ctx context.Context, cfg *config, o exportOptions, bar *bar) (*archived, error) {
	if err := os.Remove(filepath.Join(o.To, archiveName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := dropHalfWritten(o.To); err != nil {
		return nil, err
	}
	if o.Final {
		release, err := notary.Hold(ctx, d.config.Peers, rand.Reader)
		if err != nil {
			return nil, err
		}
		defer release()
	}
	if err := noteExport(ctx, d); err != nil {
		return nil, err
	}
	a := &archive{path: o.To, about: archived{Format: archiveFormat, Time: time.Now().UTC(), Keys: o.WithKeys}}
	if err := a.take(ctx, d); err != nil {
		return nil, err
	}
	if o.Final {
		if err := d.moveOut(ctx, cfg, a.sealed); err != nil {
			return nil, err
		}
		a.about.Final = true
	}
	if err := a.fill(ctx, cfg, d, bar); err != nil {
		return nil, err
	}
	about, err := json.MarshalIndent(a.about, "", "  ")
	if err != nil {
		return nil, err
	}
	about = append(about, '\n')
	if err := sumAll(ctx, a.path, about, bar); err != nil {
		return nil, err
	}
	if a.about.Final {
		if err := d.unmoved(ctx, a.sealed); err != nil {
			return nil, err
		}
	}
	if err := replaceFile(filepath.Join(a.path, archiveName), about, 0o600); err != nil {
		return nil, err
	}
	// What was written is believed no more than what somebody else brings.
	whole, err := openArchive(a.path)
	if err == nil {
		err = whole.check(ctx, bar)
	}
	if err != nil {
		return nil, errors.Join(err, os.Remove(filepath.Join(a.path, archiveName)))
	}
	return &a.about, nil
}

// dropHalfWritten takes away the files that an export which was interrupted was writing:
// summed as part of the archive, they would be missing from it once they are replaced.
func dropHalfWritten(root string) error {
	return filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() && strings.HasSuffix(path, halfWritten) {
			err = os.Remove(path)
		}
		return err
	})
}

// take learns which state is exported: the newest that is published.
func (a *archive) take(ctx context.Context, d *depository) error {
	note, err := d.store.Ledger.Published(ctx)
	if err != nil {
		return fmt.Errorf("reading the published checkpoint: %w; start munimentd serve once", err)
	}
	cp, outcome, reason := proofs.NewVerifier(d.config.Policy.LogAlone()).Checkpoint(note)
	if outcome != proofs.Verified {
		return fmt.Errorf("the published checkpoint: %s", reason)
	}
	a.note, a.sealed = note, cp
	a.about.Origin, a.about.Size, a.about.Root = cp.Origin, cp.Size, cp.Root.String()
	a.segments, err = dir.OpenSegments(a.path)
	return err
}

// moveOut ends the log here. All that was committed must be in what leaves.
func (d *depository) moveOut(ctx context.Context, cfg *config, cp proofs.Checkpoint) error {
	head, err := d.store.Ledger.Head(ctx)
	if err != nil {
		return err
	}
	newest, err := stateOfLog(ctx, d.config.Anchors, cp.Origin)
	if err != nil {
		return err
	}
	if head.Size != cp.Size || newest.Size != cp.Size || newest.Root != cp.Root {
		return fmt.Errorf("%d entries are committed, %d sealed and %d published: start munimentd serve, stop it again in peace, and begin anew", head.Size, newest.Size, cp.Size)
	}
	if e, err := readFrozen(cfg.Dir); err != nil || e != nil {
		return err // ended by an export that was interrupted
	}
	text, err := json.Marshal(&ended{Origin: cp.Origin, Size: cp.Size, Root: cp.Root.String(), Because: moved, Time: proofs.FormatTime(time.Now())})
	if err != nil {
		return err
	}
	if d.store.Segments != nil {
		if err := d.store.Segments.Freeze(ctx, cp.Origin, text); err != nil {
			return err
		}
	}
	return writeFile(filepath.Join(cfg.Dir, frozenName), append(text, '\n'), 0o644)
}

// unmoved makes sure that nothing was committed since: a replica on another copy of the
// directory does not see there that the log has ended.
func (d *depository) unmoved(ctx context.Context, cp proofs.Checkpoint) error {
	head, err := d.store.Ledger.Head(ctx)
	if err == nil && head.Size != cp.Size {
		err = fmt.Errorf("the ledger has %d entries by now, and %d were exported: a munimentd serve was started meanwhile. Stop it, and find out what it committed", head.Size, cp.Size)
	}
	return err
}

// fill brings everything over.
func (a *archive) fill(ctx context.Context, cfg *config, d *depository, bar *bar) (err error) {
	if err := replaceFile(filepath.Join(a.path, noteName), a.note, 0o600); err != nil {
		return err
	}
	if err := a.policies(cfg); err != nil {
		return err
	}
	if err := os.RemoveAll(filepath.Join(a.path, "secrets")); err != nil {
		return err
	}
	if a.about.Keys {
		if err := copySecrets(ctx, filepath.Join(cfg.Dir, "keys"), filepath.Join(a.path, "secrets")); err != nil {
			return err
		}
	}
	c := d.config
	c.Segments = a.segments
	if err := notary.CopyRows(ctx, c, a.sealed, func(done, total uint64) { bar.show("entries", done, total) }); err != nil {
		return err
	}
	a.about.Tenants, a.about.APIKeys, err = notary.CopyAccounts(ctx, d.store.Accounts, a.segments, a.sealed.Origin)
	if err != nil {
		return err
	}
	if err := errors.Join(a.stamps(ctx, d), a.webhooks(ctx, d)); err != nil {
		return err
	}
	if err := a.trail(ctx, d.store.Trail); err != nil {
		return err
	}
	if err := makeDir(filepath.Join(a.path, "blobs")); err != nil {
		return err
	}
	blobs, err := dir.OpenBlobs(dir.Config{Dir: filepath.Join(a.path, "blobs")})
	if err != nil {
		return err
	}
	c.Blobs = blobs
	if err = notary.DropOrphans(ctx, c); err == nil {
		a.about.Documents, err = bringDocuments(ctx, d.config, d.store.Blobs, blobs, bar)
	}
	return errors.Join(err, blobs.Close())
}

func (a *archive) policies(cfg *config) error {
	data, err := os.ReadFile(filepath.Join(cfg.Dir, "policy"))
	if err == nil {
		err = replaceFile(filepath.Join(a.path, "policy"), data, 0o644)
	}
	if err != nil {
		return err
	}
	names, err := regularFiles(policiesPath(cfg.Dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = makeDir(policiesPath(a.path))
	}
	for _, name := range names {
		if err != nil {
			break
		}
		if data, err = os.ReadFile(filepath.Join(policiesPath(cfg.Dir), name)); err == nil {
			err = replaceFile(filepath.Join(policiesPath(a.path), name), data, 0o644)
		}
	}
	return err
}

// copySecrets copies the key files of one directory to another.
func copySecrets(ctx context.Context, from, to string) error {
	if err := makeDir(filepath.Join(to, "tenants")); err != nil {
		return err
	}
	names, err := keyFiles(from)
	if err != nil {
		return err
	}
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(from, name))
		if err == nil {
			err = replaceFile(filepath.Join(to, name), data, 0o600)
		}
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}

// put writes one thing into a file of its own.
func (a *archive) put(folder, name string, v any) error {
	text, err := json.Marshal(v)
	if err == nil {
		err = makeDir(filepath.Join(a.path, folder))
	}
	if err == nil {
		err = replaceFile(filepath.Join(a.path, folder, name), text, 0o600)
	}
	return err
}

// stamps brings time-stamps and their renewals; what was dated meanwhile is left.
func (a *archive) stamps(ctx context.Context, d *depository) error {
	a.about.Stamps, a.about.Renewals = 0, 0
	for from := uint64(0); ; {
		stamps, err := d.store.Ledger.Stamps(ctx, from, 1000)
		if err != nil {
			return err
		}
		for _, s := range stamps {
			if s.Size > a.sealed.Size {
				return nil
			}
			renewals, err := d.store.Ledger.Renewals(ctx, s.Size)
			if err != nil {
				return err
			}
			for _, r := range renewals {
				if r.First != s.Size {
					continue // it comes with its first
				}
				if err := a.put("renewals", fmt.Sprintf("%016x", r.Number), r); err != nil {
					return err
				}
				a.about.Renewals++
			}
			if err := a.put("stamps", fmt.Sprintf("%016x", s.Size), s); err != nil {
				return err
			}
			a.about.Stamps++
		}
		if len(stamps) < 1000 {
			return nil
		}
		from = stamps[len(stamps)-1].Size + 1
	}
}

// webhooks brings those that there are now, and no other stays from an export before.
func (a *archive) webhooks(ctx context.Context, d *depository) error {
	if err := os.RemoveAll(filepath.Join(a.path, "webhooks")); err != nil {
		return err
	}
	hooks, err := d.store.Webhooks.Webhooks(ctx, notary.ID{})
	if err != nil {
		return err
	}
	for _, w := range hooks {
		if err := a.put("webhooks", w.ID.String(), w); err != nil {
			return err
		}
	}
	a.about.Webhooks = len(hooks)
	return nil
}

// bringDocuments brings every document that a ledger knows from one store to another, as it
// is encrypted. One that is there with the same size stays.
func bringDocuments(ctx context.Context, c notary.Config, from, to notary.Blobs, bar *bar) (all tally, err error) {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(copiers)
	sizes := make(chan int64)
	summed := make(chan tally)
	go func() {
		var t tally
		for n := range sizes {
			t.add(n)
		}
		summed <- t
	}()
	walk := notary.HeldDocuments(ctx, c.Ledger, c.TenantKey, func(done, total uint64) { bar.show("entries looked through for documents", done, total) },
		func(_ uint64, name string) error {
			group.Go(func() error {
				n, err := bringDocument(ctx, from, to, name)
				if err == nil {
					sizes <- n
				}
				return err
			})
			return ctx.Err()
		})
	err = errors.Join(group.Wait(), walk)
	close(sizes)
	return <-summed, err
}

func bringDocument(ctx context.Context, from, to notary.Blobs, name string) (int64, error) {
	in, err := from.Open(ctx, name)
	if err != nil {
		return 0, fmt.Errorf("the document %s: %w", name, err)
	}
	defer in.Close()
	if there, err := to.Open(ctx, name); err == nil {
		defer there.Close()
		if there.Size() != in.Size() {
			return 0, fmt.Errorf("the document %s is there with %d bytes, not %d", name, there.Size(), in.Size())
		}
	} else if !errors.Is(err, notary.ErrNotFound) {
		return 0, err
	} else if _, err := to.Put(ctx, name, io.NewSectionReader(in, 0, in.Size())); err != nil {
		return 0, fmt.Errorf("copying the document %s: %w", name, err)
	}
	return in.Size(), to.Retain(ctx, name, time.Now(), time.Time{})
}

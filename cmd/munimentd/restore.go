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
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/storage"
	"github.com/muniment/muniment/storage/dir"
)

type restoreOptions struct {
	From         string
	Dir          string
	LogKey       logKeyConfig
	Anchors      []storage.AnchorConfig // that the settings name; none: the one in the directory
	Keys         string
	Newest       []string
	NothingNewer bool
	Approvals    []string
}

// restored is what restore tells.
type restored struct {
	Dir       string         `json:"dir"`
	Origin    string         `json:"origin"`
	Size      uint64         `json:"size"`
	Root      string         `json:"root"`
	Documents tally          `json:"documents"`
	Anchor    uint64         `json:"anchor"`            // size that the anchor now holds
	Anchors   []registered   `json:"anchors,omitempty"` // those elsewhere, as they are now
	Newest    string         `json:"newest,omitempty"`  // the file, or the anchor, that showed it
	Behind    uint64         `json:"behind"`            // entries that are sealed and not in the backup
	Missing   []string       `json:"documents_missing,omitempty"`
	Fsck      *notary.Report `json:"fsck"`
}

func restoreCommand() *cobra.Command {
	var o restoreOptions
	var asJSON bool
	c := &cobra.Command{
		Use:   "restore --from TARGET --dir DIR --newest FILE",
		Short: "Bring a backup back, checked whole, into a new directory",
		Long: `Copy the backup in TARGET to DIR, which must be missing or empty, compare each file
with the backup's manifest, and re-hash everything as fsck does. DIR is there when
all of it fits, and not before.

A log that goes on from an old backup would give numbers a second time that stand in
receipts already, under other roots: it would fork, and every receipt would be in
doubt. So restore must be shown how far the log had come, by one or more --newest:

  the anchor that survived      OLD/anchor/anchor
  the newest receipt            any file .tlog-proof that a client kept
  the newest checkpoint         as served at /log/checkpoint, kept by anyone
  an anchor elsewhere           as the setting "anchors" names it, as in --newest s3

Every anchor outside DIR that the setting "anchors" names is looked at in any case, and
must be reachable. Those that are older than the newest state shown are advanced to it,
those that are missing are made, and none is ever set back.

If the backup lacks entries that these show, serve will refuse to go on with it, and
says so. Only who knows that no deposit was answered after the backup was taken may
say --nothing-newer instead.

Where the log of the backup names approvers, it is restored only with their approval, which is
for DIR alone; the request for it is written beside DIR.

Exit code 0: DIR can be served. 1: DIR is there, but behind what --newest shows, or
without documents that were lost before. 2: nothing was restored.`,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := loadConfig(c)
			if err == nil {
				err = cfg.inDirectory("restore")
			}
			if err != nil {
				return err
			}
			o.Dir, o.LogKey = cfg.Dir, cfg.LogKey
			if len(cfg.Anchors) > 0 {
				o.Anchors = cfg.registers()
			}
			bar := newBar(c.ErrOrStderr())
			made, err := restore(c.Context(), o, bar)
			bar.end()
			if err != nil {
				return err
			}
			return made.print(c.OutOrStdout(), asJSON)
		},
	}
	settingFlags(c, onlyDir)
	c.Flags().StringVar(&o.From, "from", "", "directory of the backup (required)")
	c.MarkFlagRequired("from")
	c.Flags().StringVar(&o.Keys, "keys", "", "directory of the key files, as DIR/keys was (default: the keys in the backup)")
	c.Flags().StringArrayVar(&o.Newest, "newest", nil, "receipt, checkpoint or anchor that shows how far the log had come: a file, or the name of an anchor elsewhere; may be repeated")
	c.Flags().BoolVar(&o.NothingNewer, "nothing-newer", false, "assert that no deposit was answered after the backup was taken")
	approvalFlag(c, &o.Approvals)
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

func (r *restored) print(w io.Writer, asJSON bool) error {
	if asJSON {
		if err := json.NewEncoder(w).Encode(r); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(w, `log        %s
entries    %d re-hashed
root       %s
documents  %d re-hashed, %d bytes
anchor     %d entries
`, r.Origin, r.Size, r.Root, r.Documents.Count, r.Documents.Bytes, r.Anchor)
		for _, a := range r.Anchors {
			fmt.Fprintf(w, "anchor     %d entries, at %s\n", a.Size, a.Place)
		}
	}
	if !asJSON {
		for _, name := range r.Missing {
			fmt.Fprintf(w, "WRONG: the document %s was missing when the backup was taken\n", name)
		}
		r.verdict(w)
	}
	if r.Behind > 0 || len(r.Missing) > 0 {
		return exitError(exitFound)
	}
	return nil
}

func (r *restored) verdict(w io.Writer) {
	if r.Behind == 0 {
		fmt.Fprintf(w, "RESTORED: munimentd serve --dir %s\n", r.Dir)
		return
	}
	fmt.Fprintf(w, `BEHIND: the backup has %d entries, but %s shows %d.
%d entries that receipts may stand on are not in it. serve will refuse to go on
with it, since that would fork the log. Restore a backup with at least %d entries;
if there is none, keep %s for reading what it has, and begin a new log
under a new name with munimentd init.
`, r.Size, r.Newest, r.Anchor, r.Behind, r.Anchor, r.Dir)
}

// restore brings the backup to o.Dir. After an error there is nothing.
func restore(ctx context.Context, o restoreOptions, bar *bar) (made *restored, err error) {
	if o.NothingNewer == (len(o.Newest) > 0) {
		return nil, errors.New("say either --newest FILE, with the newest receipt, checkpoint or anchor that there is, or --nothing-newer, " +
			"if no deposit was answered after the backup was taken: going on from an older state would fork the log")
	}
	if err := vacantForRestore(o.Dir); err != nil {
		return nil, err
	}
	b, err := openBackup(ctx, o.From)
	if err != nil {
		return nil, err
	}
	defer b.lock.Close()
	elsewhere, err := b.elsewhere(ctx, o)
	if err != nil {
		return nil, err
	}
	newest, all, err := b.newest(o, elsewhere)
	if err != nil {
		return nil, err
	}
	r, err := b.begin(o.Dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(r.path))
		}
		err = errors.Join(err, r.lock.Close())
	}()
	if err := r.bring(ctx, o, bar); err != nil {
		return nil, err
	}
	if made, err = r.check(ctx, o, newest, all, bar); err != nil {
		return nil, err
	}
	made.Dir = o.Dir
	if made.Anchors, err = r.setAnchors(ctx, o, elsewhere, newest); err != nil {
		return nil, err
	}
	// The policy last: without it nothing opens the directory.
	if err := r.copy(ctx, "policy", "policy"); err != nil {
		return nil, err
	}
	return made, r.name(o.Dir)
}

// vacantForRestore refuses a directory in which anything stands.
func vacantForRestore(path string) error {
	entries, err := os.ReadDir(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil && len(entries) > 0 {
		err = fmt.Errorf("%s is not empty: restore never writes over anything", path)
	}
	return err
}

// backupSet is a finished backup, held so that no other backup replaces it meanwhile.
type backupSet struct {
	path     string
	lock     *os.File
	manifest *manifest
	files    map[string]setFile
	policy   proofs.Policy
	anchor   proofs.Checkpoint
}

func openBackup(ctx context.Context, path string) (*backupSet, error) {
	lock, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	b := &backupSet{path: path, lock: lock, files: map[string]setFile{}}
	if err := b.load(ctx); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return b, nil
}

// load reads the manifest, and of the set what everything else is judged by.
func (b *backupSet) load(ctx context.Context) (err error) {
	if err := unix.Flock(int(b.lock.Fd()), unix.LOCK_SH|unix.LOCK_NB); err != nil {
		return fmt.Errorf("a backup to %s is being taken", b.path)
	}
	if b.manifest, err = readManifest(b.path); err != nil {
		return err
	}
	for _, f := range b.manifest.Files {
		b.files[f.Path] = f
	}
	policy, err := b.read(ctx, "policy")
	if err != nil {
		return err
	}
	if b.policy, err = proofs.ParsePolicy(policy); err != nil || len(b.policy.Logs) != 1 || b.policy.Logs[0].Name != b.manifest.Origin {
		return fmt.Errorf("%s is not the policy of %s", b.file("policy"), b.manifest.Origin)
	}
	body, err := b.read(ctx, "anchor")
	if err != nil {
		return err
	}
	if b.anchor, err = proofs.ParseCheckpoint(string(body)); err != nil || b.anchor.Size != b.manifest.Sealed {
		return fmt.Errorf("%s is not the anchor that the manifest tells of", b.file("anchor"))
	}
	return nil
}

// file is where a file of the set is.
func (b *backupSet) file(name string) string {
	return filepath.Join(b.path, b.manifest.Set, filepath.FromSlash(name))
}

// read returns a small file of the set.
func (b *backupSet) read(ctx context.Context, name string) ([]byte, error) {
	n, hash, err := hashFile(ctx, b.file(name))
	if err == nil {
		err = b.same(name, n, hash)
	}
	if err != nil {
		return nil, err
	}
	return os.ReadFile(b.file(name))
}

// same holds a file against the manifest.
func (b *backupSet) same(name string, size int64, hash string) error {
	want, ok := b.files[name]
	if !ok {
		return fmt.Errorf("%s is not in the manifest", b.file(name))
	}
	if size != want.Size || hash != want.SHA256 {
		return fmt.Errorf("%s is damaged: it is not what the backup's manifest says", b.file(name))
	}
	return nil
}

// newest returns the newest state that is known of the log, which is at least that of
// the backup's own anchor, and all that are.
func (b *backupSet) newest(o restoreOptions, elsewhere []registered) (newest known, all []known, err error) {
	own := known{b.file("anchor"), b.anchor}
	for _, path := range o.Newest {
		if slices.ContainsFunc(elsewhere, func(a registered) bool { return a.Anchor == path && a.err == nil }) {
			continue
		}
		k, err := readKnown(path, b.policy.Logs[0])
		if err != nil {
			return known{}, nil, err
		}
		all = append(all, k)
	}
	shown := len(all)
	for _, a := range elsewhere {
		if a.err == nil {
			all = append(all, known{"anchor " + a.Anchor, a.checkpoint})
			if slices.Contains(o.Newest, a.Anchor) {
				shown++
			}
		}
	}
	all = append(all, own)
	if newest, err = newestOf(all); err != nil {
		return known{}, nil, err
	}
	if (newest == own || shown == 0 && newest.checkpoint == own.checkpoint) && !o.NothingNewer {
		return known{}, nil, fmt.Errorf("no --newest is as new as the backup itself, which has %d sealed entries: they do not show how far the log had come since; "+
			"find a newer one, or say --nothing-newer if there can be none", own.checkpoint.Size)
	}
	return newest, all, nil
}

// restoring is the directory that is being made, beside the one that it will be.
type restoring struct {
	*backupSet
	path string
	lock *os.File
}

// begin makes it. What an earlier restore left there, that died, goes.
func (b *backupSet) begin(to string) (*restoring, error) {
	to = filepath.Clean(to)
	if err := makeDir(filepath.Dir(to)); err != nil {
		return nil, err
	}
	path := to + ".restoring"
	if err := makeDir(path); err != nil {
		return nil, err
	}
	lock, err := take(path)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(path)
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(path, e.Name())))
	}
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return &restoring{b, path, lock}, nil
}

// bring copies keys, anchor and ledger.
func (r *restoring) bring(ctx context.Context, o restoreOptions, bar *bar) error {
	if err := r.bringKeys(ctx, o.Keys); err != nil {
		return err
	}
	if err := storage.Create(ctx, storage.Config{Dir: r.path}, []byte(r.anchor.String())); err != nil {
		return err
	}
	if err := r.bringPolicies(ctx); err != nil {
		return err
	}
	for i, f := range r.manifest.Files {
		if strings.HasPrefix(f.Path, "ledger/") {
			if err := r.copy(ctx, f.Path, f.Path); err != nil {
				return err
			}
		}
		bar.show("files of the ledger", uint64(i+1), uint64(len(r.manifest.Files)))
	}
	return syncDir(filepath.Join(r.path, "ledger"))
}

// bringPolicies copies the policies that were in force before, if there are any.
func (r *restoring) bringPolicies(ctx context.Context) error {
	there := false
	for _, f := range r.manifest.Files {
		if !strings.HasPrefix(f.Path, "policies/") {
			continue
		}
		if !there {
			if err := os.Mkdir(policiesPath(r.path), 0o755); err != nil {
				return err
			}
			there = true
		}
		if err := r.copy(ctx, f.Path, f.Path); err != nil {
			return err
		}
	}
	if !there {
		return nil
	}
	return syncDir(policiesPath(r.path))
}

// copy copies one file of the set, and holds it against the manifest.
func (r *restoring) copy(ctx context.Context, name, to string) error {
	n, hash, err := copyFile(ctx, r.file(name), filepath.Join(r.path, filepath.FromSlash(to)))
	if err != nil {
		return err
	}
	return r.same(name, n, hash)
}

// bringKeys copies the key files from where they are kept.
func (r *restoring) bringKeys(ctx context.Context, from string) error {
	if from == "" && !r.manifest.Keys {
		return errors.New("the backup holds no keys; say --keys and the directory in which they were kept apart (a copy of DIR/keys)")
	}
	for _, d := range []string{"keys", "keys/tenants"} {
		if err := os.Mkdir(filepath.Join(r.path, d), 0o700); err != nil {
			return err
		}
	}
	if from == "" {
		for _, f := range r.manifest.Files {
			if strings.HasPrefix(f.Path, "keys/") {
				if err := r.copy(ctx, f.Path, f.Path); err != nil {
					return err
				}
			}
		}
	} else {
		names, err := keyFiles(from)
		if err != nil {
			return err
		}
		for _, name := range names {
			if _, _, err := copyFile(ctx, filepath.Join(from, name), filepath.Join(r.path, "keys", name)); err != nil {
				return err
			}
		}
	}
	return errors.Join(syncDir(filepath.Join(r.path, "keys", "tenants")), syncDir(filepath.Join(r.path, "keys")))
}

// check opens what was brought, brings the documents that its ledger knows, and checks
// all of it against the manifest, against what is known of the log, and as fsck does.
// Then the anchor is set to the newest state that is known.
func (r *restoring) check(ctx context.Context, o restoreOptions, newest known, all []known, bar *bar) (made *restored, err error) {
	// A store that cannot be trusted any more refuses every call, and Close with them.
	cfg := newConfig()
	cfg.Dir, cfg.LogKey = r.path, o.LogKey
	d, err := openUnder(ctx, cfg, r.policy, slog.New(slog.DiscardHandler), func(error) {})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.store.Close()) }()
	if err := r.ledgerFits(ctx, d, all); err != nil {
		return nil, err
	}
	if err := r.tenantsHaveKeys(ctx, d); err != nil {
		return nil, err
	}
	if err := d.signOut(ctx); err != nil {
		return nil, err
	}
	ok, err := d.houseApproval(ctx, "restore", o.Dir, filepath.Dir(filepath.Clean(o.Dir)), o.Approvals, r.anchor)
	if err != nil {
		return nil, err
	}
	c := documentCopy{
		from: dir.NewReader(filepath.Join(r.backupSet.path, "blobs")), to: d.store.Blobs,
		forgive: func(name string) bool { return slices.Contains(r.manifest.Missing, name) },
		room:    func(int64) error { return nil },
	}
	if err := c.run(ctx, d.store.Ledger, d.config.TenantKey, func(done, total uint64) { bar.show("entries copied", done, total) }); err != nil {
		return nil, err
	}
	report, err := notary.Fsck(ctx, d.config, func(done, total uint64) { bar.show("entries checked", done, total) })
	if err != nil {
		return nil, err
	}
	if !r.knew(report) {
		return nil, r.damage(report)
	}
	if c.all != r.manifest.Documents {
		return nil, fmt.Errorf("the backup has %d documents of %d bytes, its manifest says %d of %d",
			c.all.Count, c.all.Bytes, r.manifest.Documents.Count, r.manifest.Documents.Bytes)
	}
	if err := d.store.Anchors[0].Advance(ctx, []byte(r.anchor.String()), []byte(newest.checkpoint.String())); err != nil {
		return nil, err
	}
	made = &restored{
		Origin: r.manifest.Origin, Size: r.manifest.Size, Root: r.manifest.Root, Documents: c.all,
		Anchor: newest.checkpoint.Size, Missing: r.manifest.Missing, Fsck: report,
	}
	if newest.checkpoint.Size > made.Size {
		made.Newest, made.Behind = newest.file, newest.checkpoint.Size-made.Size
		return made, d.nameAgain(ctx, r.path) // nothing more is written into a log that cannot go on
	}
	return made, errors.Join(d.nameAgain(ctx, r.path), d.writeHouseApproval(ctx, r.path, ok))
}

// ledgerFits holds the ledger against the manifest and, as far as it reaches, against
// every state that is known.
func (r *restoring) ledgerFits(ctx context.Context, d *depository, all []known) error {
	head, err := d.store.Ledger.Head(ctx)
	if err != nil {
		return err
	}
	if head.Size != r.manifest.Size || head.Root.String() != r.manifest.Root {
		return fmt.Errorf("the backup's ledger has %d entries and the root %s, its manifest says %d and %s",
			head.Size, head.Root, r.manifest.Size, r.manifest.Root)
	}
	for _, k := range all {
		if k.checkpoint.Size > head.Size {
			continue
		}
		if err := notary.Continues(ctx, d.store.Ledger, k.checkpoint); err != nil {
			return fmt.Errorf("%s: %w", k.file, err)
		}
	}
	return nil
}

// tenantsHaveKeys names a key file that is not there, rather than each entry that
// cannot be read for want of it.
func (r *restoring) tenantsHaveKeys(ctx context.Context, d *depository) error {
	tenants, err := d.store.Accounts.Tenants(ctx)
	if err != nil {
		return err
	}
	for _, t := range append(tenants, notary.Tenant{Name: "the depository itself"}) {
		if _, err := d.config.TenantKey(t.ID); errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("the keys are not complete: tenants/%s.key is missing, of %s", t.ID, t.Name)
		} else if err != nil {
			return err
		}
	}
	return nil
}

// knew reports whether nothing is wrong but what the manifest says was lost before the
// backup was taken.
func (r *restoring) knew(report *notary.Report) bool {
	return report.Findings == uint64(len(report.Blobs)) && !slices.ContainsFunc(report.Blobs, func(name string) bool {
		return !slices.Contains(r.manifest.Missing, name)
	})
}

// damage tells what fsck found, and the files of the backup that are at fault.
func (r *restoring) damage(report *notary.Report) error {
	lines := []string{fmt.Sprintf("the backup is damaged, findings %d:", report.Findings)}
	for i, what := range report.Named {
		if i == 20 {
			lines = append(lines, fmt.Sprintf("  and %d more", report.Findings-20))
			break
		}
		lines = append(lines, "  "+what)
	}
	blobs := dir.NewReader(filepath.Join(r.backupSet.path, "blobs"))
	for i, name := range report.Blobs {
		if path, err := blobs.Path(name); err == nil && i < 20 {
			lines = append(lines, "  file "+path)
		}
	}
	return errors.New(strings.Join(lines, "\n"))
}

// name gives the directory its name, durably.
func (r *restoring) name(to string) error {
	if err := syncDir(r.path); err != nil {
		return err
	}
	if err := unix.Rename(r.path, to); err != nil {
		return fmt.Errorf("renaming %s to %s: %w", r.path, to, err)
	}
	return syncDir(filepath.Dir(filepath.Clean(to)))
}

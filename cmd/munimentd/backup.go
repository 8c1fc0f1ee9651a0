package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/storage"
	"github.com/muniment/muniment/storage/dir"
	"github.com/muniment/muniment/storage/pebble"
)

type backupOptions struct {
	Dir      string
	Anchors  []storage.AnchorConfig
	To       string
	WithKeys bool
	// TenantKey opens rows, to find which have a document.
	TenantKey func(notary.ID) (notary.TenantKey, error)
	// WithoutMissing takes a backup although documents are missing that no backup has.
	WithoutMissing bool
}

// backedUp is what backup tells.
type backedUp struct {
	Target    string    `json:"target"`
	Origin    string    `json:"origin"`
	Size      uint64    `json:"size"`
	Root      string    `json:"root"`
	Sealed    uint64    `json:"sealed"`
	Time      time.Time `json:"time"`
	Documents tally     `json:"documents"`
	Copied    tally     `json:"documents_copied"` // of them, now
	Kept      uint64    `json:"documents_kept"`   // of them, from earlier backups, since DIR has lost them
	Missing   []string  `json:"documents_missing,omitempty"`
	Files     tally     `json:"files"`
	Written   tally     `json:"files_copied"` // of them, now
	Keys      bool      `json:"keys"`
	SameDisk  bool      `json:"same_disk"` // as the depository
}

func backupCommand() *cobra.Command {
	var o backupOptions
	var asJSON bool
	c := &cobra.Command{
		Use:   "backup --dir DIR --to TARGET",
		Short: "Copy a depository, running or stopped, so that restore can bring it back",
		Long: `Copy ledger, anchor, policy and documents to TARGET, which is made if it is missing.
A running depository goes on working meanwhile. Into the same TARGET only what is
new is copied; the last good backup stands until the new one is whole and durable.

Keys are left out, so that whoever finds the backup can neither read a document nor
sign for the log: keep a copy of DIR/keys elsewhere. --with-keys puts them in.

A backup is as good as a restore of it: try one now and then.

Exit code 0: TARGET holds this backup. 1: it does, but DIR has lost documents.
2: it does not, and what it held stands.`,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := loadConfig(c)
			if err == nil {
				err = cfg.inDirectory("backup")
			}
			if err != nil {
				return err
			}
			o.Dir, o.Anchors = cfg.Dir, cfg.registers()
			keys, err := cfg.tenantKeys()
			if err != nil {
				return err
			}
			o.TenantKey = keys.get
			bar := newBar(c.ErrOrStderr())
			made, err := backup(c.Context(), o, bar)
			bar.end()
			if err != nil {
				return err
			}
			return made.print(c.OutOrStdout(), o.Dir, asJSON)
		},
	}
	settingFlags(c, onlyDir)
	c.Flags().StringVar(&o.To, "to", "", "directory of the backup (required)")
	c.MarkFlagRequired("to")
	c.Flags().BoolVar(&o.WithKeys, "with-keys", false, "put the key files into the backup: whoever has it can then read every document and sign for the log")
	c.Flags().BoolVar(&o.WithoutMissing, "without-missing", false, "take the backup although DIR has lost documents that no earlier backup has; it names them")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

func (b *backedUp) print(w io.Writer, from string, asJSON bool) error {
	var damaged error
	if b.Kept > 0 || len(b.Missing) > 0 {
		damaged = exitError(exitFound)
	}
	if asJSON {
		return errors.Join(json.NewEncoder(w).Encode(b), damaged)
	}
	keys := fmt.Sprintf(`NOT in this backup. Keep %s apart from it: without the tenants'
           keys no document can be read, and without log.pem nothing can be sealed.`, filepath.Join(from, "keys"))
	if b.Keys {
		keys = `IN this backup. Whoever has it can read every document and sign for the
           log: guard it like the depository itself.`
	}
	fmt.Fprintf(w, `log        %s
entries    %d, of which %d were sealed when it began
root       %s
documents  %d, %d bytes; copied now %d, %d bytes
files      %d, %d bytes; copied now %d, %d bytes
keys       %s
`, b.Origin, b.Size, b.Sealed, b.Root, b.Documents.Count, b.Documents.Bytes, b.Copied.Count, b.Copied.Bytes,
		b.Files.Count, b.Files.Bytes, b.Written.Count, b.Written.Bytes, keys)
	if b.SameDisk {
		fmt.Fprintf(w, "note       %s is on the same file system as %s, and will be lost with it.\n", b.Target, from)
	}
	if b.Kept > 0 {
		fmt.Fprintf(w, "WRONG: %d documents are missing in %s; this backup has them from earlier ones. munimentd doctor says how to put them back\n", b.Kept, from)
	}
	for _, name := range b.Missing {
		fmt.Fprintf(w, "WRONG: the document %s is missing in %s, and this backup does not have it\n", name, from)
	}
	fmt.Fprintf(w, "BACKED UP: %s holds everything up to %s\n", b.Target, proofs.FormatTime(b.Time))
	return damaged
}

// backup copies the depository. An error leaves TARGET as good as it was, perhaps with
// documents that the next backup will find there.
func backup(ctx context.Context, o backupOptions, bar *bar) (*backedUp, error) {
	policy, err := readPolicy(o.Dir)
	if err != nil {
		return nil, err
	}
	t, err := openTarget(o.To, o.Dir, policy.Logs[0].Name)
	if err != nil {
		return nil, err
	}
	defer t.lock.Close()
	made, err := t.take(ctx, o, policy.Logs[0].Name, bar)
	if err != nil {
		return nil, fmt.Errorf("%w; %s", err, t.standing())
	}
	return made, nil
}

// target is the directory that backups go to, locked.
type target struct {
	path   string
	lock   *os.File
	shared bool      // its file system is the depository's own
	last   *manifest // of the backup that it holds; nil: none
}

func openTarget(path, from, origin string) (*target, error) {
	if err := makeDir(path); err != nil {
		return nil, err
	}
	t := &target{path: path, shared: sameDisk(path, from)}
	if err := apart(path, from); err != nil {
		return nil, err
	}
	var err error
	if t.lock, err = os.Open(path); err != nil {
		return nil, err
	}
	if err := t.prepare(origin); err != nil {
		t.lock.Close()
		return nil, err
	}
	return t, nil
}

// prepare takes the target for this process, and makes sure that it is one for backups
// of this log.
func (t *target) prepare(origin string) error {
	if err := unix.Flock(int(t.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return fmt.Errorf("%s is in use by another backup or restore", t.path)
	}
	entries, err := os.ReadDir(t.path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		switch name := e.Name(); {
		case name == manifestName, name == manifestName+".new", name == "blobs", name == "lost+found", strings.HasPrefix(name, setPrefix):
		default:
			return fmt.Errorf("%s holds %q, which is of no backup; name an empty directory, or one that backups were taken to", t.path, name)
		}
	}
	if t.last, err = readManifest(t.path); err != nil && !errors.Is(err, errNoBackup) {
		return fmt.Errorf("%w; it is not written over: name another directory", err)
	}
	if t.last != nil && t.last.Origin != origin {
		return fmt.Errorf("%s holds backups of %s, not of %s", t.path, t.last.Origin, origin)
	}
	return nil
}

// apart refuses a target within the depository, or around it.
func apart(target, from string) error {
	var real [2]string
	for i, path := range []string{target, from} {
		path, err := filepath.Abs(path)
		if err == nil {
			path, err = filepath.EvalSymlinks(path)
		}
		if err != nil {
			return err
		}
		real[i] = path + string(filepath.Separator)
	}
	if strings.HasPrefix(real[0], real[1]) || strings.HasPrefix(real[1], real[0]) {
		return fmt.Errorf("%s and %s must not lie within one another", target, from)
	}
	return nil
}

// standing says what the target holds after all.
func (t *target) standing() string {
	if t.last == nil {
		return t.path + " holds no backup"
	}
	return fmt.Sprintf("the backup of %s in %s stands as it was, with %d entries", proofs.FormatTime(t.last.Time), t.path, t.last.Size)
}

// take makes one backup.
func (t *target) take(ctx context.Context, o backupOptions, origin string, bar *bar) (made *backedUp, err error) {
	if err := t.sweep(); err != nil {
		return nil, err
	}
	s, err := t.newSet(origin)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil && !s.named { // the next backup takes away what cannot be now
			err = errors.Join(err, os.RemoveAll(s.path))
		}
	}()
	if err := s.fill(ctx, o, bar); err != nil {
		return nil, err
	}
	documents, err := s.documents(ctx, o, bar)
	if err != nil {
		return nil, err
	}
	if err := t.accept(s); err != nil {
		return nil, err
	}
	m := s.manifest
	made = &backedUp{
		Target: t.path, Origin: m.Origin, Size: m.Size, Root: m.Root, Sealed: m.Sealed, Time: m.Time,
		Documents: m.Documents, Copied: documents.copied, Kept: documents.kept, Missing: m.Missing, Written: s.written, Keys: m.Keys, SameDisk: t.shared,
	}
	for _, f := range m.Files {
		made.Files.add(f.Size)
	}
	return made, nil
}

// accept makes the set the backup that the target holds, and takes away the one before.
func (t *target) accept(s *set) error {
	// Each file was synced by itself. This is for the names of documents that an earlier,
	// unfinished backup brought here, and whose directories nobody has synced since.
	if err := unix.Syncfs(int(t.lock.Fd())); err != nil {
		return fmt.Errorf("syncing %s: %w", t.path, err)
	}
	path := filepath.Join(t.path, manifestName)
	if err := writeFile(path+".new", s.manifest.marshal(), 0o600); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	s.named = true
	if err := syncDir(t.path); err != nil {
		// Either manifest may be there after a crash, so both sets stay.
		return fmt.Errorf("the new backup is whole, but its manifest may be lost in a crash: %w", err)
	}
	t.last = &s.manifest
	_ = t.sweep() // what cannot be taken away now, the next backup will
	return nil
}

// sweep takes away every set but that of the backup the target holds.
func (t *target) sweep() error {
	sets, err := filepath.Glob(filepath.Join(escaped(t.path), setPrefix+"*"))
	if err != nil {
		return err
	}
	for _, path := range sets {
		if t.last == nil || filepath.Base(path) != t.last.Set {
			if err := os.RemoveAll(path); err != nil {
				return err
			}
		}
	}
	return nil
}

// escaped is a path as the beginning of a pattern.
func escaped(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// set is the one that is being made.
type set struct {
	target   *target
	path     string
	manifest manifest
	last     map[string]setFile // the files of the target's last backup, by path
	written  tally
	named    bool // by the manifest
}

func (t *target) newSet(origin string) (*set, error) {
	now := time.Now().UTC().Truncate(time.Millisecond)
	name := setPrefix + now.Format("20060102T150405Z") + "-" + strings.ToLower(rand.Text()[:6])
	s := &set{
		target: t, path: filepath.Join(t.path, name),
		manifest: manifest{Format: manifestFormat, Origin: origin, Time: now, Set: name},
		last:     map[string]setFile{},
	}
	if t.last != nil {
		for _, f := range t.last.Files {
			s.last[f.Path] = f
		}
	}
	for _, d := range []string{s.path, filepath.Join(s.path, "ledger"), filepath.Join(t.path, "blobs")} {
		if err := os.Mkdir(d, 0o700); err != nil && (d == s.path || !errors.Is(err, os.ErrExist)) {
			return nil, err
		}
	}
	return s, nil
}

// fill copies all but the documents: the anchor, and a ledger that holds at least what
// the anchor says is sealed.
func (s *set) fill(ctx context.Context, o backupOptions, bar *bar) error {
	body, ledger, release, err := holdStill(ctx, o.Dir, s.manifest.Origin, o.Anchors)
	if err != nil {
		return err
	}
	defer release()
	cp, err := proofs.ParseCheckpoint(string(body))
	if err != nil || cp.Origin != s.manifest.Origin {
		return fmt.Errorf("the anchor holds no checkpoint of %s; munimentd doctor says more", s.manifest.Origin)
	}
	s.manifest.Sealed = cp.Size
	if err := s.write("anchor", body); err != nil {
		return err
	}
	if err := s.add(ctx, "policy", filepath.Join(o.Dir, "policy")); err != nil {
		return err
	}
	if err := s.addPolicies(ctx, policiesPath(o.Dir)); err != nil {
		return err
	}
	files, err := regularFiles(ledger)
	if err != nil {
		return err
	}
	for i, name := range files {
		if err := s.add(ctx, "ledger/"+name, filepath.Join(ledger, name)); err != nil {
			return err
		}
		bar.show("files of the ledger", uint64(i+1), uint64(len(files)))
	}
	if o.WithKeys {
		if err := s.addKeys(ctx, filepath.Join(o.Dir, "keys")); err != nil {
			return err
		}
	}
	for _, d := range []string{filepath.Join(s.path, "ledger"), s.path} {
		if err := syncDir(d); err != nil {
			return err
		}
	}
	return nil
}

// holdStill returns what the newest anchor holds, and a directory with a ledger read after
// it that does not change until release is called.
func holdStill(ctx context.Context, root, origin string, anchors []storage.AnchorConfig) (anchor []byte, ledger string, release func(), err error) {
	lock, err := take(root)
	if errors.Is(err, errTaken) {
		anchor, release, err = askSnapshot(ctx, root)
		return anchor, storage.SnapshotDir(root), release, err
	}
	if err != nil {
		return nil, "", nil, err
	}
	newest, err := newestRegistered(survey(ctx, anchors, origin))
	if err != nil {
		return nil, "", nil, errors.Join(err, lock.Close())
	}
	return []byte(newest.checkpoint.String()), filepath.Join(root, "ledger"), func() { lock.Close() }, nil
}

// regularFiles lists the files in a ledger's directory, but for the lock, which is
// nothing without its process.
func regularFiles(path string) ([]string, error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if isFile(path, e) && e.Name() != "LOCK" {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// addPolicies adds the policies that were in force before, if there are any.
func (s *set) addPolicies(ctx context.Context, from string) error {
	names, err := regularFiles(from)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(s.path, "policies"), 0o700); err != nil {
		return err
	}
	for _, name := range names {
		if err := s.add(ctx, "policies/"+name, filepath.Join(from, name)); err != nil {
			return err
		}
	}
	return syncDir(filepath.Join(s.path, "policies"))
}

func (s *set) addKeys(ctx context.Context, keys string) error {
	for _, d := range []string{"keys", "keys/tenants"} {
		if err := os.Mkdir(filepath.Join(s.path, d), 0o700); err != nil {
			return err
		}
	}
	files, err := keyFiles(keys)
	if err != nil {
		return err
	}
	for _, name := range files {
		if err := s.add(ctx, "keys/"+filepath.ToSlash(name), filepath.Join(keys, name)); err != nil {
			return err
		}
	}
	s.manifest.Keys = true
	return errors.Join(syncDir(filepath.Join(s.path, "keys", "tenants")), syncDir(filepath.Join(s.path, "keys")))
}

func (s *set) write(name string, data []byte) error {
	hash := sha256.Sum256(data)
	s.listed(setFile{Path: name, Size: int64(len(data)), SHA256: hex.EncodeToString(hash[:])}, true)
	return writeFile(filepath.Join(s.path, name), data, 0o600)
}

func (s *set) listed(f setFile, written bool) {
	s.manifest.Files = append(s.manifest.Files, f)
	if written {
		s.written.add(f.Size)
	}
}

// add copies one file into the set. One that the last backup has, and still has as it
// was, is linked instead.
func (s *set) add(ctx context.Context, name, from string) error {
	to := filepath.Join(s.path, filepath.FromSlash(name))
	if old, ok := s.last[name]; ok && s.relink(ctx, old, from, to) {
		s.listed(old, false)
		return nil
	}
	info, err := os.Stat(from)
	if err == nil {
		err = s.target.room(info.Size())
	}
	if err != nil {
		return err
	}
	n, hash, err := copyFile(ctx, from, to)
	if err != nil {
		return fmt.Errorf("copying %s: %w", from, err)
	}
	s.listed(setFile{Path: name, Size: n, SHA256: hash}, true)
	return nil
}

// relink links a file of the last backup, if it is what it was and what there is to
// copy. Where it cannot, for whatever reason, the file is copied.
func (s *set) relink(ctx context.Context, old setFile, from, to string) bool {
	there := filepath.Join(s.target.path, s.target.last.Set, filepath.FromSlash(old.Path))
	for _, path := range []string{from, there} {
		info, err := os.Stat(path)
		if err != nil || info.Size() != old.Size {
			return false
		}
	}
	for _, path := range []string{from, there} {
		if _, hash, err := hashFile(ctx, path); err != nil || hash != old.SHA256 {
			return false
		}
	}
	return os.Link(there, to) == nil
}

// documents copies what the set's ledger knows and the target does not have, and reads
// the ledger whole on the way. The depository may go on: documents never change.
func (s *set) documents(ctx context.Context, o backupOptions, bar *bar) (c *documentCopy, err error) {
	ledger, err := pebble.Open(ctx, pebble.Config{Dir: filepath.Join(s.path, "ledger"), ReadOnly: true, CacheBytes: 32 << 20, Fatal: func(error) {}})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, ledger.Close()) }()
	head, err := ledger.Head(ctx)
	if err != nil {
		return nil, err
	}
	s.manifest.Size, s.manifest.Root = head.Size, head.Root.String()
	body, err := os.ReadFile(filepath.Join(s.path, "anchor"))
	if err != nil {
		return nil, err
	}
	cp, err := proofs.ParseCheckpoint(string(body))
	if err == nil {
		err = notary.Continues(ctx, ledger, cp)
	}
	if err != nil {
		return nil, fmt.Errorf("the ledger is not that of the anchor: %w", err)
	}
	// An fsync that fails is Put's error, too, and the end of this backup.
	blobs, err := dir.OpenBlobs(dir.Config{Dir: filepath.Join(s.target.path, "blobs"), Fatal: func(error) {}})
	if err != nil {
		return nil, err
	}
	c = &documentCopy{
		from: dir.NewReader(filepath.Join(o.Dir, "blobs")), to: blobs,
		forgive: func(string) bool { return o.WithoutMissing },
		room:    s.target.room,
	}
	err = c.run(ctx, ledger, o.TenantKey, func(done, total uint64) { bar.show("entries", done, total) })
	s.manifest.Documents, s.manifest.Missing = c.all, c.lost
	return c, errors.Join(err, blobs.Close())
}

// room keeps a backup on the depository's own disk from taking what that needs: a
// ledger that finds no room in the middle of a commit ends the process.
func (t *target) room(bytes int64) error {
	if !t.shared {
		return nil
	}
	var st unix.Statfs_t
	if err := unix.Statfs(t.path, &st); err != nil {
		return err
	}
	free, keep := st.Bavail*uint64(st.Bsize), max(st.Blocks*uint64(st.Bsize)*tooLittle/100, leastRoom)+leastRoom
	if free < keep+uint64(bytes) {
		return fmt.Errorf("%w: %d MiB free on the file system that %s shares with the depository, which needs %d of them", notary.ErrNoRoom, free>>20, t.path, keep>>20)
	}
	return nil
}

// sameDisk reports whether both paths are on one file system.
func sameDisk(a, b string) bool {
	var sa, sb unix.Stat_t
	return unix.Stat(a, &sa) == nil && unix.Stat(b, &sb) == nil && sa.Dev == sb.Dev
}

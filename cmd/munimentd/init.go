package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/auth"
	"github.com/muniment/muniment/storage"
)

// unfinished stands in a directory while it is being initialised. A directory that
// still has it never issued a receipt, and is laid out anew.
const unfinished = "INITIALISING"

type initOptions struct {
	Origin       string
	TenantName   string
	Registration string
	Previous     *proofs.Checkpoint // the last sealed state of a log that was ended; nil: none
}

// created is what init tells, once.
type created struct {
	Dir    string `json:"dir"`
	Origin string `json:"origin"`
	Vkey   string `json:"vkey"`
	Tenant string `json:"tenant"`
	APIKey string `json:"api_key"`
	Policy string `json:"policy"` // fingerprint
}

func initCommand() *cobra.Command {
	var asJSON bool
	var o initOptions
	c := &cobra.Command{
		Use:   "init --dir DIR",
		Short: "Lay out a new depository in an empty or missing directory",
		Long: `Lay out a new depository: its log with a signing key, a first tenant with an API
key, and the policy file by which receipts are verified. The API key is shown
once and kept as a hash. Everything is durable when the command ends.`,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := loadConfig(c)
			if err != nil {
				return err
			}
			made, err := initialise(c.Context(), cfg, o)
			if err != nil {
				return err
			}
			return made.print(c.OutOrStdout(), asJSON)
		},
	}
	settingFlags(c, onlyDir)
	c.Flags().StringVar(&o.Origin, "origin", "", "name of the log, <dns name>/<dev|test|prod>/<label> (default localhost/dev/<random>)")
	c.Flags().StringVar(&o.TenantName, "tenant-name", "Default tenant", "legal name of the first tenant, as it stands in each record")
	c.Flags().StringVar(&o.Registration, "tenant-registration", "", "its registered number (USCC, LEI)")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

func (m *created) print(w io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(m)
	}
	_, err := fmt.Fprintf(w, `origin:  %s
vkey:    %s
tenant:  %s
api-key: %s
policy:  %s
         fingerprint %s
The API key is shown this once. Give the policy to whoever verifies receipts.
`, m.Origin, m.Vkey, m.Tenant, m.APIKey, filepath.Join(m.Dir, "policy"), m.Policy)
	return err
}

// empty reports whether dir is missing, empty, or left over from an init that did
// not end.
func empty(dir string) (bool, error) {
	names, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	vacant := true
	for _, n := range names {
		if n.Name() == unfinished {
			return true, nil
		}
		// Who says how to lay it out has laid nothing out; and a file that newFile was killed over
		// is none yet.
		vacant = vacant && (n.Name() == configName || strings.HasPrefix(n.Name(), newFilePrefix))
	}
	return vacant, nil
}

func initialise(ctx context.Context, cfg *config, o initOptions) (*created, error) {
	dir := cfg.Dir
	if o.Origin == "" {
		var label [8]byte
		rand.Read(label[:]) // never fails (crypto/rand)
		o.Origin = "localhost/dev/" + hex.EncodeToString(label[:])
	}
	if _, err := proofs.ParseOrigin(o.Origin); err != nil {
		return nil, fmt.Errorf("--origin %q: %w", o.Origin, err)
	}
	for _, s := range []string{o.TenantName, o.Registration} {
		if _, err := proofs.Text(s); err != nil || len(s) > 1024 {
			return nil, errors.New("the tenant's name and number must be UTF-8 of at most 1,024 bytes")
		}
	}
	if o.TenantName == "" {
		return nil, errors.New("--tenant-name must not be empty: it stands in each record")
	}
	if err := vacant(dir); err != nil {
		return nil, err
	}
	if err := makeDir(dir); err != nil {
		return nil, err
	}
	// Locked, and looked at once more: of two that lay out one directory at a time,
	// each would tell of a key that the other has written over.
	lock, err := take(dir)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	if err := vacant(dir); err != nil {
		return nil, err
	}
	if err := clear(dir); err != nil {
		return nil, err
	}
	made, err := layOut(ctx, cfg, o)
	if err != nil {
		return nil, err
	}
	if err := os.Remove(filepath.Join(dir, unfinished)); err != nil {
		return nil, err
	}
	return made, syncDir(dir)
}

// vacant refuses a directory in which something stands that was not left over.
func vacant(dir string) error {
	ok, err := empty(dir)
	if err == nil && !ok {
		err = fmt.Errorf("%s is not empty: init never writes over a depository", dir)
	}
	return err
}

// makeDir makes dir and the directories above it that are missing, durable on return.
func makeDir(dir string) error {
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := makeDir(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return syncDir(filepath.Dir(dir))
}

// clear marks dir unfinished, and takes away what an earlier, unfinished init left.
func clear(dir string) error {
	if err := writeFile(filepath.Join(dir, unfinished), nil, 0o600); err != nil {
		return err
	}
	for _, name := range []string{"ledger", "blobs", "anchor", "keys", "policy", "policies"} {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "keys", "tenants"), 0o700); err != nil {
		return err
	}
	return syncDir(dir)
}

func layOut(ctx context.Context, cfg *config, o initOptions) (*created, error) {
	dir := cfg.Dir
	signer, err := cfg.firstLogKey()
	if err != nil {
		return nil, err
	}
	vkey, err := proofs.NewVerifierKey(o.Origin, proofs.TypeEd25519, signer.Public().(ed25519.PublicKey))
	if err != nil {
		return nil, err
	}
	policy := "log " + vkey.String() + "\nquorum none\n"
	if err := writeFile(filepath.Join(dir, "policy"), []byte(policy), 0o644); err != nil {
		return nil, err
	}
	tenantID, err := notary.NewID(time.Now(), rand.Reader)
	if err != nil {
		return nil, err
	}
	// The canary's too, so that replicas on copies of the directory have the same.
	tenantKeys, err := cfg.tenantKeys()
	if err != nil {
		return nil, err
	}
	for _, id := range []notary.ID{{}, tenantID, canaryTenant.ID} {
		if err := tenantKeys.create(ctx, id); err != nil {
			return nil, err
		}
	}
	err = storage.Create(ctx, cfg.storage(slog.New(slog.DiscardHandler), nil), notary.Unsealed(o.Origin))
	if errors.Is(err, notary.ErrExists) {
		err = fmt.Errorf("%w: init never writes over a depository; name another schema and prefix, or drop them if they are left over from an init that did not end", err)
	}
	if err != nil {
		return nil, err
	}
	tenant := notary.Tenant{ID: tenantID, Name: o.TenantName, Registration: o.Registration, Created: time.Now().UTC().Truncate(time.Millisecond)}
	key, err := populate(ctx, cfg, tenant, o.Previous)
	if err != nil {
		return nil, err
	}
	p, err := proofs.ParsePolicy([]byte(policy))
	if err != nil {
		return nil, err
	}
	return &created{Dir: dir, Origin: o.Origin, Vkey: vkey.String(), Tenant: tenantID.String(), APIKey: key, Policy: p.Fingerprint()}, nil
}

// populate writes the genesis entry, the tenant and its API key. The directory is
// locked.
func populate(ctx context.Context, cfg *config, tenant notary.Tenant, previous *proofs.Checkpoint) (apiKey string, err error) {
	d, err := openTaken(ctx, cfg, slog.New(slog.DiscardHandler), func(err error) { panic(err) })
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	head, err := d.store.Ledger.Head(ctx)
	if err != nil {
		return "", err
	}
	if head.Size > 0 {
		return "", errors.New("the database holds a log already: init never writes over a depository; name another ledger.postgres.schema")
	}
	if err := d.plant(ctx, cfg); err != nil {
		return "", err
	}
	d.config.Previous = previous
	if err := notary.Init(ctx, d.config); err != nil {
		return "", err
	}
	if err := d.store.Accounts.CreateTenant(ctx, tenant); err != nil {
		return "", err
	}
	apiKey, hash := auth.NewKey()
	return apiKey, d.store.Accounts.CreateAPIKey(ctx, notary.APIKey{
		Hash: hash, Tenant: tenant.ID, Role: notary.Depositor, Created: tenant.Created,
	})
}

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/notary/cosign"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service"
	"github.com/muniment/muniment/service/auth"
	"github.com/muniment/muniment/storage"
	"github.com/muniment/muniment/storage/trillian"
)

// depository is a directory opened: its store, and the notary's configuration on it.
type depository struct {
	lock   *os.File // held on the directory for as long as it is open; nil: it is shared
	store  *storage.Store
	config notary.Config
	// earlier are the policies that were in force before, the last one first.
	earlier      []proofs.Policy
	asks         *cosign.Client // the witnesses; nil if there are none to ask
	build        service.Build
	tenantKeys   *tenantKeyFiles
	issuers      []auth.Issuer // whose tokens are believed
	certificates service.Certificates
	// trillian keeps the second tree; nil if there is none, or it was not asked for.
	trillian *trillian.Log
}

// errTaken: another process has the depository open.
var errTaken = errors.New("another process has this depository open")

// storeError: what stands in the directory cannot be opened.
type storeError struct{ err error }

func (e *storeError) Error() string { return e.err.Error() }
func (e *storeError) Unwrap() error { return e.err }

// take locks the directory against a second process. The lock goes with the
// process, however it ends.
func take(dir string) (*os.File, error) {
	d, err := os.Open(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, notThere(dir)
	}
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(d.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		d.Close()
		return nil, fmt.Errorf("%s: %w", dir, errTaken)
	}
	return d, nil
}

func notThere(dir string) error {
	return fmt.Errorf("%s does not exist; munimentd init lays a depository out", dir)
}

// close gives the depository up. Who asks the witnesses reads the store for it, and goes
// first.
func (d *depository) close() error {
	if d.asks != nil {
		d.asks.Close()
	}
	var err error
	if d.trillian != nil {
		err = d.trillian.Close()
	}
	err = errors.Join(err, d.store.Close())
	if d.lock != nil {
		err = errors.Join(err, d.lock.Close())
	}
	return err
}

// open opens the depository, which no other process may have open unless all that they
// would write is kept elsewhere.
func open(ctx context.Context, cfg *config, logger *slog.Logger, fatal func(error)) (*depository, error) {
	if cfg.shared() {
		if _, err := os.Stat(cfg.Dir); errors.Is(err, os.ErrNotExist) {
			return nil, notThere(cfg.Dir)
		}
		return openTaken(ctx, cfg, logger, fatal)
	}
	lock, err := take(cfg.Dir)
	if err != nil {
		return nil, err
	}
	d, err := openTaken(ctx, cfg, logger, fatal)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	d.lock = lock
	return d, nil
}

// openTaken opens what is locked already, or shared.
func openTaken(ctx context.Context, cfg *config, logger *slog.Logger, fatal func(error)) (*depository, error) {
	policy, err := readPolicy(cfg.Dir)
	if err != nil {
		return nil, err
	}
	return openUnder(ctx, cfg, policy, logger, fatal)
}

// readPolicy reads the policy, without which a directory holds no depository.
func readPolicy(dir string) (proofs.Policy, error) {
	path := filepath.Join(dir, "policy")
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return proofs.Policy{}, fmt.Errorf("%s holds no depository; munimentd init lays one out", dir)
	}
	if err != nil {
		return proofs.Policy{}, err
	}
	policy, err := proofs.ParsePolicy(data)
	if err == nil && len(policy.Logs) != 1 {
		err = errors.New("it must have exactly one log line")
	}
	if err != nil {
		return proofs.Policy{}, fmt.Errorf("%s: %w", path, err)
	}
	return policy, nil
}

// signOut ends every session at the console. An older copy of the ledger has some that people
// have ended since.
func (d *depository) signOut(ctx context.Context) error {
	return d.store.Sessions.SweepSessions(ctx, time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC))
}

// openUnder opens what is locked already under a policy that is not, or not yet, in it.
func openUnder(ctx context.Context, cfg *config, policy proofs.Policy, logger *slog.Logger, fatal func(error)) (*depository, error) {
	keys, err := cfg.logKeys()
	if err != nil {
		return nil, err
	}
	signer, others := pick(keys, policy.Logs[0])
	tenantKeys, err := cfg.tenantKeys()
	if err != nil {
		return nil, err
	}
	timestamps, err := cfg.timestamps()
	if err != nil {
		return nil, err
	}
	signatureRoots, err := cfg.signatureRoots()
	if err != nil {
		return nil, err
	}
	store, err := storage.Open(ctx, cfg.storage(logger, fatal))
	if err != nil {
		return nil, &storeError{err}
	}
	store.Accounts = notary.KeepAccounts(store.Accounts, store.Segments, policy.Logs[0].Name)
	return &depository{store: store, tenantKeys: tenantKeys, config: notary.Config{
		Policy: policy,
		Signer: signer, OtherSigners: others,
		Ledger:   store.Ledger,
		Blobs:    store.Blobs,
		Segments: store.Segments,
		Anchors:  store.Anchors, AnchorNames: store.AnchorNames,
		Peers:      store.Peers,
		TenantKey:  tenantKeys.get,
		Keys:       store.Keys,
		Trail:      store.Trail,
		Timestamps: timestamps,
		Retention:  cfg.Retention,
		Checks:     cfg.Checks,
		Quotas:     cfg.Quotas,
		SM3:        cfg.SM3 == "on" || cfg.SM3 == "" && cfg.Language == "zh",

		SignatureRoots: signatureRoots,
		Room:           store.Room,
		Logger:         logger,
		Fatal:          fatal,
	}}, nil
}

package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/storage/vault"
)

// Tenants' key files are looked at again once a second, so that a file that was replaced is
// in use a second later, and without a restart. One that a KMS keeps shut is unwrapped when
// it is first needed and held in memory for kms.hold; from half of that on it is unwrapped
// again in the background, so that a KMS that is away for a while stops nothing.

const (
	// keyLookedAt is for how long a key file is taken to be what it was.
	keyLookedAt = time.Second
	// kmsWithin bounds the wait for a KMS.
	kmsWithin = 10 * time.Second
	// kmsAgain is how long after a failure it is asked again.
	kmsAgain = 10 * time.Second
)

// kms is what keeps the key files shut; nil: nothing does.
func (c *config) kms() (notary.KMS, error) {
	if c.KMS.Engine != "vault" {
		return nil, nil
	}
	t, err := vault.New(c.KMS.Vault)
	if err != nil {
		return nil, err
	}
	return t, nil
}

// check refuses what names no key.
func (k kmsConfig) check() error {
	v := k.Vault
	switch {
	case k.Engine != "vault":
	case v.Address == "", v.Mount == "", v.Key == "":
		return errors.New("kms.engine is vault, so kms.vault.address, kms.vault.mount and kms.vault.key must be set")
	case v.Token == "" && v.TokenFile == "":
		return errors.New("kms.engine is vault, so kms.vault.token-file or kms.vault.token must be set")
	}
	return nil
}

// tenantKeyFiles are the key files of one directory, as far as they were read.
type tenantKeyFiles struct {
	dir  string
	kms  notary.KMS // nil: none
	hold time.Duration

	mu    sync.Mutex
	files map[notary.ID]*tenantKeyFile
}

type tenantKeyFile struct {
	mu      sync.Mutex
	key     notary.TenantKey
	known   bool
	stat    fileStamp
	looked  time.Time // when the file was last seen to be the same
	read    time.Time // when it was read, and unwrapped
	again   time.Time // before it no refresh is tried
	pending bool      // a refresh is under way
}

// fileStamp tells whether a file was replaced or changed.
type fileStamp struct {
	inode uint64
	size  int64
	mtime time.Time
}

func (c *config) tenantKeys() (*tenantKeyFiles, error) {
	kms, err := c.kms()
	if err != nil {
		return nil, err
	}
	return &tenantKeyFiles{dir: c.Dir, kms: kms, hold: c.KMS.Hold, files: map[notary.ID]*tenantKeyFile{}}, nil
}

// plainTenantKeys are those of a directory that no KMS keeps shut.
func plainTenantKeys(dir string) *tenantKeyFiles {
	return &tenantKeyFiles{dir: dir, files: map[notary.ID]*tenantKeyFile{}}
}

// create makes a tenant's first key; os.ErrExist if there is one, which stays.
func (k *tenantKeyFiles) create(ctx context.Context, tenant notary.ID) error {
	path := tenantKeyPath(k.dir, tenant)
	if _, err := os.Stat(path); err == nil {
		return fmt.Errorf("%s: %w", path, os.ErrExist)
	}
	key, err := notary.NewTenantKey(rand.Reader)
	if err != nil {
		return err
	}
	file, err := k.wrapped(ctx, tenant, key)
	if err != nil {
		return err
	}
	return newFile(path, file)
}

func (k *tenantKeyFiles) wrapped(ctx context.Context, tenant notary.ID, key notary.TenantKey) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, kmsWithin)
	defer cancel()
	return notary.WrapTenantKey(ctx, k.kms, tenant, key)
}

// replace puts another key in the place of a tenant's, durable on return. The bytes of the
// file before are overwritten, where the file system writes in place.
func (k *tenantKeyFiles) replace(ctx context.Context, tenant notary.ID, key notary.TenantKey) error {
	file, err := k.wrapped(ctx, tenant, key)
	if err != nil {
		return err
	}
	path := tenantKeyPath(k.dir, tenant)
	old, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer old.Close()
	info, err := old.Stat()
	if err != nil {
		return err
	}
	if err := replaceFile(path, file, 0o600); err != nil {
		return err
	}
	if _, err := old.WriteAt(make([]byte, info.Size()), 0); err != nil {
		return fmt.Errorf("the new key is in %s; overwriting the file before: %w", path, err)
	}
	return old.Sync()
}

// get returns a tenant's key.
func (k *tenantKeyFiles) get(tenant notary.ID) (notary.TenantKey, error) {
	k.mu.Lock()
	f := k.files[tenant]
	if f == nil {
		f = &tenantKeyFile{}
		k.files[tenant] = f
	}
	k.mu.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	if f.known && now.Sub(f.looked) < keyLookedAt {
		return f.key, nil
	}
	path := tenantKeyPath(k.dir, tenant)
	stamp, err := stampOf(path)
	if err != nil {
		return notary.TenantKey{}, err
	}
	if !f.known || stamp != f.stat || k.hold > 0 && now.Sub(f.read) >= k.hold {
		f.known = false
		key, err := k.read(tenant)
		if err != nil {
			return notary.TenantKey{}, fmt.Errorf("%s: %w", path, err)
		}
		f.key, f.known, f.stat, f.read, f.again = key, true, stamp, now, time.Time{}
	}
	f.looked = now
	if k.kms != nil && k.hold > 0 && now.Sub(f.read) >= k.hold/2 && now.After(f.again) && !f.pending {
		f.pending, f.again = true, now.Add(kmsAgain)
		go k.refresh(tenant, f, stamp)
	}
	return f.key, nil
}

// refresh unwraps a key again before it must be.
func (k *tenantKeyFiles) refresh(tenant notary.ID, f *tenantKeyFile, stamp fileStamp) {
	at := time.Now()
	key, err := k.read(tenant)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pending = false
	if err == nil && f.stat == stamp {
		f.key, f.read = key, at
	}
}

// read reads a key file, and has it unwrapped.
func (k *tenantKeyFiles) read(tenant notary.ID) (notary.TenantKey, error) {
	path := tenantKeyPath(k.dir, tenant)
	if err := private(path); err != nil {
		return notary.TenantKey{}, err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return notary.TenantKey{}, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), kmsWithin)
	defer cancel()
	return notary.UnwrapTenantKey(ctx, k.kms, tenant, data)
}

func stampOf(path string) (fileStamp, error) {
	info, err := os.Stat(path)
	if err != nil {
		return fileStamp{}, err
	}
	s := fileStamp{size: info.Size(), mtime: info.ModTime()}
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		s.inode = sys.Ino
	}
	return s, nil
}

// tenants are those that have a key file here, in ascending order.
func (k *tenantKeyFiles) tenants() (all []notary.ID, err error) {
	entries, err := os.ReadDir(filepath.Join(k.dir, "keys", "tenants"))
	for _, e := range entries {
		name, isKey := strings.CutSuffix(e.Name(), ".key")
		if id, err := notary.ParseID(name); err == nil && isKey {
			all = append(all, id)
		}
	}
	return all, err
}

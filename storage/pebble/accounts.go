package pebble

import (
	"context"
	"errors"
	"fmt"
	"time"

	engine "github.com/cockroachdb/pebble/v2"

	"github.com/muniment/muniment/notary"
)

// CreateTenant implements notary.Accounts.
func (l *Ledger) CreateTenant(ctx context.Context, t notary.Tenant) error {
	if err := l.insert(ctx, idKey(nil, tableTenants, t.ID), appendTenant(nil, &t)); err != nil {
		return fmt.Errorf("create tenant %v: %w", t.ID, err)
	}
	return nil
}

// Tenant implements notary.Accounts.
func (l *Ledger) Tenant(ctx context.Context, id notary.ID) (notary.Tenant, error) {
	v, err := l.begin(ctx)
	if err != nil {
		return notary.Tenant{}, err
	}
	defer l.end(v)
	fields, err := l.get(v.snapshot, idKey(nil, tableTenants, id))
	if err != nil {
		return notary.Tenant{}, fmt.Errorf("tenant: %w", err)
	}
	t, err := decodeTenant(fields)
	if err != nil {
		return notary.Tenant{}, corrupt("tenant %v: %v", id, err)
	}
	t.ID = id
	return t, nil
}

// Tenants implements notary.Accounts.
func (l *Ledger) Tenants(ctx context.Context) (tenants []notary.Tenant, err error) {
	err = l.eachAccount(ctx, tableTenants, idKeySize, func(key, fields []byte) error {
		t, err := decodeTenant(fields)
		t.ID = notary.ID(key)
		tenants = append(tenants, t)
		return err
	})
	return tenants, err
}

// APIKeys implements notary.Accounts.
func (l *Ledger) APIKeys(ctx context.Context) (keys []notary.APIKey, err error) {
	err = l.eachAccount(ctx, tableAPIKeys, 1+32, func(key, fields []byte) error {
		k, err := decodeAPIKey(fields)
		k.Hash = [32]byte(key)
		keys = append(keys, k)
		return err
	})
	return keys, err
}

// eachAccount calls fn with every value of a table, and its key without the table.
func (l *Ledger) eachAccount(ctx context.Context, table byte, size int, fn func(key, fields []byte) error) (err error) {
	v, err := l.begin(ctx)
	if err != nil {
		return err
	}
	defer l.end(v)
	bounds := &engine.IterOptions{LowerBound: []byte{table}, UpperBound: []byte{table + 1}}
	it, err := v.snapshot.NewIterWithContext(ctx, bounds)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		fields, err := unseal(it.Key(), value)
		if err == nil && len(it.Key()) != size {
			err = errors.New("its key has another length")
		}
		if err == nil {
			err = fn(it.Key()[1:], fields)
		}
		if err != nil {
			return corrupt("account %x: %v", it.Key(), err)
		}
	}
	return damage(it.Error())
}

// CreateAPIKey implements notary.Accounts.
func (l *Ledger) CreateAPIKey(ctx context.Context, k notary.APIKey) error {
	if err := l.insert(ctx, apiKeyKey(k.Hash), appendAPIKey(nil, &k)); err != nil {
		return fmt.Errorf("create API key: %w", err)
	}
	return nil
}

// DeleteAPIKey implements notary.Accounts.
func (l *Ledger) DeleteAPIKey(ctx context.Context, hash [32]byte) error {
	if err := l.lock(ctx); err != nil {
		return err
	}
	defer l.unlock()
	there, err := l.has(apiKeyKey(hash))
	if err != nil {
		return err
	}
	if !there {
		return fmt.Errorf("API key: %w", notary.ErrNotFound)
	}
	return l.remove(apiKeyKey(hash))
}

// APIKey implements notary.Accounts.
func (l *Ledger) APIKey(ctx context.Context, hash [32]byte) (notary.APIKey, error) {
	v, err := l.begin(ctx)
	if err != nil {
		return notary.APIKey{}, err
	}
	defer l.end(v)
	fields, err := l.get(v.snapshot, apiKeyKey(hash))
	if err != nil {
		return notary.APIKey{}, fmt.Errorf("API key: %w", err)
	}
	k, err := decodeAPIKey(fields)
	if err != nil {
		return notary.APIKey{}, corrupt("API key: %v", err)
	}
	k.Hash = hash
	return k, nil
}

// insert stores a new value, durable on return, or ErrExists.
func (l *Ledger) insert(ctx context.Context, key, fields []byte) error {
	if err := l.lock(ctx); err != nil {
		return err
	}
	defer l.unlock()
	taken, err := l.has(key)
	if err != nil {
		return err
	}
	if taken {
		return notary.ErrExists
	}
	if err := l.room(uint64(len(key) + len(fields))); err != nil {
		return err
	}
	return l.write(key, fields)
}

func appendTenant(dst []byte, t *notary.Tenant) []byte {
	dst = appendUint64(dst, uint64(t.Created.UnixMicro()))
	dst = appendCounted(dst, []byte(t.Name))
	return appendCounted(dst, []byte(t.Registration))
}

func decodeTenant(fields []byte) (notary.Tenant, error) {
	d := decoder{rest: fields}
	t := notary.Tenant{
		Created:      time.UnixMicro(int64(d.uint64())).UTC(),
		Name:         string(d.counted()),
		Registration: string(d.counted()),
	}
	if err := d.finish(); err != nil {
		return notary.Tenant{}, err
	}
	return t, nil
}

func appendAPIKey(dst []byte, k *notary.APIKey) []byte {
	dst = append(dst, k.Tenant[:]...)
	dst = appendUint64(dst, uint64(k.Created.UnixMicro()))
	dst = appendCounted(dst, []byte(k.Role))
	if k.Name == "" && k.Expires.IsZero() { // as before keys had a name and an end
		return dst
	}
	var expires int64
	if !k.Expires.IsZero() {
		expires = k.Expires.UnixMicro()
	}
	return appendCounted(appendUint64(dst, uint64(expires)), []byte(k.Name))
}

func decodeAPIKey(fields []byte) (notary.APIKey, error) {
	d := decoder{rest: fields}
	k := notary.APIKey{
		Tenant:  d.id(),
		Created: time.UnixMicro(int64(d.uint64())).UTC(),
		Role:    notary.Role(d.counted()),
	}
	if len(d.rest) > 0 {
		if expires := int64(d.uint64()); expires != 0 {
			k.Expires = time.UnixMicro(expires).UTC()
		}
		k.Name = string(d.counted())
	}
	if err := d.finish(); err != nil {
		return notary.APIKey{}, err
	}
	return k, nil
}

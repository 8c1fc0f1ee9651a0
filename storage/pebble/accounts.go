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
	values := []value{{idKey(nil, tableTenants, t.ID), appendTenant(nil, &t)}}
	if t.Request != ([32]byte{}) {
		values = append(values, value{hashKey32(tableRequests, t.Request), nil}, value{idKey(nil, tableTenantMore, t.ID), t.Request[:]})
	}
	if err := l.insert(ctx, values...); err != nil {
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
	return t, l.moreOfTenant(v.snapshot, &t)
}

// moreOfTenant reads what stands beside a tenant.
func (l *Ledger) moreOfTenant(r engine.Reader, t *notary.Tenant) error {
	request, err := l.get(r, idKey(nil, tableTenantMore, t.ID))
	if errors.Is(err, notary.ErrNotFound) {
		return nil
	}
	copy(t.Request[:], request)
	return err
}

// moreOfKey reads what stands beside an API key.
func (l *Ledger) moreOfKey(r engine.Reader, k *notary.APIKey) error {
	fields, err := l.get(r, hashKey32(tableKeyMore, k.Hash))
	if errors.Is(err, notary.ErrNotFound) {
		return nil
	}
	if err == nil {
		err = decodeKeyMore(fields, k)
	}
	return err
}

// Tenants implements notary.Accounts.
func (l *Ledger) Tenants(ctx context.Context) (tenants []notary.Tenant, err error) {
	err = l.eachAccount(ctx, tableTenants, idKeySize, func(r engine.Reader, key, fields []byte) error {
		t, err := decodeTenant(fields)
		t.ID = notary.ID(key)
		if err == nil {
			err = l.moreOfTenant(r, &t)
		}
		tenants = append(tenants, t)
		return err
	})
	return tenants, err
}

// APIKeys implements notary.Accounts.
func (l *Ledger) APIKeys(ctx context.Context) (keys []notary.APIKey, err error) {
	err = l.eachAccount(ctx, tableAPIKeys, 1+32, func(r engine.Reader, key, fields []byte) error {
		k, err := decodeAPIKey(fields)
		k.Hash = [32]byte(key)
		if err == nil {
			err = l.moreOfKey(r, &k)
		}
		keys = append(keys, k)
		return err
	})
	return keys, err
}

// eachAccount calls fn with every value of a table, and its key without the table.
func (l *Ledger) eachAccount(ctx context.Context, table byte, size int, fn func(r engine.Reader, key, fields []byte) error) (err error) {
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
			err = fn(v.snapshot, it.Key()[1:], fields)
		}
		if err != nil {
			return corrupt("account %x: %v", it.Key(), err)
		}
	}
	return damage(it.Error())
}

// CreateAPIKey implements notary.Accounts.
func (l *Ledger) CreateAPIKey(ctx context.Context, k notary.APIKey) error {
	values := []value{{hashKey32(tableAPIKeys, k.Hash), appendAPIKey(nil, &k)}}
	if more := appendKeyMore(nil, &k); more != nil {
		values = append(values, value{hashKey32(tableKeyMore, k.Hash), more})
	}
	if k.Request != ([32]byte{}) {
		values = append(values, value{hashKey32(tableRequests, k.Request), nil})
	}
	if err := l.insert(ctx, values...); err != nil {
		return fmt.Errorf("create API key: %w", err)
	}
	return nil
}

// ConfirmAPIKey implements notary.Accounts.
func (l *Ledger) ConfirmAPIKey(ctx context.Context, hash [32]byte, by string, at time.Time) error {
	if err := l.lock(ctx); err != nil {
		return err
	}
	defer l.unlock()
	k, err := l.apiKey(l.db, hash)
	if err == nil && !k.Pending() {
		err = fmt.Errorf("API key: %w", notary.ErrConflict)
	}
	if err != nil {
		return err
	}
	k.ConfirmedBy, k.Confirmed = by, at
	return l.writeAll([]value{{hashKey32(tableAPIKeys, hash), appendAPIKey(nil, &k)}, {hashKey32(tableKeyMore, hash), appendKeyMore(nil, &k)}})
}

// DeleteAPIKey implements notary.Accounts.
func (l *Ledger) DeleteAPIKey(ctx context.Context, hash [32]byte) error {
	if err := l.lock(ctx); err != nil {
		return err
	}
	defer l.unlock()
	k, err := l.apiKey(l.db, hash)
	if err != nil {
		return err
	}
	return l.remove(hashKey32(tableAPIKeys, hash), hashKey32(tableKeyMore, hash), hashKey32(tableRequests, k.Request))
}

// APIKey implements notary.Accounts.
func (l *Ledger) APIKey(ctx context.Context, hash [32]byte) (notary.APIKey, error) {
	v, err := l.begin(ctx)
	if err != nil {
		return notary.APIKey{}, err
	}
	defer l.end(v)
	return l.apiKey(v.snapshot, hash)
}

func (l *Ledger) apiKey(r engine.Reader, hash [32]byte) (notary.APIKey, error) {
	fields, err := l.get(r, hashKey32(tableAPIKeys, hash))
	if err != nil {
		return notary.APIKey{}, fmt.Errorf("API key: %w", err)
	}
	k, err := decodeAPIKey(fields)
	k.Hash = hash
	if err == nil {
		err = l.moreOfKey(r, &k)
	}
	if err != nil {
		return notary.APIKey{}, corrupt("API key: %v", err)
	}
	return k, nil
}

// value is one to be stored.
type value struct{ key, fields []byte }

// insert stores new values at once, durable on return, or ErrExists if one is there.
func (l *Ledger) insert(ctx context.Context, values ...value) error {
	if err := l.lock(ctx); err != nil {
		return err
	}
	defer l.unlock()
	for _, v := range values {
		taken, err := l.has(v.key)
		if err != nil {
			return err
		}
		if taken {
			return notary.ErrExists
		}
	}
	return l.writeAll(values)
}

// writeAll stores values at once, durable on return. The caller holds the lock of the head.
func (l *Ledger) writeAll(values []value) error {
	need := 0
	for _, v := range values {
		need += len(v.key) + len(v.fields)
	}
	if err := l.room(uint64(need)); err != nil {
		return err
	}
	b := l.db.NewBatch()
	for _, v := range values {
		if err := b.Set(v.key, sealed(v.key, v.fields), nil); err != nil {
			return err
		}
	}
	return l.commit(b)
}

func appendTenant(dst []byte, t *notary.Tenant) []byte {
	dst = appendUint64(dst, uint64(t.Created.UnixMicro()))
	dst = appendCounted(dst, []byte(t.Name))
	dst = appendCounted(dst, []byte(t.Registration))
	if t.Verified == "" && t.VerifiedBy == "" { // as before tenants were verified
		return dst
	}
	return appendCounted(appendCounted(dst, []byte(t.Verified)), []byte(t.VerifiedBy))
}

func decodeTenant(fields []byte) (notary.Tenant, error) {
	d := decoder{rest: fields}
	t := notary.Tenant{
		Created:      time.UnixMicro(int64(d.uint64())).UTC(),
		Name:         string(d.counted()),
		Registration: string(d.counted()),
	}
	if len(d.rest) > 0 {
		t.Verified, t.VerifiedBy = string(d.counted()), string(d.counted())
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
	if k.Name == "" && k.Expires.IsZero() && !k.Pending() { // as before keys had a name and an end
		return dst
	}
	expires := microOrZero(k.Expires)
	if k.Pending() { // to a program that does not know of it, it has ended
		expires = 1
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

// microOrZero is a time in microseconds of Unix, 0 where it is zero.
func microOrZero(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func timeOrZero(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

// appendKeyMore is what stands beside an API key, nil if there is nothing.
func appendKeyMore(dst []byte, k *notary.APIKey) []byte {
	if len(k.Supervises) == 0 && k.Request == ([32]byte{}) && k.AskedBy == "" {
		return nil
	}
	dst = append(dst, k.Request[:]...)
	dst = appendUint64(dst, uint64(microOrZero(k.Expires)))
	dst = appendUint64(dst, uint64(microOrZero(k.Confirmed)))
	dst = appendCounted(dst, []byte(k.AskedBy))
	dst = appendCounted(dst, []byte(k.ConfirmedBy))
	for _, id := range k.Supervises {
		dst = append(dst, id[:]...)
	}
	return dst
}

func decodeKeyMore(fields []byte, k *notary.APIKey) error {
	d := decoder{rest: fields}
	copy(k.Request[:], d.bytes(len(k.Request)))
	k.Expires, k.Confirmed = timeOrZero(int64(d.uint64())), timeOrZero(int64(d.uint64()))
	k.AskedBy, k.ConfirmedBy = string(d.counted()), string(d.counted())
	for len(d.rest) > 0 && !d.short {
		k.Supervises = append(k.Supervises, d.id())
	}
	return d.finish()
}

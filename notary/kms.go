package notary

import (
	"context"
	"fmt"
	"regexp"
	"strings"
)

// KMS keeps a key that never leaves it, and under which others are wrapped: a bank's key
// management, which says who may use it, writes down that it was used, and can revoke it.
//
// It is asked once for each tenant's key, when that is first needed, and again after the
// time for which it is held; never for a deposit: data keys are wrapped in this process,
// under the tenant's key.
type KMS interface {
	// Wrap seals plain, at most 4,096 bytes, bound to a context that Unwrap must be given
	// again. What it returns is one line of printable text that names the version of the
	// key where there are several.
	Wrap(ctx context.Context, plain, bound []byte) (wrapped string, err error)
	// Unwrap undoes Wrap. Its errors hold nothing of what was wrapped.
	Unwrap(ctx context.Context, wrapped string, bound []byte) (plain []byte, err error)
	// KeyID names the service and the key in it, as key files tell who can open them.
	KeyID() string
}

// A tenant's key file that a KMS keeps shut is a header, the KMS's KeyID, and the plain file
// as the KMS wrapped it, bound to the tenant.
const wrappedKeyHeader = "muniment/wrapped-tenant-key@v1"

var wrappedKeyFile = regexp.MustCompile(`^` + regexp.QuoteMeta(wrappedKeyHeader) + "\nkms ([!-~]+)\nkey ([!-~]+)\n$")

func boundTo(tenant ID) []byte { return []byte("muniment/tenant-key\n" + tenant.String()) }

// WrapTenantKey returns the key's file: plain without a KMS, else wrapped by it.
func WrapTenantKey(ctx context.Context, kms KMS, tenant ID, k TenantKey) ([]byte, error) {
	if kms == nil {
		return k.Marshal(), nil
	}
	wrapped, err := kms.Wrap(ctx, k.Marshal(), boundTo(tenant))
	if err != nil {
		return nil, fmt.Errorf("wrapping the key of tenant %v: %w", tenant, err)
	}
	file := []byte(wrappedKeyHeader + "\nkms " + kms.KeyID() + "\nkey " + wrapped + "\n")
	if !wrappedKeyFile.Match(file) {
		return nil, fmt.Errorf("wrapping the key of tenant %v: the KMS answered what is not a line of text", tenant)
	}
	return file, nil
}

// UnwrapTenantKey reads a key's file, plain or wrapped.
func UnwrapTenantKey(ctx context.Context, kms KMS, tenant ID, file []byte) (TenantKey, error) {
	if !strings.HasPrefix(string(file), wrappedKeyHeader) {
		return ParseTenantKey(file)
	}
	m := wrappedKeyFile.FindSubmatch(file)
	switch {
	case m == nil:
		return TenantKey{}, fmt.Errorf("not a whole %s file", wrappedKeyHeader)
	case kms == nil:
		return TenantKey{}, fmt.Errorf("it is wrapped by %s: set kms.engine and what belongs to it", m[1])
	case kms.KeyID() != string(m[1]):
		return TenantKey{}, fmt.Errorf("it is wrapped by %s, the settings name %s", m[1], kms.KeyID())
	}
	plain, err := kms.Unwrap(ctx, string(m[2]), boundTo(tenant))
	if err != nil {
		return TenantKey{}, fmt.Errorf("unwrapping the key of tenant %v: %w", tenant, err)
	}
	return ParseTenantKey(plain)
}

// KeyIsWrapped reports whether a key's file is wrapped by a KMS.
func KeyIsWrapped(file []byte) bool { return strings.HasPrefix(string(file), wrappedKeyHeader) }

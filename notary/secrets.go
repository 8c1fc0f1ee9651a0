package notary

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"hash"
	"io"
	"strings"

	"github.com/minio/sio"

	"github.com/muniment/muniment/proofs"
)

// TenantKey is the secret of one tenant. Wrap seals the data keys of its deposits
// and may be rotated; Index makes its Terms and never changes, since idempotency
// keys are kept for ever under it.
type TenantKey struct {
	Wrap, Index [32]byte
}

const tenantKeyHeader = "muniment/tenant-key@v1"

// NewTenantKey reads a new key from random.
func NewTenantKey(random io.Reader) (TenantKey, error) {
	var k TenantKey
	if _, err := io.ReadFull(random, k.Wrap[:]); err != nil {
		return TenantKey{}, err
	}
	_, err := io.ReadFull(random, k.Index[:])
	return k, err
}

// Marshal returns the key's file: a header and one line for each half.
func (k TenantKey) Marshal() []byte {
	e := base64.StdEncoding.EncodeToString
	return []byte(tenantKeyHeader + "\nwrap " + e(k.Wrap[:]) + "\nindex " + e(k.Index[:]) + "\n")
}

// ParseTenantKey reads what TenantKey.Marshal writes. Its errors hold no byte of the key.
func ParseTenantKey(data []byte) (TenantKey, error) {
	var k TenantKey
	lines := strings.Split(string(data), "\n")
	if len(lines) != 4 || lines[0] != tenantKeyHeader {
		return k, fmt.Errorf("not a %s file", tenantKeyHeader)
	}
	for i, part := range []struct {
		name string
		to   *[32]byte
	}{{"wrap ", &k.Wrap}, {"index ", &k.Index}} {
		text, ok := strings.CutPrefix(lines[i+1], part.name)
		b, err := base64.StdEncoding.Strict().DecodeString(text)
		if !ok || err != nil || len(b) != 32 {
			return TenantKey{}, fmt.Errorf("line %d of the tenant key file is not %q and 32 bytes in base64", i+2, part.name)
		}
		copy(part.to[:], b)
	}
	return k, nil
}

// A termer makes the Terms of one operation. It is not safe for concurrent use.
type termer struct{ mac hash.Hash }

func (k TenantKey) termer() termer { return termer{hmac.New(sha256.New, k.Index[:])} }

// term returns the Term of a value; what keeps the families apart.
func (t termer) term(what, value string) Term {
	t.mac.Reset()
	io.WriteString(t.mac, "muniment/term@v1\n"+what+"\n"+value)
	var sum [sha256.Size]byte
	return Term(t.mac.Sum(sum[:0])[:len(Term{})])
}

// Families of terms.
const (
	termKey      = "idempotency-key"
	termContract = "contract"
	termSHA256   = "sha256"
	termLabel    = "label." // followed by the label's name
)

// dataKey is the key of one deposit. Everything private of the deposit is sealed
// under keys derived from it, each used once; destroying it destroys all of that.
type dataKey [32]byte

const (
	secretsVersion = 2
	tagSize        = 16
	secretsSize    = 1 + 12 + 32 + tagSize // version, nonce, key, tag
)

// rowKeys are what a row needs of its data key: like every key of the deposit they
// come from it, so that destroying that one destroys all.
type rowKeys struct {
	seed proofs.Seed // of the record (SPEC.md §4)
	body [32]byte    // seals Row.Body
}

func (k dataKey) rowKeys() rowKeys {
	both := k.derive("row", 64)
	return rowKeys{proofs.Seed(both[:32]), [32]byte(both[32:])}
}

// derive returns the key for one purpose, of that many bytes.
func (k dataKey) derive(purpose string, size int) []byte {
	key, err := hkdf.Expand(sha256.New, k[:], "muniment/"+purpose+"@v1", size)
	if err != nil {
		panic(err) // only lengths over 8,160 fail
	}
	return key
}

func gcm(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // only a wrong key length fails
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return aead
}

// A derived key seals one message, ever, so its nonce may be zero.
var zeroNonce [12]byte

// owner binds what is sealed to the deposit it belongs to, so that rows cannot be
// exchanged.
func owner(tenant, id ID) []byte {
	return append(append(make([]byte, 0, 32), tenant[:]...), id[:]...)
}

// sealSecrets wraps the data key: Row.Secrets.
func sealSecrets(tk TenantKey, tenant, id ID, key dataKey, random io.Reader) ([]byte, error) {
	out := make([]byte, 13, secretsSize)
	out[0] = secretsVersion
	nonce := out[1:13]
	if _, err := io.ReadFull(random, nonce); err != nil {
		return nil, err
	}
	return gcm(tk.Wrap[:]).Seal(out, nonce, key[:], owner(tenant, id)), nil
}

// openSecrets undoes sealSecrets.
func openSecrets(tk TenantKey, row Row) (key dataKey, err error) {
	s := row.Secrets
	if len(s) == 0 {
		return key, ErrErased
	}
	if len(s) != secretsSize || s[0] != secretsVersion {
		return key, fmt.Errorf("%w: secrets of entry %d", ErrDamaged, row.Index)
	}
	if _, err := gcm(tk.Wrap[:]).Open(key[:0], s[1:13], s[13:], owner(row.Tenant, row.ID)); err != nil {
		return dataKey{}, fmt.Errorf("%w: data key of entry %d does not open under the tenant's key", ErrDamaged, row.Index)
	}
	return key, nil
}

// contentMAC recognises the retry of a deposit: same claims, same document.
func contentMAC(seed proofs.Seed, claims proofs.Record, digest proofs.Hash, held bool) [16]byte {
	mac := hmac.New(sha256.New, seed[:])
	fmt.Fprintf(mac, "muniment/content@v1\ndeposit\nheld %t\n", held)
	mac.Write(digest[:])
	io.WriteString(mac, claims.JSON())
	return [16]byte(mac.Sum(nil)[:16])
}

// sealDocument returns r encrypted (DARE 2.0, AES-256-GCM in packages of 64 KiB).
func (k dataKey) sealDocument(r io.Reader) (io.Reader, error) {
	return sio.EncryptReader(r, k.documentConfig())
}

// openDocument returns the plain document over an encrypted blob, and its size.
func (k dataKey) openDocument(b Blob) (io.ReaderAt, int64, error) {
	size, err := sio.DecryptedSize(uint64(b.Size()))
	if err != nil {
		return nil, 0, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	r, err := sio.DecryptReaderAt(b, k.documentConfig())
	return r, int64(size), err
}

func (k dataKey) documentConfig() sio.Config {
	return sio.Config{
		MinVersion:   sio.Version20,
		CipherSuites: []byte{sio.AES_256_GCM},
		Key:          k.derive("document", 32),
	}
}

package notary

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"io"

	"github.com/minio/sio"

	"github.com/muniment/muniment/proofs"
)

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
	termKey       = "idempotency-key"
	termContract  = "contract"
	termSHA256    = "sha256"
	termSM3       = "sm3"
	termDepositor = "depositor"
	termLabel     = "label." // followed by the label's name
)

// dataKey is the key of one deposit. Everything private of the deposit is sealed
// under keys derived from it, each used once; destroying it destroys all of that.
type dataKey [32]byte

// Secrets are a version, a nonce, the data key sealed, and its tag. The version is 2 under
// the first generation of the tenant's key, and 3, with the generation in four bytes before
// the nonce, under a later one.
const (
	secretsVersion     = 2
	generationsVersion = 3
	tagSize            = 16
	secretsSize        = 1 + 12 + 32 + tagSize
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

// sealSecrets wraps the data key under the generation in force: Row.Secrets.
func sealSecrets(tk TenantKey, tenant, id ID, key dataKey, random io.Reader) ([]byte, error) {
	out := make([]byte, 0, 4+secretsSize)
	if g := tk.generation(); g == firstGeneration {
		out = append(out, secretsVersion)
	} else {
		out = binary.BigEndian.AppendUint32(append(out, generationsVersion), g)
	}
	at := len(out)
	out = out[:at+12]
	nonce := out[at:]
	if _, err := io.ReadFull(random, nonce); err != nil {
		return nil, err
	}
	return gcm(tk.Wrap[:]).Seal(out, nonce, key[:], owner(tenant, id)), nil
}

// splitSecrets returns the generation under which secrets are sealed, and the rest of them.
func splitSecrets(s []byte) (generation uint32, rest []byte, ok bool) {
	switch {
	case len(s) == secretsSize && s[0] == secretsVersion:
		return firstGeneration, s[1:], true
	case len(s) == secretsSize+4 && s[0] == generationsVersion:
		g := binary.BigEndian.Uint32(s[1:])
		return g, s[5:], g > firstGeneration
	}
	return 0, nil, false
}

// openSecrets undoes sealSecrets, whatever generation they are sealed under.
func openSecrets(tk TenantKey, row Row) (key dataKey, err error) {
	if len(row.Secrets) == 0 {
		return key, ErrErased
	}
	generation, s, ok := splitSecrets(row.Secrets)
	if !ok {
		return key, fmt.Errorf("%w: secrets of entry %d", ErrDamaged, row.Index)
	}
	wrap, err := tk.wrapOf(generation)
	if err != nil {
		return key, fmt.Errorf("%w: entry %d: %w", ErrUnavailable, row.Index, err)
	}
	if _, err := gcm(wrap[:]).Open(key[:0], s[:12], s[12:], owner(row.Tenant, row.ID)); err != nil {
		return dataKey{}, fmt.Errorf("%w: data key of entry %d does not open under the tenant's key", ErrDamaged, row.Index)
	}
	return key, nil
}

// resealSecrets seals the data key of a row anew, under the generation in force. Nil: it is
// already, or there is none left.
func resealSecrets(tk TenantKey, row Row, random io.Reader) ([]byte, error) {
	if g, _, ok := splitSecrets(row.Secrets); len(row.Secrets) == 0 || ok && g == tk.generation() {
		return nil, nil
	}
	key, err := openSecrets(tk, row)
	if err != nil {
		return nil, err
	}
	return sealSecrets(tk, row.Tenant, row.ID, key, random)
}

// contentMAC recognises the retry of a deposit: same claims, whatever a signature's bytes, and
// same document.
func contentMAC(seed proofs.Seed, claims proofs.Record, digest proofs.Hash, held bool) [16]byte {
	mac := hmac.New(sha256.New, seed[:])
	fmt.Fprintf(mac, "muniment/content@v1\ndeposit\nheld %t\n", held)
	mac.Write(digest[:])
	io.WriteString(mac, intended(claims).JSON())
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

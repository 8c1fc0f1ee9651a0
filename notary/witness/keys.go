package witness

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"filippo.io/mldsa"
	"filippo.io/mldsa/x509"

	"github.com/muniment/muniment/proofs"
)

// The directory of a witness:
//
//	vkeys          its public keys, a vkey a line: Ed25519 first, ML-DSA-44 second if there is one
//	ed25519.pem    the private keys, PKCS#8, readable by their owner alone
//	mldsa44.pem
//	state          what it has cosigned; see state.go
//	forks/         pairs of checkpoints by which a log contradicted itself
const vkeysFile = "vkeys"

var privateFile = map[byte]string{proofs.TypeEd25519Cosigner: "ed25519.pem", proofs.TypeMLDSA44Cosigner: "mldsa44.pem"}

// ErrName: a witness's name is too long.
var ErrName = fmt.Errorf("a name has at most %d bytes", maxName)

// ErrExposed: others than its owner may read a private key.
var ErrExposed = errors.New("others may read it")

// A Key is one with which a witness cosigns.
type Key struct {
	proofs.VerifierKey // of type TypeEd25519Cosigner or TypeMLDSA44Cosigner
	Signer             crypto.Signer
}

// Init lays out the directory of a new witness, which must not exist or be empty: its
// keys, and a state in which no log was seen yet. All is durable on return. The name is
// the one under which it cosigns, a URL without its scheme, of at most 255 bytes.
func Init(dir, name string, withMLDSA bool) ([]proofs.VerifierKey, error) {
	keys, err := newKeys(name, withMLDSA)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	if len(entries) > 0 {
		return nil, fmt.Errorf("%s: %w, and not empty", dir, os.ErrExist)
	}
	var public []proofs.VerifierKey
	var vkeys strings.Builder
	for _, k := range keys {
		data, err := marshalKey(k.Signer)
		if err != nil {
			return nil, err
		}
		if err := (disk{}).write(filepath.Join(dir, privateFile[k.Type]), data); err != nil {
			return nil, err
		}
		public = append(public, k.VerifierKey)
		vkeys.WriteString(k.String() + "\n")
	}
	if err := (disk{}).write(filepath.Join(dir, vkeysFile), []byte(vkeys.String())); err != nil {
		return nil, err
	}
	if err := (folder{dir, disk{}}).store(state{}.encode(name)); err != nil {
		return nil, err
	}
	return public, disk{}.syncDir(filepath.Dir(filepath.Clean(dir)))
}

func newKeys(name string, withMLDSA bool) ([]Key, error) {
	if len(name) > maxName {
		return nil, ErrName
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	k, err := proofs.NewVerifierKey(name, proofs.TypeEd25519Cosigner, public)
	if err != nil {
		return nil, err
	}
	keys := []Key{{k, private}}
	if withMLDSA {
		private, err := mldsa.GenerateKey(mldsa.MLDSA44())
		if err != nil {
			return nil, err
		}
		k, err := proofs.NewVerifierKey(name, proofs.TypeMLDSA44Cosigner, private.PublicKey().Bytes())
		if err != nil {
			return nil, err
		}
		keys = append(keys, Key{k, private})
	}
	return keys, nil
}

// maxName is what the signed message of an ML-DSA-44 cosignature has room for.
const maxName = 255

func marshalKey(signer crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(signer)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// VerifierKeys returns the public keys of the witness in dir, Ed25519 first.
func VerifierKeys(dir string) ([]proofs.VerifierKey, error) {
	path := filepath.Join(dir, vkeysFile)
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var keys []proofs.VerifierKey
	for line := range strings.Lines(string(data)) {
		k, err := proofs.ParseVerifierKey(strings.TrimSuffix(line, "\n"))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		keys = append(keys, k)
	}
	return keys, checkKeys(keys)
}

// checkKeys: one Ed25519 key, and at most one ML-DSA-44 key of the same name after it.
func checkKeys(keys []proofs.VerifierKey) error {
	types := []byte{proofs.TypeEd25519Cosigner, proofs.TypeMLDSA44Cosigner}
	if len(keys) == 0 || len(keys) > len(types) {
		return errors.New("a witness has an Ed25519 key, and may have one of ML-DSA-44")
	}
	for i, k := range keys {
		if k.Type != types[i] || k.Name != keys[0].Name || len(k.Name) > maxName {
			return errors.New("a witness has an Ed25519 key, and may have one of ML-DSA-44 with the same name")
		}
	}
	return nil
}

// LoadKeys reads the keys of the witness in dir. Errors hold no byte of a private key.
func LoadKeys(dir string) ([]Key, error) {
	public, err := VerifierKeys(dir)
	if err != nil {
		return nil, err
	}
	var keys []Key
	for _, k := range public {
		path := filepath.Join(dir, privateFile[k.Type])
		signer, own, err := loadKey(path)
		if err != nil {
			return nil, err
		}
		if own != k.Key {
			return nil, fmt.Errorf("%s is not the private key of %s in %s", path, k.Name, vkeysFile)
		}
		keys = append(keys, Key{k, signer})
	}
	return keys, nil
}

// loadKey reads a private key, and returns the bytes of its public key beside it.
func loadKey(path string) (signer crypto.Signer, public string, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, "", err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, "", fmt.Errorf("%s: %w; run chmod 600 on it", path, ErrExposed)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, "", err
	}
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, "", fmt.Errorf("%s is not a PKCS#8 key in PEM", path)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, "", fmt.Errorf("%s cannot be read as PKCS#8", path)
	}
	switch k := key.(type) {
	case ed25519.PrivateKey:
		return k, string(k.Public().(ed25519.PublicKey)), nil
	case *mldsa.PrivateKey:
		return k, string(k.PublicKey().Bytes()), nil
	}
	return nil, "", fmt.Errorf("%s is neither an Ed25519 nor an ML-DSA-44 key", path)
}

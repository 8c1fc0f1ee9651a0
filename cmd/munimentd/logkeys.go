package main

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/youmark/pkcs8"

	"github.com/muniment/muniment/proofs"
)

// The log's Ed25519 keys that a process has, wherever they are kept: one, and in a rotation
// two. Which of them must sign, the log itself says; the policy says which is its own.

// logKeyConfig is what the settings say of them.
type logKeyConfig struct {
	PEM            string // PKCS#8, one block or several
	Passphrase     string
	PassphraseFile string
	Token          tokenConfig
}

// logKey is one of them.
type logKey struct {
	signer crypto.Signer
	from   string // where it is kept, for people
}

func (k logKey) public() string { return string(k.signer.Public().(ed25519.PublicKey)) }

func nextKeyPath(dir string) string { return filepath.Join(dir, "keys", "log-next.pem") }

// elsewhere reports whether the log's keys are kept outside the directory.
func (c logKeyConfig) elsewhere() bool { return c.PEM != "" || len(c.Token.Keys) > 0 }

// maxPassphrase bounds the file that holds it.
const maxPassphrase = 4096

// passphrase returns the passphrase of encrypted keys, empty if there is none.
func (c logKeyConfig) passphrase() ([]byte, error) {
	if c.PassphraseFile == "" {
		return []byte(c.Passphrase), nil
	}
	if err := private(c.PassphraseFile); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(c.PassphraseFile)
	if err != nil {
		return nil, err
	}
	line, _, _ := strings.Cut(string(data), "\n")
	if line = strings.TrimSuffix(line, "\r"); line == "" || len(data) > maxPassphrase {
		return nil, fmt.Errorf("%s holds no passphrase in its first line", c.PassphraseFile)
	}
	return []byte(line), nil
}

// logKeys returns every key of the log that is at hand: those of the directory, of the
// environment, of the token. At least one is.
func (c *config) logKeys() ([]logKey, error) {
	passphrase, err := c.LogKey.passphrase()
	if err != nil {
		return nil, err
	}
	var all []logKey
	for _, path := range []string{logKeyPath(c.Dir), nextKeyPath(c.Dir)} {
		_, err := os.Stat(path)
		if errors.Is(err, os.ErrNotExist) && (c.LogKey.elsewhere() || path == nextKeyPath(c.Dir)) {
			continue
		}
		keys, err := loadLogKey(path, passphrase)
		if err != nil {
			return nil, err
		}
		all = append(all, keys...)
	}
	if c.LogKey.PEM != "" {
		keys, err := parseLogKeys([]byte(c.LogKey.PEM), "log-key.pem", passphrase)
		if err != nil {
			return nil, err
		}
		all = append(all, keys...)
	}
	if len(c.LogKey.Token.Keys) > 0 {
		keys, err := c.LogKey.Token.open()
		if err != nil {
			return nil, err
		}
		all = append(all, keys...)
	}
	return all, nil
}

// loadLogKey reads a key file. Its errors hold no byte of the file.
func loadLogKey(path string, passphrase []byte) ([]logKey, error) {
	if err := private(path); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return parseLogKeys(data, path, passphrase)
}

// parseLogKeys reads PKCS#8 keys in PEM, encrypted or not.
func parseLogKeys(data []byte, from string, passphrase []byte) ([]logKey, error) {
	var all []logKey
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		var key any
		var err error
		switch block.Type {
		case "PRIVATE KEY":
			key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		case "ENCRYPTED PRIVATE KEY":
			if len(passphrase) == 0 {
				return nil, fmt.Errorf("%s is encrypted: set log-key.passphrase-file, or log-key.passphrase in the environment", from)
			}
			if key, err = pkcs8.ParsePKCS8PrivateKey(block.Bytes, passphrase); err != nil {
				return nil, fmt.Errorf("%s cannot be decrypted with this passphrase", from)
			}
		default:
			return nil, fmt.Errorf("%s is not a PKCS#8 key in PEM", from)
		}
		if err != nil {
			return nil, fmt.Errorf("%s cannot be read as PKCS#8", from)
		}
		signer, ok := key.(ed25519.PrivateKey)
		if !ok {
			return nil, fmt.Errorf("%s is not an Ed25519 key", from)
		}
		all = append(all, logKey{signer, from})
	}
	if len(all) == 0 || strings.TrimSpace(string(data)) != "" {
		return nil, fmt.Errorf("%s is not a PKCS#8 key in PEM", from)
	}
	return all, nil
}

// keyDerivation makes a guess at a passphrase cost about a third of a second.
var keyDerivation = pkcs8.Opts{
	Cipher:  pkcs8.AES256CBC,
	KDFOpts: pkcs8.PBKDF2Opts{SaltSize: 16, IterationCount: 600_000, HMACHash: crypto.SHA256},
}

// newLogKey makes a key, encrypted under the passphrase if there is one, in PEM.
func newLogKey(passphrase []byte) (ed25519.PrivateKey, []byte, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	kind := "PRIVATE KEY"
	var der []byte
	if len(passphrase) == 0 {
		der, err = x509.MarshalPKCS8PrivateKey(key)
	} else {
		kind = "ENCRYPTED PRIVATE KEY"
		der, err = pkcs8.MarshalPrivateKey(key, passphrase, &keyDerivation)
	}
	if err != nil {
		return nil, nil, errors.New("the key cannot be put into PKCS#8")
	}
	return key, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), nil
}

// firstLogKey returns the key that a new log signs with: the first that is kept elsewhere,
// or one that is made in the directory.
func (c *config) firstLogKey() (crypto.Signer, error) {
	if c.LogKey.elsewhere() {
		all, err := c.logKeys()
		if err != nil {
			return nil, err
		}
		return all[0].signer, nil
	}
	passphrase, err := c.LogKey.passphrase()
	if err != nil {
		return nil, err
	}
	key, file, err := newLogKey(passphrase)
	if err != nil {
		return nil, err
	}
	return key, writeFile(logKeyPath(c.Dir), file, 0o600)
}

// pick returns the signer of a vkey, and the others. Without it, the first is taken, which
// the notary then refuses by name.
func pick(all []logKey, k proofs.VerifierKey) (crypto.Signer, []crypto.Signer) {
	at := 0
	for i, key := range all {
		if key.public() == k.Key {
			at = i
		}
	}
	var others []crypto.Signer
	for i, key := range all {
		if i != at {
			others = append(others, key.signer)
		}
	}
	return all[at].signer, others
}

// vkeyOf is the vkey of a key under the log's name.
func vkeyOf(origin string, k logKey) (proofs.VerifierKey, error) {
	return proofs.NewVerifierKey(origin, proofs.TypeEd25519, ed25519.PublicKey(k.public()))
}

package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/proofs"
)

// The kinds of PEM that are read and written. The public half of FILE is FILE.pub.
const (
	pemPrivate   = "PRIVATE KEY"
	pemPublic    = "PUBLIC KEY"
	publicSuffix = ".pub"
	maxKeyFile   = 16 << 10
)

func keyCommand(lang proofs.Language) *cobra.Command {
	c := &cobra.Command{Use: "key", Short: sayKeyShort.in(lang), Long: sayKeyLong.in(lang), Example: sayKeyExample.in(lang)}
	family(c)
	c.AddCommand(keyNewCommand(lang), keyShowCommand(lang))
	return c
}

func oneKey(_ *cobra.Command, files []string) error {
	if len(files) != 1 {
		return sayWhichKeyFile.err()
	}
	return nil
}

func keyNewCommand(lang proofs.Language) *cobra.Command {
	var p256, json bool
	c := &cobra.Command{
		Use: "new FILE", Short: sayKeyNewShort.in(lang), Long: sayKeyNewLong.in(lang), Args: oneKey,
		RunE: func(c *cobra.Command, files []string) error {
			signer, err := newSigner(p256)
			if err != nil {
				return err
			}
			key, err := proofs.NewDepositorKey(signer.Public())
			if err != nil {
				return err
			}
			if err := writeKey(files[0], signer); errors.Is(err, fs.ErrExist) {
				return sayTaken.err(files[0])
			} else if err != nil {
				return err
			}
			return tellKey(newScreen(c, lang, json), files[0], key)
		},
	}
	c.Flags().BoolVar(&p256, "p256", false, sayFlagP256.in(lang))
	c.Flags().BoolVar(&json, "json", false, sayFlagJSON.in(lang))
	return c
}

func keyShowCommand(lang proofs.Language) *cobra.Command {
	var json bool
	c := &cobra.Command{
		Use: "show FILE", Short: sayKeyShowShort.in(lang), Long: sayKeyShowLong.in(lang), Args: oneKey,
		RunE: func(c *cobra.Command, files []string) error {
			key, err := readPublic(files[0])
			if err != nil {
				return err
			}
			return tellKey(newScreen(c, lang, json), files[0], key)
		},
	}
	c.Flags().BoolVar(&json, "json", false, sayFlagJSON.in(lang))
	return c
}

func newSigner(p256 bool) (crypto.Signer, error) {
	if p256 {
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	return key, err
}

// writeKey writes a key for its owner alone, and its public half beside it, durable on return.
func writeKey(path string, signer crypto.Signer) error {
	private, err := x509.MarshalPKCS8PrivateKey(signer)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(signer.Public())
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(pem.EncodeToMemory(&pem.Block{Type: pemPrivate, Bytes: private}))
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	err = replace(path+publicSuffix, pem.EncodeToMemory(&pem.Block{Type: pemPublic, Bytes: public}), false)
	return errors.Join(ignoring(err, fs.ErrExist), syncDir(filepath.Dir(path)))
}

func tellKey(s *screen, path string, key proofs.DepositorKey) error {
	if s.json {
		return s.object(struct {
			File        string `json:"file"`
			Algorithm   string `json:"algorithm"`
			Fingerprint string `json:"fingerprint"`
			Key         string `json:"key"`
		}{path, key.Algorithm(), key.Fingerprint(), key.String()})
	}
	return s.facts([]fact{{headKeyFile, path}, {headAlgorithm, key.Algorithm()}, {headFingerprint, key.Fingerprint()}, {headKey, key.String()}})
}

// readPEM reads the one block of a key file.
func readPEM(path string) (*pem.Block, error) {
	data, err := readBounded(path, maxKeyFile)
	if err != nil {
		return nil, err
	}
	block, rest := pem.Decode(data)
	if block == nil || len(strings.TrimSpace(string(rest))) > 0 {
		return nil, sayNoKey.err(path)
	}
	return block, nil
}

// readSigner reads the key that --sign-key names, which nobody but its owner may read.
func readSigner(path string) (crypto.Signer, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, sayKeyExposed.err(path)
	}
	block, err := readPEM(path)
	if err != nil {
		return nil, err
	}
	return privateKey(path, block)
}

func privateKey(path string, block *pem.Block) (crypto.Signer, error) {
	if block.Type != pemPrivate {
		return nil, sayNoPrivateKey.err(path)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, sayNoPrivateKey.err(path)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, sayNoPrivateKey.err(path)
	}
	if _, err := proofs.NewDepositorKey(signer.Public()); err != nil {
		return nil, sayOtherAlgorithm.err(path)
	}
	return signer, nil
}

// readPublic reads the public half of a key, from either of its files.
func readPublic(path string) (proofs.DepositorKey, error) {
	block, err := readPEM(path)
	if err != nil {
		return proofs.DepositorKey{}, err
	}
	var public crypto.PublicKey
	if block.Type == pemPublic {
		if public, err = x509.ParsePKIXPublicKey(block.Bytes); err != nil {
			return proofs.DepositorKey{}, sayNoKey.err(path)
		}
	} else {
		signer, err := privateKey(path, block)
		if err != nil {
			return proofs.DepositorKey{}, err
		}
		public = signer.Public()
	}
	key, err := proofs.NewDepositorKey(public)
	if err != nil {
		return key, sayOtherAlgorithm.err(path)
	}
	return key, nil
}

// depositorKeys are the fingerprints that --depositor-key names, by themselves or by files.
func depositorKeys(said []string) ([]proofs.Option, error) {
	var prints []string
	for _, s := range said {
		if raw, err := hex.DecodeString(s); err == nil && len(raw) == 32 {
			prints = append(prints, strings.ToLower(s))
			continue
		}
		key, err := readPublic(s)
		if err != nil {
			return nil, err
		}
		prints = append(prints, key.Fingerprint())
	}
	if len(prints) == 0 {
		return nil, nil
	}
	return []proofs.Option{proofs.WithDepositorKeys(prints...)}, nil
}

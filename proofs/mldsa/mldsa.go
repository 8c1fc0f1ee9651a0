// Package mldsa makes and verifies cosignatures with ML-DSA-44 (FIPS 204), type 0x06 of
// C2SP tlog-cosignature, which still hold when Ed25519 no longer does.
//
//	verifier := proofs.NewVerifier(policy, mldsa.Plugged())
package mldsa

import (
	"crypto"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"filippo.io/mldsa"

	"github.com/muniment/muniment/proofs"
)

// Sizes in bytes.
const (
	PublicKeySize = mldsa.MLDSA44PublicKeySize
	// SignatureSize is that of what follows the key id: time and signature.
	SignatureSize = 8 + mldsa.MLDSA44SignatureSize
)

// Plugged makes a proofs.Verifier verify signatures by keys of type 0x06.
func Plugged() proofs.Option {
	return proofs.WithAlgorithm(proofs.Algorithm{Type: proofs.TypeMLDSA44Cosigner, Verify: verifyText})
}

func verifyText(k proofs.VerifierKey, text string, signature []byte) (posix int64, ok bool) {
	cp, err := proofs.ParseCheckpoint(text)
	if err != nil {
		return 0, false
	}
	return Verify(k, cp, signature)
}

// Verify reports whether signature, as it follows the key id, is k's cosignature on a
// checkpoint, and at which POSIX time it says it was made. 0 is no time: the cosigner
// then says that the tree is consistent with all it saw, not that it is the newest.
func Verify(k proofs.VerifierKey, cp proofs.Checkpoint, signature []byte) (posix int64, ok bool) {
	if k.Type != proofs.TypeMLDSA44Cosigner || len(signature) != SignatureSize {
		return 0, false
	}
	stated := binary.BigEndian.Uint64(signature)
	if stated > math.MaxInt64 {
		return 0, false
	}
	public, err := mldsa.NewPublicKey(mldsa.MLDSA44(), []byte(k.Key))
	if err != nil {
		return 0, false
	}
	message, err := cosigned(k.Name, stated, cp)
	if err != nil || mldsa.Verify(public, message, signature[8:], nil) != nil {
		return 0, false
	}
	return int64(stated), true
}

// Cosign returns k's cosignature on a checkpoint, made at the given POSIX time, which is
// from 1 on, and checked before it is returned. The signer holds the private half of k:
// an *mldsa.PrivateKey, or what guards one.
func Cosign(k proofs.VerifierKey, cp proofs.Checkpoint, posix int64, signer crypto.Signer) (proofs.Signature, error) {
	if k.Type != proofs.TypeMLDSA44Cosigner || posix <= 0 {
		return proofs.Signature{}, errors.New("only an ML-DSA-44 witness key cosigns, at a time after 1970 began")
	}
	message, err := cosigned(k.Name, uint64(posix), cp)
	if err != nil {
		return proofs.Signature{}, err
	}
	raw, err := signer.Sign(nil, message, crypto.Hash(0))
	if err != nil {
		return proofs.Signature{}, err
	}
	s := proofs.Signature{Name: k.Name, KeyID: k.ID, Bytes: append(binary.BigEndian.AppendUint64(nil, uint64(posix)), raw...)}
	if _, ok := Verify(k, cp, s.Bytes); !ok {
		return proofs.Signature{}, fmt.Errorf("the signer returned a signature that does not verify under %s", k.Name)
	}
	return s, nil
}

// label begins each signed message, and keeps it apart from all others that the key may
// sign.
const label = "subtree/v1\n\x00"

// maxName is the most bytes that a name or an origin can have in a signed message.
const maxName = 255

// cosigned is the cosigned_message of C2SP tlog-cosignature for a whole tree. Extension
// lines, where a checkpoint has them, are not part of it.
func cosigned(name string, posix uint64, cp proofs.Checkpoint) ([]byte, error) {
	if name == "" || len(name) > maxName || cp.Origin == "" || len(cp.Origin) > maxName {
		return nil, fmt.Errorf("ML-DSA-44 cosignatures know names and origins of 1 to %d bytes", maxName)
	}
	m := append([]byte(label), byte(len(name)))
	m = append(m, name...)
	m = binary.BigEndian.AppendUint64(m, posix)
	m = append(append(m, byte(len(cp.Origin))), cp.Origin...)
	m = binary.BigEndian.AppendUint64(m, 0) // start: the whole tree
	m = binary.BigEndian.AppendUint64(m, cp.Size)
	return append(m, cp.Root[:]...), nil
}

package proofs

import (
	"crypto/sha256"
	"encoding/base64"
)

// HashSize is the size of a Merkle tree hash in bytes.
const HashSize = sha256.Size

// A Hash is a SHA-256 Merkle tree hash as RFC 6962 §2.1 defines it.
type Hash [HashSize]byte

// String returns h in padded standard base64, as checkpoints and receipts write it.
func (h Hash) String() string {
	return base64.StdEncoding.EncodeToString(h[:])
}

// ParseHash reads what Hash.String writes, and nothing else.
func ParseHash(s string) (Hash, error) {
	b, err := decodeBase64(s)
	if err != nil || len(b) != HashSize {
		return Hash{}, malformed("hash is not 32 bytes of padded standard base64")
	}
	return Hash(b), nil
}

// EmptyRoot is the root of a tree without leaves (RFC 6962 §2.1).
var EmptyRoot = Hash(sha256.Sum256(nil))

// LeafHash returns the hash of one entry's bytes as a leaf (RFC 6962 §2.1).
func LeafHash(entry []byte) Hash {
	// Entries are short: the one buffer keeps the common case free of allocation.
	var buf [256]byte
	return sha256.Sum256(append(append(buf[:0], 0x00), entry...))
}

// NodeHash returns the hash of an inner node over its two children (RFC 6962 §2.1).
func NodeHash(left, right Hash) Hash {
	var buf [1 + 2*HashSize]byte
	buf[0] = 0x01
	copy(buf[1:], left[:])
	copy(buf[1+HashSize:], right[:])
	return sha256.Sum256(buf[:])
}

package client

import (
	"encoding/hex"
	"errors"

	"github.com/muniment/muniment/proofs"
)

// place is where a deposit stands in its case.
type place struct {
	seq  uint64
	prev string // hex; empty at 1
	leaf proofs.Hash
}

// placeOf reads case.seq and case.prev.
func placeOf(member func(string) (proofs.Value, bool), leaf proofs.Hash) (place, error) {
	v, _ := member("case.seq")
	seq, ok := v.Integer()
	prev, there := member("case.prev")
	if !ok || seq < 1 || there != (seq > 1) || there && !proofs.TypeDigest.Holds(prev) {
		return place{}, errors.New("it does not say its place in its case")
	}
	p := place{seq: uint64(seq), leaf: leaf}
	p.prev, _ = prev.Text()
	return p, nil
}

// follows reports whether p is right behind last.
func (p place) follows(last place) bool {
	return p.seq == last.seq+1 && p.prev == hex.EncodeToString(last.leaf[:])
}

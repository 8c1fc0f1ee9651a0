// Package sm has SM3, the hash of GB/T 32905-2016, for a Verifier and for who makes records.
//
//	verifier := proofs.NewVerifier(policy, sm.Plugged())
package sm

import (
	"hash"

	"github.com/emmansun/gmsm/sm3"

	"github.com/muniment/muniment/proofs"
)

// New returns a hash that computes SM3: 32 bytes.
func New() hash.Hash { return sm3.New() }

// Plugged makes a proofs.Verifier hold a document against content.sm3 too, where the receipt
// shows it.
func Plugged() proofs.Option { return proofs.WithSM3(New) }

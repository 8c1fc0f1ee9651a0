package notary

import (
	"encoding/hex"
	"slices"
	"strings"

	"github.com/muniment/muniment/proofs"
)

// A depositor may sign what it deposits (SPEC.md §9). It sends depositor.key and
// depositor.signature among its claims, and what it signed are its claims and the digest.

// checkSigner refuses claims with half of a signature, or a key that nobody could sign with.
func checkSigner(claims proofs.Record) error {
	key, hasKey := claims.Get("depositor.key")
	_, signed := claims.Get("depositor.signature")
	switch {
	case !hasKey && !signed:
		return nil
	case !signed:
		return invalid("depositor.signature", "required beside depositor.key")
	case !hasKey:
		return invalid("depositor.key", "required beside depositor.signature")
	}
	text, _ := key.Text()
	if _, err := proofs.ParseDepositorKey(text); err != nil {
		return invalid("depositor.key", "%v", err)
	}
	return nil
}

// signed are the members that a depositor's signature covers, once the digest is known; nil
// if there is none.
func (in *intake) signed() proofs.Record {
	if _, ok := in.text("depositor.signature"); !ok {
		return nil
	}
	digest, _ := proofs.Text(hex.EncodeToString(in.digest[:]))
	members := slices.DeleteFunc(slices.Clone(in.claims), func(m proofs.Member) bool { return m.Name == "content.sha256" })
	record, err := proofs.NewRecord(append(members, proofs.Member{Name: "content.sha256", Value: digest})...)
	if err != nil {
		return nil // 64 claims and a digest: no record has room for them
	}
	return record
}

// checkSignature refuses a signature that does not hold.
func (in *intake) checkSignature() error {
	signature, ok := in.text("depositor.signature")
	if !ok {
		return nil
	}
	text, _ := in.text("depositor.key")
	key, err := proofs.ParseDepositorKey(text)
	if err != nil {
		return invalid("depositor.key", "%v", err)
	}
	if signed := in.signed(); !key.Verify(signed, signature) {
		var names []string
		for _, m := range signed {
			if m.Name != "depositor.signature" {
				names = append(names, m.Name)
			}
		}
		return invalid("depositor.signature", "it does not hold over the members %s", strings.Join(names, ", "))
	}
	return nil
}

// signatureMembers are the depository's own about a signature: what it covers, and whether the
// tenant had registered the key.
func (in *intake) signatureMembers() proofs.Record {
	signed := in.signed()
	if signed == nil {
		return nil
	}
	members := proofs.Record{{Name: "depositor.signed", Value: proofs.DepositorSigned(signed)}}
	if in.checks.registered(in.claims) {
		members = append(members, proofs.Member{Name: "depositor.key.registered", Value: proofs.Boolean(true)})
	}
	return members
}

// registered reports whether the claims' key is one of those that the tenant registered.
func (c Checks) registered(claims proofs.Record) bool {
	v, _ := claims.Get("depositor.key")
	text, _ := v.Text()
	key, err := proofs.ParseDepositorKey(text)
	return err == nil && slices.Contains(c.SigningKeys, key.Fingerprint())
}

// intended are the claims by which a retry is recognised. The signature's bytes are none of
// them: ECDSA gives others each time that the same is signed. The one that came first stands.
func intended(claims proofs.Record) proofs.Record {
	if _, signed := claims.Get("depositor.signature"); !signed {
		return claims
	}
	return slices.DeleteFunc(slices.Clone(claims), func(m proofs.Member) bool { return m.Name == "depositor.signature" })
}

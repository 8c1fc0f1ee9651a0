package client

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"slices"
	"testing"

	"github.com/muniment/muniment/proofs"
)

// TestSigner: what a Signer signed comes back in a receipt that says so, and nothing else is
// believed.
func TestSigner(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	// As the real one does.
	list := func(r proofs.Record) proofs.Record {
		var signed proofs.Record
		for _, m := range r {
			if m.Name != "id" && m.Name != "content.held" && m.Name != "tenant.name" {
				signed = append(signed, m)
			}
		}
		return with(r, `{"depositor.signed":`+proofs.DepositorSigned(signed).JSON()+`}`)
	}
	drop := func(r proofs.Record, names ...string) proofs.Record {
		return slices.DeleteFunc(slices.Clone(r), func(m proofs.Member) bool { return slices.Contains(names, m.Name) })
	}
	all := []string{"depositor.key", "depositor.signature", "depositor.signed"}
	for _, signer := range []crypto.Signer{private, ec} {
		d := &depository{t: t, alter: list}
		c, _ := serve(t, d)
		request := loan()
		request.Signer = signer
		for _, c.Verifier = range []*proofs.Verifier{nil, verifier()} {
			d.alter = list
			r, err := c.Deposit(t.Context(), request)
			if err != nil {
				t.Fatal(err)
			}
			key, _ := proofs.NewDepositorKey(signer.Public())
			s, sound := proofs.CheckDepositor(r.Disclosures)
			if !sound || s.Check != proofs.DepositorValid || s.Key != key.Fingerprint() || !slices.Contains(s.Members, "content.type") {
				t.Errorf("%+v", s)
			}
			first, _ := d.record.Get("depositor.signature")
			d.alter = func(r proofs.Record) proofs.Record { return list(with(r, `{"depositor.signature":`+first.JSON()+`}`)) }
			if _, err := c.Deposit(t.Context(), request); err != nil {
				t.Errorf("a retry: %v", err)
			}
			for what, alter := range map[string]func(proofs.Record) proofs.Record{
				"no signature":      func(r proofs.Record) proofs.Record { return drop(r, all...) },
				"half of one":       func(r proofs.Record) proofs.Record { return drop(r, "depositor.signature") },
				"no list":           func(r proofs.Record) proofs.Record { return r },
				"another signature": func(r proofs.Record) proofs.Record { return list(with(r, `{"depositor.signature":"AAAA"}`)) },
				"another claim":     func(r proofs.Record) proofs.Record { return list(with(r, `{"contract.number":"2"}`)) },
			} {
				d.alter = alter
				if _, err := c.Deposit(t.Context(), request); !errors.Is(err, ErrReceipt) {
					t.Errorf("%s: %v", what, err)
				}
			}
		}
		// A signature that nobody made.
		d.alter = func(r proofs.Record) proofs.Record {
			signed, err := proofs.SignDeposit(drop(r, "id", "content.held", "tenant.name"), signer)
			if err != nil {
				t.Fatal(err)
			}
			return list(with(signed, r.JSON()))
		}
		if _, err := c.Deposit(t.Context(), loan()); !errors.Is(err, ErrReceipt) {
			t.Errorf("signed in the depositor's name: %v", err)
		}
		lines, err := Batch{Lines: []proofs.Record{members(`{"content.sha256":"` + digest("a") + `"}`)}, Signer: signer}.lines()
		if err != nil {
			t.Fatal(err)
		}
		if v, _ := lines[0].Get("depositor.signature"); v.JSON() == "" {
			t.Error("a batch's line is not signed")
		}
	}
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	c, _ := serve(t, &depository{t: t})
	request := loan()
	request.Signer = p384
	if _, err := c.Deposit(t.Context(), request); !errors.Is(err, proofs.ErrDepositorKey) {
		t.Errorf("P-384: %v", err)
	}
}

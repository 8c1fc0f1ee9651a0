package approval

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/muniment/muniment/proofs"
)

func signers(t testing.TB, names ...string) (all []Signer, list Approvers) {
	t.Helper()
	var keys []proofs.VerifierKey
	for _, name := range names {
		s, err := NewSigner(name)
		if err != nil {
			t.Fatal(err)
		}
		all, keys = append(all, s), append(keys, s.VerifierKey)
	}
	list, err := NewApprovers(2, keys...)
	if err != nil {
		t.Fatal(err)
	}
	return all, list
}

func request() Request {
	return New("key-rotate-begin", "localhost/test/a", 7, proofs.EmptyRoot, map[string]string{"next": "the new key", "policy": "abc"}, time.Now().Add(time.Hour))
}

// TestApproval: two of three approve, in one file or in two, and their keys and their list
// are read as they were written.
func TestApproval(t *testing.T) {
	all, list := signers(t, "ann", "bob", "cho")
	r := request()
	var files []proofs.Note
	for _, s := range all[:2] {
		again, err := ParseSigner(s.Private() + "\n")
		if err != nil {
			t.Fatal(err)
		}
		n, err := again.Sign(proofs.Note{Text: r.Text()})
		if err != nil {
			t.Fatal(err)
		}
		opened, read, err := Open(n.Marshal())
		if err != nil || !opened.Same(r) || opened.Nonce != r.Nonce || !opened.Expires.Equal(r.Expires) {
			t.Fatalf("%+v, %v", opened, err)
		}
		if _, err := list.Check(read); !errors.Is(err, ErrQuorum) {
			t.Errorf("one approves: %v", err)
		}
		files = append(files, read)
	}
	both, err := Join(files...)
	if err != nil {
		t.Fatal(err)
	}
	if names, err := list.Check(both); err != nil || strings.Join(names, " ") != "ann bob" {
		t.Errorf("%v, %v", names, err)
	}
	if again, err := ParseApprovers(list.String()); err != nil || again.String() != list.String() {
		t.Errorf("%v", err)
	}
	if _, n, err := Open([]byte(r.Text())); err != nil || len(n.Signatures) != 0 {
		t.Errorf("unsigned: %v", err)
	}
}

// TestOneKeyCountsOnce: a signature twice, a key under two names, a stranger's, another
// text's: none makes a quorum.
func TestOneKeyCountsOnce(t *testing.T) {
	all, list := signers(t, "ann", "bob", "cho")
	strangers, _ := signers(t, "ann", "eve")
	r := request()
	plain := proofs.Note{Text: r.Text()}
	sign := func(s Signer, n proofs.Note) proofs.Note {
		n, err := s.Sign(n)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	one := sign(all[0], plain)
	twice, err := Join(one, sign(all[0], plain))
	if err != nil || len(twice.Signatures) != 1 {
		t.Errorf("%d signatures, %v", len(twice.Signatures), err)
	}
	doubled := one
	doubled.Signatures = append(doubled.Signatures, one.Signatures[0])
	moved := one // bob's line, with ann's signature
	moved.Signatures = append([]proofs.Signature{}, one.Signatures...)
	forged := one.Signatures[0]
	forged.Name, forged.KeyID = all[1].Name, all[1].ID
	moved.Signatures = append(moved.Signatures, forged)
	altered := sign(all[1], one)
	altered.Text = strings.Replace(altered.Text, "size 7", "size 8", 1)
	for what, n := range map[string]proofs.Note{
		"twice": twice, "doubled": doubled, "a stranger of the same name": sign(strangers[0], one), "another stranger": sign(strangers[1], one), "another's signature": moved, "altered": altered,
	} {
		if names, err := list.Check(n); !errors.Is(err, ErrQuorum) {
			t.Errorf("%s: %v, %v", what, names, err)
		}
	}
	same := all[0].VerifierKey
	other, err := proofs.NewVerifierKey("bert", proofs.TypeEd25519, []byte(same.Key))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewApprovers(2, same, other); err == nil {
		t.Error("one key under two names is a list of two")
	}
	for _, quorum := range []int{-1, 0, 4} {
		if _, err := NewApprovers(quorum, all[0].VerifierKey, all[1].VerifierKey, all[2].VerifierKey); err == nil {
			t.Errorf("a quorum of %d of 3", quorum)
		}
	}
}

// FuzzRequest: a request has one spelling.
func FuzzRequest(f *testing.F) {
	f.Add([]byte(request().Text()))
	all, _ := signers(f, "ann", "bob")
	n, err := all[0].Sign(proofs.Note{Text: request().Text()})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(n.Marshal())
	f.Add([]byte("muniment/approval@v1\nnonce \nnonce \n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if r, n, err := Open(data); err == nil && (r.Text() != n.Text || !strings.HasPrefix(string(data), r.Text())) {
			t.Errorf("%q is read as %q", data, r.Text())
		}
	})
}

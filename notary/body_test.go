package notary

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/muniment/muniment/proofs"
)

// TestPackedNames: a row written today is read by its codes for decades, so none may
// ever change its meaning.
func TestPackedNames(t *testing.T) {
	if got := fmt.Sprintf("%x", sha256.Sum256(fmt.Append(nil, packedNames[:40]))); got != "1ba3e7adf674c9db29da7dbdb3c077d12479b68ccf2bd8c94dcc518be8a6d04c" {
		t.Errorf("the first 40 names are others than they were: %s", got)
	}
	for i, name := range packedNames {
		if !proofs.ValidName(name) || slices.Index(packedNames, name) != i {
			t.Errorf("%d: %q", i, name)
		}
	}
	if len(packedNames) >= packedEnd {
		t.Error("more names than codes")
	}
}

// records are records of every kind of value.
func records(t testing.TB) []proofs.Record {
	var out []proofs.Record
	for _, json := range []string{
		`{"id":"00000000-0000-0000-0000-000000000000"}`,
		`{"content.sha256":"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824","content.size":0,"content.held":true}`,
		`{"contract.number":"","label.a":"\"\\\u0001","party.0.name":"张三","party.17.name":"x","terms.x":[1,{"a":false}],"terms.n":-9007199254740991}`,
		`{"label.upper":"2CF24DBA5FB0A30E26E83B2AC5B9E29E1B161E5C1FA7425E73043362938B9824","provenance.received":"2026-11-23T05:14:07.123Z"}`,
		`{"label.t0":"1970-01-01T00:00:00.000Z","label.t1":"1969-12-31T23:59:59.999Z","label.t2":"9999-12-31T23:59:59.999Z","label.t3":"2026-11-23T05:14:07Z","label.t4":"2026-02-30T05:14:07.123Z"}`,
	} {
		r, err := proofs.ParseMembers(json)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}

func TestPackedRecords(t *testing.T) {
	for _, r := range records(t) {
		packed := appendPacked(nil, r)
		u := unpacker{rest: packed}
		got, err := u.record(ID{})
		if err != nil {
			t.Errorf("%s: %v", r.JSON(), err)
			continue
		}
		if want := with(r, t); !reflect.DeepEqual(got, want) {
			t.Errorf("%s became %s", want.JSON(), got.JSON())
		}
		for n := range packed {
			u := unpacker{rest: packed[:n]}
			if _, err := u.record(ID{}); err == nil {
				t.Errorf("%s was read from %d of %d bytes", r.JSON(), n, len(packed))
			}
		}
		u = unpacker{rest: append(slices.Clone(packed), 0)}
		if _, err := u.record(ID{}); err == nil {
			t.Errorf("%s was read with more behind it", r.JSON())
		}
	}
}

// with is r with the id that every row has.
func with(r proofs.Record, t testing.TB) proofs.Record {
	if _, ok := r.Get("id"); ok {
		return r
	}
	v, err := proofs.Text(ID{}.String())
	if err != nil {
		t.Fatal(err)
	}
	r, err = proofs.NewRecord(append(slices.Clone(r), proofs.Member{Name: "id", Value: v})...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// FuzzPackedRecord: whatever a damaged row says, it is read without a panic, and what
// is read is written again as something that reads the same.
func FuzzPackedRecord(f *testing.F) {
	for _, r := range records(f) {
		f.Add(appendPacked(nil, r))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		u := unpacker{rest: data}
		r, err := u.record(ID{})
		if err != nil {
			return
		}
		again := appendPacked(nil, r)
		u = unpacker{rest: bytes.Clone(again)}
		if r2, err := u.record(ID{}); err != nil || !reflect.DeepEqual(r, r2) {
			t.Fatalf("%s: %v", r.JSON(), err)
		}
	})
}

package proofs

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

func BenchmarkLeafHash(b *testing.B) {
	entry := []byte(goodEntry)
	b.ReportAllocs()
	for b.Loop() {
		LeafHash(entry)
	}
}

func BenchmarkRangeAppend(b *testing.B) {
	var r Range
	leaf := numberedLeaf(1)
	b.ReportAllocs()
	for b.Loop() {
		r.Append(leaf, nil)
	}
}

func BenchmarkNewTile(b *testing.B) {
	_, leaves := numbered(TileWidth)
	b.ReportAllocs()
	for b.Loop() {
		NewTile(leaves)
	}
}

// million is a tree of 10^6 leaves whose tiles are all in memory.
var million = sync.OnceValue(func() *testLog {
	l, _ := numbered(1_000_000)
	for i := uint64(0); i < 1_000_000; i += TileWidth {
		if _, err := InclusionProof(i, 1_000_000, l); err != nil {
			panic(err)
		}
	}
	return l
})

func BenchmarkInclusionProof(b *testing.B) {
	l := million()
	i := uint64(0)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := InclusionProof(i*7919%1_000_000, 1_000_000, l); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

func BenchmarkVerifyInclusion(b *testing.B) {
	l := million()
	path, err := InclusionProof(123_456, 1_000_000, l)
	if err != nil {
		b.Fatal(err)
	}
	leaf, root := numberedLeaf(123_456), l.checkpoint(1_000_000).Root
	b.ReportAllocs()
	for b.Loop() {
		if err := VerifyInclusion(path, 123_456, 1_000_000, leaf, root); err != nil {
			b.Fatal(err)
		}
	}
}

func loanReceipt() (*testLog, Receipt) {
	l := newTestLog(testOrigin)
	i := loan(l)
	for range 20 {
		l.deposit("x")
	}
	return l, l.receipt(i, 22, "w1", "w2")
}

func BenchmarkDisclose(b *testing.B) {
	_, r := loanReceipt()
	record, seed := r.Record(), testSeed("x", 1)
	if len(record) != 15 {
		b.Fatal(len(record))
	}
	b.ReportAllocs()
	for b.Loop() {
		Commitment(record.Disclose(seed))
	}
}

func BenchmarkReceiptMarshal(b *testing.B) {
	_, r := loanReceipt()
	b.SetBytes(int64(len(r.Marshal())))
	b.ReportAllocs()
	for b.Loop() {
		r.Marshal()
	}
}

func BenchmarkReceiptParse(b *testing.B) {
	_, r := loanReceipt()
	data := r.Marshal()
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseReceipt(data); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkHostileRecord reads the largest objects and lists that are allowed: the time
// must grow with their length alone.
func BenchmarkHostileRecord(b *testing.B) {
	var fields strings.Builder
	for i := 0; fields.Len() < MaxRecord-32; i++ {
		fmt.Fprintf(&fields, `,"%x":0`, MaxRecord-i)
	}
	for name, json := range map[string]string{
		"fields":  "{" + fields.String()[1:] + "}",
		"nested":  `{"a":[` + strings.Repeat(`{"a":{"a":{"a":{"a":{"a":[]}}}}},`, (MaxRecord-64)/34) + `1]}`,
		"escapes": `{"a":"` + strings.Repeat(`\u0041`, (MaxRecord-64)/6) + `"}`,
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(json)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ParseValue(json); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkVerify: remembered is a second receipt under one checkpoint, cold the first,
// with one log signature and two cosignatures to check.
func BenchmarkVerify(b *testing.B) {
	l, r := loanReceipt()
	policy := l.policy(witnessLine("A", "w1"), witnessLine("B", "w2"), "group G all A B", "quorum G")
	for _, remembered := range []bool{true, false} {
		b.Run(map[bool]string{true: "remembered", false: "cold"}[remembered], func(b *testing.B) {
			v := NewVerifier(policy)
			b.ReportAllocs()
			for b.Loop() {
				if !remembered {
					v = NewVerifier(policy)
				}
				if e, _ := v.Verify(r, strings.NewReader("借款合同第 7 号")); e.Outcome() != Verified {
					b.Fatal(e.Reason)
				}
			}
		})
	}
}

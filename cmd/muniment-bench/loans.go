package main

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"strconv"

	"github.com/muniment/muniment/proofs"
)

// loans invents what a lending system deposits. Loan number n is the same each time
// for one seed, so that an answer can be held against what was sent without keeping it.
type loans struct {
	seed   uint64
	repeat float64 // share that belongs to the contract of an earlier one
	paper  []byte  // what documents are cut from
}

// paperSize is more than one document, so that they differ in more than their number.
const paperSize = 4 << 20

func newLoans(seed uint64, repeat float64) loans {
	l := loans{seed: seed, repeat: repeat, paper: make([]byte, paperSize)}
	fill(rand.NewPCG(seed, 0), l.paper)
	return l
}

var (
	lenders   = []string{"示范银行股份有限公司", "江南农村商业银行", "海港消费金融有限公司", "北辰小额贷款有限公司"}
	surnames  = []string{"王", "李", "张", "刘", "陈", "杨", "赵", "黄", "周", "吴", "欧阳", "司马"}
	given     = []string{"伟", "芳", "娜", "秀英", "敏", "静", "丽", "强", "磊", "军", "洋", "勇", "艳", "杰", "桂英", "建国"}
	currency  = []string{"CNY", "CNY", "CNY", "USD", "HKD"}
	documents = []string{"loan-contract.pdf", "disbursement-voucher.pdf", "repayment-plan.pdf"}
)

// stream gives the random numbers of loan n.
func (l loans) stream(n uint64) *rand.PCG { return rand.NewPCG(l.seed, n) }

// appendRecord appends the record of loan n as JSON. Without digest, the document's
// SHA-256 is left for the depository to find.
func (l loans) appendRecord(out []byte, n uint64, digest bool) []byte {
	rng := l.stream(n)
	contract := n
	if n > 0 && float64(rng.Uint64()>>11)/(1<<53) < l.repeat {
		contract = rng.Uint64() % n
	}
	out = append(out, `{"content.name":"`...)
	out = append(out, pick(rng, documents)...)
	if digest {
		out = append(out, `","content.sha256":"`...)
		var sum [32]byte
		fill(rng, sum[:])
		out = hex.AppendEncode(out, sum[:])
	}
	out = append(out, `","contract.date":"`...)
	out = appendDate(out, 2026, rng.Uint64())
	out = append(out, `","contract.number":"HT-2026-`...)
	out = appendPadded(out, contract, 10)
	out = append(out, `","party.0.name":"`...)
	out = append(out, pick(rng, lenders)...)
	out = append(out, `","party.1.name":"`...)
	out = append(append(out, pick(rng, surnames)...), pick(rng, given)...)
	out = append(out, `","terms.amount":"`...)
	out = strconv.AppendUint(out, 1000+rng.Uint64()%5_000_000, 10)
	out = append(out, '.')
	out = appendPadded(out, rng.Uint64()%100, 2)
	out = append(out, `","terms.currency":"`...)
	out = append(out, pick(rng, currency)...)
	out = append(out, `","terms.end":"`...)
	out = appendDate(out, 2027+rng.Uint64()%30, rng.Uint64())
	return append(out, `"}`...)
}

// claims is the record of loan n as a verifier reads it.
func (l loans) claims(n uint64, digest bool) (proofs.Record, error) {
	return proofs.ParseMembers(string(l.appendRecord(nil, n, digest)))
}

// appendDocument appends the document of loan n: its number, and then bytes that
// nothing compresses. Cutting them from one sheet costs less than inventing them anew.
func (l loans) appendDocument(out []byte, n uint64, size int) []byte {
	end := len(out) + size
	out = binary.BigEndian.AppendUint64(out, n)
	for at := n * 4093 % paperSize; len(out) < end; at = 0 {
		out = append(out, l.paper[at:min(paperSize, at+uint64(end-len(out)))]...)
	}
	return out[:end]
}

func pick(rng *rand.PCG, from []string) string { return from[rng.Uint64()%uint64(len(from))] }

func fill(rng *rand.PCG, p []byte) {
	for len(p) >= 8 {
		x := rng.Uint64()
		p[0], p[1], p[2], p[3] = byte(x), byte(x>>8), byte(x>>16), byte(x>>24)
		p[4], p[5], p[6], p[7] = byte(x>>32), byte(x>>40), byte(x>>48), byte(x>>56)
		p = p[8:]
	}
	for i := range p {
		p[i] = byte(rng.Uint64())
	}
}

func appendDate(out []byte, year, random uint64) []byte {
	out = append(appendPadded(out, year, 4), '-')
	out = append(appendPadded(out, 1+random%12, 2), '-')
	return appendPadded(out, 1+random/12%28, 2)
}

// appendPadded appends n with leading zeros to at least width digits.
func appendPadded(out []byte, n uint64, width int) []byte {
	for limit := uint64(10); width > 1; width, limit = width-1, limit*10 {
		if n < limit {
			for range width - 1 {
				out = append(out, '0')
			}
			break
		}
	}
	return strconv.AppendUint(out, n, 10)
}

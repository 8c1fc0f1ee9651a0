package certificate

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/muniment/muniment/notary/timestamp"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/proofs/rfc3161"
	"github.com/muniment/muniment/proofs/rfc3161/rfc3161test"
)

// house is a log of a few entries with its policy, whose every byte is determined.
type house struct {
	origin      string
	key         ed25519.PrivateKey
	vkey        proofs.VerifierKey
	witnesses   []string
	entries     []proofs.Entry
	disclosures [][]proofs.Disclosure
	stamps      *rfc3161test.Authority // nil: receipts are not dated
}

func private(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("test key " + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func newHouse(origin string, witnesses ...string) *house {
	h := &house{origin: origin, key: private("log"), witnesses: witnesses}
	h.vkey = must(proofs.NewVerifierKey(origin, proofs.TypeEd25519, h.key.Public().(ed25519.PublicKey)))
	h.add(proofs.KindGenesis, map[string]any{"log.origin": origin})
	return h
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

var begun = time.Date(2026, 11, 23, 10, 8, 42, 713e6, time.UTC)

func (h *house) add(kind proofs.Kind, members map[string]any) int {
	var all []proofs.Member
	for name, v := range members {
		var value proofs.Value
		switch v := v.(type) {
		case string:
			value = must(proofs.Text(v))
		case int:
			value = must(proofs.Integer(int64(v)))
		case bool:
			value = proofs.Boolean(v)
		case []string:
			value = must(proofs.ParseValue(fmt.Sprintf("[%q,%q]", v[0], v[1])))
		}
		all = append(all, proofs.Member{Name: name, Value: value})
	}
	return h.addRecord(kind, must(proofs.NewRecord(all...)))
}

func (h *house) addRecord(kind proofs.Kind, record proofs.Record) int {
	index := len(h.entries)
	d := record.Disclose(sha256.Sum256([]byte{byte(index), byte(index >> 8)}))
	h.disclosures = append(h.disclosures, d)
	h.entries = append(h.entries, proofs.Entry{Kind: kind, Time: begun.Add(time.Duration(index) * time.Second), Record: proofs.Commitment(d)})
	return index
}

// fill adds deposits of others up to that many entries.
func (h *house) fill(size int) {
	for len(h.entries) < size {
		h.add(proofs.KindDeposit, map[string]any{"content.size": len(h.entries)})
	}
}

func (h *house) root(from, to int) proofs.Hash {
	if to-from == 1 {
		return h.entries[from].LeafHash()
	}
	k := 1
	for k*2 < to-from {
		k *= 2
	}
	return proofs.NodeHash(h.root(from, from+k), h.root(from+k, to))
}

func (h *house) path(index, from, to int) []proofs.Hash {
	if to-from == 1 {
		return nil
	}
	k := 1
	for k*2 < to-from {
		k *= 2
	}
	if index < from+k {
		return append(h.path(index, from, from+k), h.root(from+k, to))
	}
	return append(h.path(index, from+k, to), h.root(from, from+k))
}

func (h *house) policy() []byte {
	text := "log " + h.vkey.String() + "\n"
	for i, w := range h.witnesses {
		text += fmt.Sprintf("witness w%d %s\n", i, witnessKey(w).String())
	}
	switch len(h.witnesses) {
	case 0:
		text += "quorum none\n"
	default:
		text += "group g all"
		for i := range h.witnesses {
			text += fmt.Sprintf(" w%d", i)
		}
		text += "\nquorum g\n"
	}
	return []byte(text)
}

func witnessKey(name string) proofs.VerifierKey {
	return must(proofs.NewVerifierKey(name, 0x04, private(name).Public().(ed25519.PublicKey)))
}

func (h *house) receipt(index int) []byte {
	n := len(h.entries)
	cp := proofs.Checkpoint{Origin: h.origin, Size: uint64(n), Root: h.root(0, n)}
	note := proofs.Note{Text: cp.String()}
	note.Signatures = append(note.Signatures, must(h.vkey.Sign(note.Text, h.key)))
	for i, w := range h.witnesses {
		note.Signatures = append(note.Signatures, must(witnessKey(w).Cosign(note.Text, begun.Unix()+60+int64(i), private(w))))
	}
	r := proofs.Receipt{Entry: h.entries[index], Disclosures: h.disclosures[index], Index: uint64(index), Path: h.path(index, 0, n), Checkpoint: note.Marshal()}
	if h.stamps != nil {
		r = r.Stamp([][]byte{h.stamps.Token(rfc3161test.Statement{Message: r.Checkpoint, Accuracy: time.Second})})
	}
	return r.Marshal()
}

const contract = "借款合同 HT-2026-000117\n"

func digest(s string) string { d := sha256.Sum256([]byte(s)); return hex.EncodeToString(d[:]) }

var members = map[string]any{
	"id": "01a207e1-1ad7-7c9c-9a9e-b149fa06f920", "tenant.name": "示范银行股份有限公司", "tenant.registration": "91310000MA1FL0000X",
	"tenant.verified": "营业执照与对公账户打款核验", "tenant.verified.by": "存证机构运营人员",
	"depositor.name": "贷款系统 03", "content.sha256": digest(contract), "content.size": len(contract), "content.type": "text/plain", "content.name": "借款合同-HT-2026-000117.txt", "content.held": true,
	"contract.number": "HT-2026-000117", "contract.title": "个人借款合同", "contract.version": "2", "contract.date": "2026-11-20", "case.seq": 2, "case.prev": digest("before"),
	"party.0.name": "张三", "party.0.role": "借款人 borrower", "party.0.id.type": "居民身份证", "party.0.id.number": "110101199003071234",
	"terms.amount": "200000.00", "terms.currency": "CNY", "terms.rate": "6.2%", "provenance.system": "core-lending 4.2", "provenance.generated": "2026-11-20T09:15:00+08:00", "provenance.received": "2026-11-23T10:08:42.711Z",
}

func with(more map[string]any) map[string]any {
	out := map[string]any{}
	for _, m := range []map[string]any{members, more} {
		for k, v := range m {
			out[k] = v
		}
	}
	return out
}

var facts = map[string]any{
	"id": "01a207e1-1ad7-7c9c-9a9e-b149fa06f921", "facts.operator": "示范电子存证中心", "facts.operator.registration": "91310000MA1FL0000X", "facts.operator.address": "上海市示范路 1 号",
	"facts.operator.contact": "evidence@depository.example", "facts.qualifications": []string{"网络安全等级保护三级备案", "区块链信息服务备案"},
	"facts.neutrality": "股东中无存证人及其关联方", "facts.security": "2026 年经第三方测评", "facts.standards": []string{"RFC 6962, RFC 3161", "GB/T 43580-2023"},
	"build.version": "v0.9.0", "build.revision": "4c5f3c9", "build.sha256": digest("build"),
}

// input is a certificate's, of a deposit in a log of that many entries.
func input(h *house, size int) Input {
	sheet := h.add(proofs.KindFacts, facts)
	index := h.add(proofs.KindDeposit, members)
	h.fill(size)
	in := Input{
		Issue: Issue{
			Template: Template, Language: English, Profile: Plain, Issued: time.Date(2026, 11, 26, 8, 30, 0, 0, time.UTC), VerifyURL: "https://depository.example/verify",
			Standing: Standing{Deposit: "01a207e1-1ad7-7c9c-9a9e-b149fa06f920", State: "kept"},
		},
		Receipt: h.receipt(index), Policy: h.policy(), Facts: h.receipt(sheet),
	}
	if h.stamps != nil {
		in.Roots = rfc3161test.RootsPEM(h.stamps)
	}
	return in
}

// chain is a certificate under an intermediate and a root of tests.
func chain(t testing.TB, rsaKey bool) (crypto.Signer, []*x509.Certificate) {
	t.Helper()
	key := func() crypto.Signer {
		if rsaKey {
			return must(rsa.GenerateKey(rand.Reader, 2048))
		}
		return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	}
	var all []*x509.Certificate
	var parent *x509.Certificate
	var parentKey, own crypto.Signer
	for i, name := range []string{"Evidence Root", "Evidence Issuing", "示范电子存证中心"} {
		own = key()
		c := &x509.Certificate{
			SerialNumber: big.NewInt(int64(i) + 100), Subject: pkix.Name{CommonName: name, Organization: []string{"Example Evidence Centre"}, Country: []string{"CN"}},
			NotBefore: begun.Add(-time.Hour), NotAfter: begun.AddDate(5, 0, 0), BasicConstraintsValid: true,
		}
		if c.IsCA = i < 2; c.IsCA {
			c.KeyUsage = x509.KeyUsageCertSign
		} else {
			c.KeyUsage = x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment
		}
		if parent == nil {
			parent, parentKey = c, own
		}
		made := must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, c, parent, own.Public(), parentKey))))
		all = append([]*x509.Certificate{made}, all...)
		parent, parentKey = made, own
	}
	return own, all
}

// authority is a time-stamp authority over HTTP, with its client.
func authority(t testing.TB, now func() time.Time) (*rfc3161test.Authority, *timestamp.Authority) {
	t.Helper()
	a := rfc3161test.New("Trusted Time", now, 20*365*24*time.Hour, 10*365*24*time.Hour)
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	client := must(timestamp.New(server.URL+"/tsr", rfc3161.NewAuthorities(must(rfc3161.ParseRoots(rfc3161test.RootsPEM(a)))), ""))
	return a, client
}

type x509Certificate = x509.Certificate

type awayAuthority struct{}

func (awayAuthority) Timestamp(context.Context, []byte) ([]byte, error) {
	return nil, errors.New("it cannot be reached")
}

func must2(b []byte, ok bool) []byte {
	if !ok {
		panic("not there")
	}
	return b
}

func mustHex(text []byte) []byte { return must(hex.DecodeString(string(text))) }

func sum(b []byte) []byte { s := sha256.Sum256(b); return s[:] }

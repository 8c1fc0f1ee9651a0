package service

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"math/big"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/notary/certificate"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/proofs/rfc3161"
	"github.com/muniment/muniment/proofs/rfc3161/rfc3161test"
	"github.com/muniment/muniment/service/api"
	"github.com/muniment/muniment/service/auth"
)

// signingKey is a key with a certificate of its own that is valid for that long from an hour
// ago.
func signingKey(t testing.TB, valid time.Duration, authorities ...certificate.Authority) *certificate.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	from := time.Now().Add(-time.Hour)
	template := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "Example Evidence Centre"}, NotBefore: from, NotAfter: from.Add(valid)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(t, err)
	own, err := x509.ParseCertificate(der)
	must(t, err)
	s, err := certificate.NewSigner(key, []*x509.Certificate{own}, authorities...)
	must(t, err)
	return s
}

// TestCertificates: each language and profile, signed and not, is a certificate that checks,
// of this deposit and no other.
func TestCertificates(t *testing.T) {
	signer := signingKey(t, 1000*time.Hour)
	h := newHouse(t, func(c *Config) {
		c.Certificates = Certificates{Signer: signer, Language: certificate.Chinese, VerifyURL: "https://depository.example/verify"}
	})
	made := decoded[api.Deposit](t, h.postForm(t, form(recordPart(`{"contract.number":"HT-1","content.name":"合同.txt"}`), documentPart("the contract"))), 201)
	path := "/v1/deposits/" + made.Id + "/certificate"
	for _, lang := range []certificate.Language{"", certificate.English, certificate.Chinese, certificate.Both} {
		for _, profile := range []certificate.Profile{"", certificate.Plain, certificate.PRC, certificate.FRE} {
			for _, embed := range []bool{false, true} {
				query := []string{}
				if lang != "" {
					query = append(query, "lang="+string(lang))
				}
				if profile != "" {
					query = append(query, "profile="+string(profile))
				}
				if embed {
					query = append(query, "document=embed")
				}
				a := h.do(t, "GET", path+"?"+strings.Join(query, "&"), nil)
				c := certified(t, a)
				if lang == "" {
					lang = certificate.Chinese
				}
				if profile == "" {
					profile = certificate.Plain
				}
				if c.Language != lang || c.Profile != profile || (c.Document != nil) != embed || c.Signature == nil || c.Signature.Subject != "Example Evidence Centre" {
					t.Errorf("%s: %+v", query, c.Issue)
				}
				if want := "attachment; filename=" + c.Number + ".pdf"; a.Header.Get("Content-Disposition") != want || a.Header.Get("Cache-Control") != "private, no-store" {
					t.Errorf("headers %v", a.Header)
				}
				e, err := proofs.NewVerifier(h.policy).Verify(parsed(t, c.Receipt), bytes.NewReader([]byte("the contract")))
				if err != nil || e.Outcome() != proofs.Verified || e.Index != made.Index || c.Standing.Deposit != made.Id || c.Standing.State != "kept" {
					t.Errorf("%v %v %+v", e.Reason, err, c.Standing)
				}
			}
		}
	}
	for _, query := range []string{"lang=fr", "lang=", "profile=x", "document=yes", "profile="} {
		h.do(t, "GET", path+"?"+query, nil).problem(t, invalidSearch)
	}
	h.do(t, "GET", path, nil, "Authorization", "Bearer "+h.stranger).problem(t, notFound)
	h.do(t, "GET", path, nil, "Authorization", "").problem(t, unauthorized)
	h.do(t, "GET", "/v1/deposits/01a207e1-1ad7-7c9c-9a9e-b149fa06f920/certificate", nil).problem(t, notFound)
	h.do(t, "GET", "/v1/deposits/x/certificate", nil).problem(t, notFound)
	tenant := h.tenantOf(t, h.reader)
	at := path + "?tenant=" + tenant.String()
	for _, who := range []struct {
		key, path string
		refused   *problem
	}{
		{h.key(t, tenant, notary.Compliance), path, nil}, {h.key(t, tenant, notary.Depositor), path, nil},
		{h.supervisor(t, tenant), at, nil}, {h.supervisor(t, tenant), path, invalidSearch}, {h.supervisor(t, notary.ID{9}), at, notFound},
		{h.key(t, h.tenant(t, "Court"), notary.Court), at, notFound}, {h.key(t, notary.ID{}, notary.Operator), path, forbidden},
	} {
		if a := h.do(t, "GET", who.path, nil, "Authorization", "Bearer "+who.key); who.refused == nil {
			certified(t, a)
		} else {
			a.problem(t, who.refused)
		}
	}
	digest := decoded[api.Deposit](t, h.postJSON(t, `{"record":{"content.sha256":"`+strings.Repeat("ab", 32)+`"}}`, "Idempotency-Key", "k2"), 201)
	certified(t, h.do(t, "GET", "/v1/deposits/"+digest.Id+"/certificate", nil))
	h.do(t, "GET", "/v1/deposits/"+digest.Id+"/certificate?document=embed", nil).problem(t, notHeld)
}

func certified(t *testing.T, a answer) *certificate.Checked {
	t.Helper()
	if a.StatusCode != http.StatusOK || a.Header.Get("Content-Type") != "application/pdf" {
		t.Fatalf("%s %s", a.Status, a.body)
	}
	c, err := certificate.Check(a.body, nil)
	must(t, err)
	return c
}

func parsed(t *testing.T, data []byte) proofs.Receipt {
	t.Helper()
	r, err := proofs.ParseReceipt(data)
	must(t, err)
	return r
}

// TestStampedCertificates: where checkpoints are dated, certificates and their signatures are.
func TestStampedCertificates(t *testing.T) {
	a := rfc3161test.New("Time Authority", time.Now, 20*365*24*time.Hour, 5*365*24*time.Hour)
	file := rfc3161test.RootsPEM(a)
	roots, err := rfc3161.ParseRoots(file)
	must(t, err)
	trusted := rfc3161.NewAuthorities(roots)
	h := newHouseOn(t, func(c *notary.Config) {
		c.Timestamps = &notary.Timestamps{Authorities: []notary.TimestampAuthority{timed{a}}, Checker: trusted}
		c.Facts = proofs.Record{{Name: "facts.operator", Value: must1(proofs.Text("Example Evidence Centre"))}}
	}, func(c *Config) {
		c.Certificates = Certificates{Signer: signingKey(t, 1000*time.Hour, timed{a}), Roots: file}
	})
	d, _ := h.postJSON(t, digestOnly("")).deposit(t, h, 201)
	_, err = h.notary.Stamp(t.Context())
	must(t, err)
	h.postJSON(t, digestOnly("")).deposit(t, h, 201)
	pdf := h.do(t, "GET", "/v1/deposits/"+d.Id+"/certificate", nil).body
	c, err := certificate.Check(pdf, trusted)
	must(t, err)
	if c.Evidence.Level != proofs.Stamped || c.Signature == nil || c.Signature.Time.IsZero() || c.Facts == nil {
		t.Errorf("%s %+v, facts %d bytes", c.Evidence.Level, c.Signature, len(c.Facts))
	}
}

func must1[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestCertificateOfErasure: of a deposit that was erased there is a certificate still, of what
// the log says of its end.
func TestCertificateOfErasure(t *testing.T) {
	h := newHouse(t)
	made := decoded[api.Deposit](t, h.postForm(t, form(recordPart(`{"contract.number":"HT-1"}`), documentPart("the contract"))), 201)
	key, err := h.ledger.APIKey(t.Context(), auth.Hash(h.reader))
	must(t, err)
	path := "/v1/deposits/" + made.Id
	var who [2]string
	for i := range who {
		who[i] = "Bearer " + h.key(t, key.Tenant, notary.Compliance)
	}
	post := func(act, idempotency, body string, by string, status int) {
		decoded[api.NoticeAnswer](t, h.sendJSON(t, path+"/"+act, body, "Idempotency-Key", idempotency, "Authorization", by), status)
	}
	post("hold", "h", `{"matter":"(2026)京01号","reason":"保全"}`, who[0], 201)
	held := certified(t, h.do(t, "GET", path+"/certificate", nil))
	if held.Standing.State != "held" || held.Standing.Matters[0] != "(2026)京01号" || len(held.Standing.Acts) != 1 || held.Signature != nil {
		t.Errorf("held: %+v", held.Standing)
	}
	post("release", "r", `{"matter":"(2026)京01号","reason":"结案"}`, who[0], 201)
	post("erasure", "e1", `{"reason":"retention is over"}`, who[0], 202)
	post("erasure", "e2", `{"reason":"retention is over"}`, who[1], 201)
	h.do(t, "GET", path, nil).problem(t, erased)
	gone := certified(t, h.do(t, "GET", path+"/certificate?lang=both", nil))
	leaf, _ := gone.Evidence.Record.Get("notice.leaf")
	act, _ := gone.Evidence.Record.Get("notice.act")
	of, _ := gone.Evidence.Record.Get("notice.deposit")
	want, err := proofs.ParseReceipt([]byte(made.Receipt))
	must(t, err)
	if text(leaf) != want.Entry.LeafHash().String() || text(act) != "erasure" || text(of) != made.Id || gone.Standing.State != "erased" || gone.Evidence.Entry.Kind != proofs.KindNotice {
		t.Errorf("erased: %s %s %s %+v", text(leaf), text(act), text(of), gone.Standing)
	}
	h.do(t, "GET", path+"/certificate?document=embed", nil).problem(t, erased)
	// A supervisor reads it too; a court to which the deposit was not opened learns nothing.
	at := "?tenant=" + key.Tenant.String()
	if of := certified(t, h.do(t, "GET", path+"/certificate"+at, nil, bearer(h.supervisor(t, key.Tenant))...)); of.Standing.State != "erased" {
		t.Errorf("to a supervisor: %+v", of.Standing)
	}
	h.do(t, "GET", path+"/certificate"+at, nil, bearer(h.key(t, h.tenant(t, "Court"), notary.Court))...).problem(t, notFound)
}

func text(v proofs.Value) string { s, _ := v.Text(); return s }

type silent struct{}

func (silent) Timestamp(context.Context, []byte) ([]byte, error) { return nil, errors.New("silence") }

// TestCertificateCannotBeSigned: what the face promises is kept, or there is no certificate.
func TestCertificateCannotBeSigned(t *testing.T) {
	for what, s := range map[string]*certificate.Signer{"an ended certificate": signingKey(t, time.Minute), "no authority": signingKey(t, 1000*time.Hour, silent{})} {
		h := newHouse(t, func(c *Config) {
			c.Certificates = Certificates{Signer: s, Roots: rfc3161test.RootsPEM(rfc3161test.New("Time Authority", time.Now, time.Hour*10, time.Hour*5))}
		})
		made := decoded[api.Deposit](t, h.postJSON(t, `{"record":{"content.sha256":"`+strings.Repeat("ab", 32)+`"}}`, "Idempotency-Key", "k"), 201)
		a := h.do(t, "GET", "/v1/deposits/"+made.Id+"/certificate", nil)
		a.problem(t, signing)
		if a.Header.Get("Retry-After") != "30" || strings.Contains(string(a.body), "silence") {
			t.Errorf("%s: %v %s", what, a.Header, a.body)
		}
	}
}

// BenchmarkCertificates asks for certificates over HTTP by eight callers at once, in both
// languages, with a document of 100 KiB in each, signed by RSA and dated.
func BenchmarkCertificates(b *testing.B) {
	a := rfc3161test.New("Time Authority", time.Now, 20*365*24*time.Hour, 5*365*24*time.Hour)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	must(b, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "Example"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(b, err)
	own, err := x509.ParseCertificate(der)
	must(b, err)
	signer, err := certificate.NewSigner(key, []*x509.Certificate{own}, timed{a})
	must(b, err)
	h := newHouse(b, func(c *Config) {
		c.Certificates = Certificates{Signer: signer, Language: certificate.Both, VerifyURL: "https://depository.example/verify", Roots: rfc3161test.RootsPEM(a)}
	})
	made := decodedB(b, h.postForm(b, form(recordPart(`{"contract.number":"HT-1","party.0.name":"张三"}`), documentPart(strings.Repeat("x", 100<<10)))))
	var mu sync.Mutex
	var took []time.Duration
	b.SetParallelism(8 / runtime.GOMAXPROCS(0))
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			begun := time.Now()
			if answer := h.do(b, "GET", "/v1/deposits/"+made.Id+"/certificate?document=embed", nil); answer.StatusCode != http.StatusOK {
				b.Errorf("%s", answer.body)
			}
			mu.Lock()
			took = append(took, time.Since(begun))
			mu.Unlock()
		}
	})
	slices.Sort(took)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "certificates/s")
	b.ReportMetric(float64(took[len(took)*99/100].Milliseconds()), "p99-ms")
}

func decodedB(b *testing.B, a answer) (d api.Deposit) {
	b.Helper()
	must(b, json.Unmarshal(a.body, &d))
	return d
}

// TestCertificatesAreBounded: no more are made at once than there are processors, and who
// comes when enough wait is told so at once.
func TestCertificatesAreBounded(t *testing.T) {
	p := newPrinting()
	var leave []func()
	for range cap(p.places) {
		f, err := p.enter(t.Context())
		must(t, err)
		leave = append(leave, f)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var waiting sync.WaitGroup
	for range cap(p.waiting) - cap(p.places) {
		waiting.Go(func() {
			if _, err := p.enter(ctx); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	}
	for len(p.waiting) < cap(p.waiting) {
		time.Sleep(time.Millisecond)
	}
	if _, err := p.enter(t.Context()); err == nil {
		t.Error("one too many waits")
	} else if problem, _ := judge(err); problem != busy {
		t.Error(err)
	}
	cancel()
	waiting.Wait()
	for _, f := range leave {
		f()
	}
	if len(p.waiting)+len(p.places) != 0 {
		t.Errorf("%d places are not given back", len(p.waiting)+len(p.places))
	}
}

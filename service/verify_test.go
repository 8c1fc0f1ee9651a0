package service

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/iotest"

	fmldsa "filippo.io/mldsa"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/proofs/mldsa"
	"github.com/muniment/muniment/service/api"
)

func (h *house) postVerify(t testing.TB, kind, body string, headers ...string) answer {
	t.Helper()
	return h.do(t, "POST", "/v1/verify", strings.NewReader(body), append([]string{"Content-Type", kind, "Authorization", ""}, headers...)...)
}

func (a answer) verification(t testing.TB) api.Verification {
	t.Helper()
	if a.StatusCode != 200 {
		t.Fatalf("status %d: %s", a.StatusCode, a.body)
	}
	var v api.Verification
	must(t, json.Unmarshal(a.body, &v))
	for _, x := range []api.Explanation{v.Explanations.En, v.Explanations.Zh} {
		if x.Verdict == "" || x.Proved == nil || x.NotProved == nil {
			t.Errorf("without words: %s", a.body)
		}
	}
	return v
}

func textPart(name, content string) part {
	return part{name: name, content: content, header: []string{"Content-Type", "text/plain"}}
}

func TestVerify(t *testing.T) {
	h := newHouse(t)
	d, receipt := h.postForm(t, form(recordPart(`{"contract.number":"1"}`), documentPart("hello"))).deposit(t, h, 201)
	other := newHouse(t)
	quote := func(s string) string { b, _ := json.Marshal(s); return string(b) }
	policy := h.policy.String()
	flipped := strings.Replace(d.Receipt, "index 1", "index 2", 1)
	json := "application/json"
	for name, test := range map[string]struct {
		kind, body                string
		outcome, reason, document string
		given                     bool
	}{
		"all three":          {multi, form(textPart("receipt", d.Receipt), textPart("policy", policy), documentPart("hello")), "verified", "", "matches", true},
		"no policy":          {multi, form(textPart("receipt", d.Receipt), documentPart("hello")), "undecided", "policy-found", "matches", false},
		"no document":        {multi, form(textPart("receipt", d.Receipt), textPart("policy", policy)), "verified", "", "unchecked", true},
		"receipt alone":      {multi, form(textPart("receipt", d.Receipt)), "undecided", "policy-found", "unchecked", false},
		"JSON":               {json, `{"receipt":` + quote(d.Receipt) + `,"policy":` + quote(policy) + `}`, "verified", "", "unchecked", true},
		"JSON without":       {json, `{"receipt":` + quote(d.Receipt) + `}`, "undecided", "policy-found", "unchecked", false},
		"other document":     {multi, form(textPart("receipt", d.Receipt), textPart("policy", policy), documentPart("hallo")), "refused", "document", "differs", true},
		"and under found":    {multi, form(textPart("receipt", d.Receipt), documentPart("hallo")), "refused", "document", "differs", false},
		"no receipt at all":  {multi, form(textPart("receipt", "hello"), documentPart("hello")), "refused", "malformed", "unchecked", false},
		"an empty receipt":   {json, `{"receipt":""}`, "refused", "malformed", "unchecked", false},
		"an altered receipt": {multi, form(textPart("receipt", flipped), documentPart(strings.Repeat("x", 1<<20))), "refused", "inclusion", "unchecked", false},
		"another log":        {json, `{"receipt":` + quote(d.Receipt) + `,"policy":` + quote(strings.Replace(other.policy.String(), "/test/0", "/test/1", 1)) + `}`, "", "", "", true},
	} {
		t.Run(name, func(t *testing.T) {
			a := h.postVerify(t, test.kind, test.body)
			if test.outcome == "" { // the key's name is part of what it is
				a.problem(t, invalidVerification)
				return
			}
			v := a.verification(t)
			if v.Outcome != test.outcome || v.Reason != test.reason || v.Document != test.document || v.PolicyGiven != test.given || v.Policy != h.policy.Fingerprint() {
				t.Errorf("%s", a.body)
			}
			if whole := test.outcome != "refused"; whole && (*v.Index != receipt.Index || v.Leaf != d.Leaf || string(v.Record) != string(d.Record) || len(v.Signatures) != 1) {
				t.Errorf("%s", a.body)
			}
		})
	}
	v := h.postVerify(t, json, `{"receipt":`+quote(d.Receipt)+`,"policy":`+quote(other.policy.String())+`}`).verification(t)
	if v.Outcome != "refused" || v.Policy != other.policy.Fingerprint() {
		t.Errorf("under a stranger's policy: %+v", v)
	}
	if a := h.do(t, "GET", "/v1/verify", nil, "Authorization", ""); a.Header.Get("Allow") != "POST" {
		t.Errorf("%d %v", a.StatusCode, a.Header)
	}
	h.nothingKept(t, 2, 1)
}

// TestVerifyMLDSA: a policy may ask for a witness's ML-DSA-44 cosignature.
func TestVerifyMLDSA(t *testing.T) {
	h := newHouse(t)
	_, r := h.postForm(t, form(recordPart(`{"contract.number":"1"}`), documentPart("hello"))).deposit(t, h, 201)
	private, err := fmldsa.GenerateKey(fmldsa.MLDSA44())
	must(t, err)
	k, err := proofs.NewVerifierKey("w.example", proofs.TypeMLDSA44Cosigner, private.PublicKey().Bytes())
	must(t, err)
	policy := strings.Replace(h.policy.String(), "quorum none", "witness w "+k.String()+"\nquorum w", 1)
	n, err := proofs.ParseNote(r.Checkpoint)
	must(t, err)
	cp, err := proofs.ParseCheckpoint(n.Text)
	must(t, err)
	s, err := mldsa.Cosign(k, cp, 1772352100, private)
	must(t, err)
	for _, test := range []struct {
		change  func()
		outcome string
		reason  string
	}{
		{func() {}, "refused", "quorum"},
		{func() { n.Signatures = append(n.Signatures, s) }, "verified", ""},
		{func() { s.Bytes[500] ^= 1 }, "refused", "witness-signature"},
	} {
		test.change()
		r.Checkpoint = n.Marshal()
		v := h.postVerify(t, multi, form(textPart("receipt", string(r.Marshal())), textPart("policy", policy), documentPart("hello"))).verification(t)
		if v.Outcome != test.outcome || v.Reason != test.reason {
			t.Errorf("%s %s, want %s %s", v.Outcome, v.Reason, test.outcome, test.reason)
		}
	}
}

func TestVerifyRefused(t *testing.T) {
	h := newHouse(t)
	d, _ := h.postJSON(t, digestOnly("")).deposit(t, h, 201)
	receipt := textPart("receipt", d.Receipt)
	for name, test := range map[string]struct {
		kind, body string
		want       *problem
		detail     string
	}{
		"other kind":         {"text/plain", d.Receipt, unsupportedMediaType, ""},
		"no receipt":         {multi, form(documentPart("hello")), malformedMultipart, "receipt"},
		"no parts":           {multi, "--" + boundary + "--\r\n", malformedMultipart, "missing"},
		"policy last":        {multi, form(receipt, documentPart("hello"), textPart("policy", "")), malformedMultipart, "no other"},
		"two policies":       {multi, form(receipt, textPart("policy", ""), textPart("policy", "")), malformedMultipart, "document is due"},
		"an unknown part":    {multi, form(receipt, textPart("police", "")), malformedMultipart, "document is due"},
		"no policy":          {multi, form(receipt, textPart("policy", "hello\n")), invalidVerification, "tlog-policy"},
		"an empty policy":    {multi, form(receipt, textPart("policy", "")), invalidVerification, ""},
		"a large policy":     {multi, form(receipt, textPart("policy", strings.Repeat("#", maxPolicy+1))), tooLarge, "policy"},
		"a large receipt":    {multi, form(textPart("receipt", strings.Repeat("x", 400<<10))), tooLarge, "receipt"},
		"a large document":   {multi, form(receipt, documentPart(strings.Repeat("x", 1<<20+1))), tooLarge, ""},
		"cut off":            {multi, form(receipt, documentPart("hello"))[:1245], truncatedUpload, ""},
		"JSON without":       {"application/json", `{}`, malformedJSON, "receipt"},
		"JSON of numbers":    {"application/json", `{"receipt":1}`, malformedJSON, "string"},
		"JSON policy null":   {"application/json", `{"receipt":"","policy":null}`, malformedJSON, "policy"},
		"JSON with more":     {"application/json", `{"receipt":"","document":""}`, malformedJSON, `"document"`},
		"JSON policy broken": {"application/json", `{"receipt":"","policy":"x"}`, invalidVerification, ""},
		"large JSON":         {"application/json", `{"receipt":"` + strings.Repeat("x", 1<<20) + `"}`, tooLarge, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := h.postVerify(t, test.kind, test.body).problem(t, test.want)
			if !strings.Contains(p.Detail, test.detail) {
				t.Errorf("detail %q does not say %q", p.Detail, test.detail)
			}
		})
	}
	h.postVerify(t, "application/json", "{}", "Content-Encoding", "gzip").problem(t, unsupportedMediaType)
}

// TestVerifyCutAnywhere: a form that was cut off is never answered as if that was all of it,
// wherever it was cut.
func TestVerifyCutAnywhere(t *testing.T) {
	h := newHouse(t)
	d, _ := h.postJSON(t, digestOnly("")).deposit(t, h, 201)
	whole := form(textPart("receipt", d.Receipt), documentPart("hello"))
	last := strings.LastIndex(whole, "--") + 2
	for n := range last {
		if a := h.postVerify(t, multi, whole[:n]); a.StatusCode < 400 {
			t.Fatalf("cut off after %d of %d bytes: %d %s", n, last, a.StatusCode, a.body)
		}
	}
	for _, n := range []int{last, len(whole)} {
		h.postVerify(t, multi, whole[:n]).verification(t)
	}
	for size := range 40 { // the last boundary comes in pieces of every size
		c := &closing{Reader: iotest.OneByteReader(strings.NewReader("hello--b--")), delimiter: []byte("--b--")}
		buffer := make([]byte, size+1)
		for {
			if _, err := c.Read(buffer); err != nil {
				break
			}
		}
		if !c.seen {
			t.Errorf("not seen in pieces of %d", size)
		}
	}
}

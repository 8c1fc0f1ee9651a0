package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/client"
)

func record(t *testing.T, json string) proofs.Record {
	t.Helper()
	r, err := proofs.ParseMembers(json)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestKeyIsFixed: another key for the same deposit would deposit it twice when a new
// version of this program is run again.
func TestKeyIsFixed(t *testing.T) {
	r := record(t, `{"content.name":"a.txt","content.sha256":"87428fc522803d31065e7bce3cf03fe475096631e5e07bbd7a0fde60c4cf25c7","contract.number":"C-1"}`)
	if got, want := key(r, false), "b23fdc4eb6f4d4ce86144a1a7afab08b90813ff16816c2659e800fad40c30827"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got, want := key(r, true), "344929d62048e10652e158845477a0deecfec58c0a2f1e9763e158245662e684"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestKeyTellsDepositsApart(t *testing.T) {
	seen := map[string]string{}
	for _, json := range []string{
		`{"contract.number":"a","content.name":"bc"}`,
		`{"contract.number":"ab","content.name":"c"}`,
		`{"contract.number":"ab","content.name":"c","label.x":"1"}`,
		`{"contract.number":"ab","content.name":"c","label.x":1}`,
		`{"contract.number":"ab","content.name":"c\",\"label.x\":\"1"}`,
	} {
		for _, digestOnly := range []bool{false, true} {
			k := key(record(t, json), digestOnly)
			if other, taken := seen[k]; taken {
				t.Errorf("%s and %s have one key", json, other)
			}
			seen[k] = json
		}
	}
}

// receipt is one of a log of two entries; n tells them apart.
func receipt(t *testing.T, n int, stamps ...[]byte) proofs.Receipt {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	disclosures := record(t, fmt.Sprintf(`{"case.seq":%d}`, n)).Disclose(proofs.Seed{})
	r := proofs.Receipt{
		Entry:       proofs.Entry{Kind: proofs.KindDeposit, Time: time.UnixMilli(1), Record: proofs.Commitment(disclosures)},
		Disclosures: disclosures, Index: 1, Path: []proofs.Hash{{}}, Timestamps: stamps,
	}
	k, err := proofs.NewVerifierKey("cli.test/dev/1", proofs.TypeEd25519, public)
	if err != nil {
		t.Fatal(err)
	}
	note := proofs.Note{Text: proofs.Checkpoint{Origin: k.Name, Size: 2, Root: proofs.NodeHash(proofs.Hash{}, r.Entry.LeafHash())}.String()}
	s, err := k.Sign(note.Text, private)
	if err != nil {
		t.Fatal(err)
	}
	note.Signatures = []proofs.Signature{s}
	r.Checkpoint = note.Marshal()
	return r
}

func TestReceiptsAreNeverOverwrittenByAnothers(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.pdf"+receiptSuffix)
	beside := filepath.Join(dir, "a.pdf.ID"+receiptSuffix)
	first, second := receipt(t, 1), receipt(t, 2)
	keep := func(r proofs.Receipt, want string) {
		t.Helper()
		got, err := keepReceipt(path, "ID", r)
		if err != nil || got != want {
			t.Fatalf("kept at %s, %v; want %s", got, err, want)
		}
	}
	holds := func(path string, want proofs.Receipt) {
		t.Helper()
		if data, err := os.ReadFile(path); err != nil || string(data) != string(want.Marshal()) {
			t.Errorf("%s holds other bytes: %v", path, err)
		}
	}
	keep(first, path)
	holds(path, first)
	fresh := receipt(t, 1) // signed by another key: other bytes, the same entry
	keep(fresh, path)
	holds(path, fresh)
	keep(second, beside)
	holds(path, fresh)
	holds(beside, second)
	stamped := receipt(t, 1, []byte("token"))
	keep(stamped, path)
	keep(fresh, path)
	holds(path, stamped)
	if err := os.WriteFile(beside, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := keepReceipt(path, "ID", second); err == nil {
		t.Error("written over another's file")
	}
	left, err := filepath.Glob(filepath.Join(dir, ".muniment-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %s, %v", left, err)
	}
}

// TestSweepTakesStaleTemporariesAlone: not those of a run beside this one, and nothing
// that the user may have called so.
func TestSweepTakesStaleTemporariesAlone(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	name := func(s string) string { return filepath.Join(dir, s) }
	f, err := temporary(name("x"))
	if err != nil {
		t.Fatal(err)
	}
	fresh := filepath.Base(f.Name())
	f.Close()
	stale := temporaryPrefix + strings.Repeat("A", 26)
	for _, s := range []string{stale, ".muniment-notes", "muniment-" + strings.Repeat("A", 26), ".pending", "a" + receiptSuffix} {
		if err := os.WriteFile(name(s), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name(s), now, now.Add(-time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(name(temporaryPrefix+strings.Repeat("B", 26)), 0o700); err != nil {
		t.Fatal(err)
	}
	sweep(dir, now)
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(left) != 6 {
		t.Errorf("%v", left)
	}
	if _, err := os.Stat(name(fresh)); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(name(stale)); err == nil {
		t.Error("a stale one is left")
	}
}

func TestReplaceNeverReplacesWhatCameBetween(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(path, []byte("theirs"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := replace(path, []byte("ours"), false); !errors.Is(err, fs.ErrExist) {
		t.Errorf("%v", err)
	}
	if data, _ := os.ReadFile(path); string(data) != "theirs" {
		t.Errorf("%s", data)
	}
}

func TestMembers(t *testing.T) {
	d := description{contract: "C-1", labels: []string{"k=a=b"}, sets: []string{"terms.amount=12.00", "terms.n:=3", "party.0.name=张三"}}
	members, err := d.members()
	if err != nil {
		t.Fatal(err)
	}
	r, err := proofs.NewRecord(members...)
	want := `{"contract.number":"C-1","label.k":"a=b","party.0.name":"张三","terms.amount":"12.00","terms.n":3}`
	if err != nil || r.JSON() != want {
		t.Errorf("%s, %v", r.JSON(), err)
	}
	for _, d := range []description{
		{contract: "\x00"}, {contract: "c", labels: []string{"k"}}, {contract: "c", labels: []string{"K=v"}},
		{contract: "c", sets: []string{"terms.x"}}, {contract: "c", sets: []string{"terms.x:=null"}},
		{contract: "c", sets: []string{"terms.x=1", "terms.x=2"}}, {contract: "c", sets: []string{"contract.number=d"}},
		{sets: []string{"case.seq:=7"}}, {sets: []string{"terms.amount:=3"}},
	} {
		if _, err := d.members(); err == nil {
			t.Errorf("%+v", d)
		}
	}
}

// TestSameDeposit: a receipt stands for a deposit only if that would say the same, but
// for what the program finds out itself.
func TestSameDeposit(t *testing.T) {
	of := func(json string) proofs.Receipt {
		return proofs.Receipt{Disclosures: record(t, json).Disclose(proofs.Seed{})}
	}
	stable := record(t, `{"content.name":"a","content.sha256":"00","contract.number":"C"}`)
	full := `{"case.seq":1,"content.held":true,"content.name":"a","content.sha256":"00","content.size":1,"content.type":"text/plain","contract.number":"C","id":"x"`
	if !sameDeposit(of(full+"}"), stable, true) {
		t.Error("not known again")
	}
	for _, json := range []string{
		full + `,"label.x":"1"}`,
		strings.Replace(full, `"C"`, `"D"`, 1) + "}",
		strings.Replace(full, `"content.name":"a",`, "", 1) + "}",
		strings.Replace(full, "true", "false", 1) + "}",
	} {
		if sameDeposit(of(json), stable, true) {
			t.Errorf("taken for the same: %s", json)
		}
	}
	hidden := of(full + "}")
	hidden.Disclosures = proofs.Hide(hidden.Disclosures, func(name string) bool { return name == "contract.number" })
	if sameDeposit(hidden, stable, true) {
		t.Error("a hidden contract taken for the same")
	}
}

func TestErrorsAreOneHarmlessLine(t *testing.T) {
	for _, err := range []error{
		&client.Problem{Title: "t\x1b[2J", Detail: "d\nline", Status: 503},
		&client.Problem{Type: "/problems/unauthorized", Title: "t", Status: 401},
		fmt.Errorf("x\r\n%w", client.ErrServer),
		errors.New("\u202e"),
		sayAbout.err("a\x1b[2J", errors.New("b\nc")),
		&fs.PathError{Op: "open", Path: "x\n\u202e", Err: errors.New("y\x00")},
	} {
		for _, lang := range []proofs.Language{proofs.English, proofs.Chinese} {
			if s := explain(err, lang); s == "" || strings.ContainsFunc(s, func(r rune) bool { return !proofs.Harmless(r) }) {
				t.Errorf("%q", s)
			}
		}
	}
}

func TestMediaType(t *testing.T) {
	for name, want := range map[string]string{"A.PDF": "application/pdf", "x.csv": "text/csv", "x": "application/octet-stream", "y.unknown": "application/octet-stream"} {
		if got := mediaType(name, nil); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
	if got := mediaType("scan", []byte("%PDF-1.7")); got != "application/pdf" {
		t.Error(got)
	}
}

func TestExposed(t *testing.T) {
	for server, want := range map[string]bool{
		"https://d.example": false, "http://d.example": true, "http://127.0.0.1:8080": false,
		"http://[::1]:8080": false, "http://localhost": false, "http://10.0.0.1": true,
	} {
		if exposed(server) != want {
			t.Errorf("%s", server)
		}
	}
}

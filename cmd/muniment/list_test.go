package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/client"
)

// TestListIsInOrderAndAligned: over several pages, whatever the script of the names.
func TestListIsInOrderAndAligned(t *testing.T) {
	leaf := proofs.LeafHash(nil).String()
	item := func(index, seq, name, held string) string {
		return `{"id":"x","index":` + index + `,"kind":"deposit","time":"2026-11-23T05:14:07.123Z","leaf":"` + leaf +
			`","record":{"contract.number":"HT/1","case.seq":` + seq + `,"content.held":` + held + `,"content.name":"` + name +
			`","content.sha256":"` + strings.Repeat("ab", 32) + `"}}`
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("contract") != "HT/1" || r.Header.Get("Authorization") != "Bearer k" {
			t.Errorf("%s", r.URL)
		}
		if r.FormValue("cursor") == "" {
			w.Write([]byte(`{"deposits":[` + item("3", "1", "借款合同.pdf", "true") + `,` + item("7", "2", "loan.pdf", "true") + `],"next":"on"}`))
			return
		}
		w.Write([]byte(`{"deposits":[` + item("12", "3", "evil\\u202e\\u001b[2J.pdf", "false") + `]}`))
	}))
	defer server.Close()
	found, err := search(t.Context(), &client.Client{Server: server.URL, APIKey: "k"}, client.Query{Contract: "HT/1"})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := printListed(&screen{out: &out, lang: proofs.English}, found); err != nil {
		t.Fatal(err)
	}
	want := `Entry  Time (UTC)                Contract  No.  Name                     SHA-256           Depository has  Id
3      2026-11-23T05:14:07.123Z  HT/1      1    借款合同.pdf             abababababababab  document        x
7      2026-11-23T05:14:07.123Z  HT/1      2    loan.pdf                 abababababababab  document        x
12     2026-11-23T05:14:07.123Z  HT/1      3    evil\u202e\u001b[2J.pdf  abababababababab  digest only     x
`
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
	out.Reset()
	if err := printListed(&screen{out: &out, json: true}, found); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	var last listing
	if len(lines) != 3 || json.Unmarshal([]byte(lines[2]), &last) != nil || last.Number != 3 || last.Held || last.Name != "evil\u202e\x1b[2J.pdf" {
		t.Errorf("%s", out.String())
	}
	if strings.ContainsFunc(out.String(), func(r rune) bool { return r != '\n' && !proofs.Harmless(r) }) {
		t.Errorf("harmful: %q", out.String())
	}
}

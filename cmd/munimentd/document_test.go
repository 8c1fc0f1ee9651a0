package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"mime"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/muniment/muniment/proofs"
)

// TestLargeDocument sends 200 MiB through the server, whose memory must not grow with
// it, and takes the same bytes back.
func TestLargeDocument(t *testing.T) {
	const size, most = 200 << 20, 150 << 20 // less than the document itself
	d := layout(t)
	p := d.serve(t)
	c := d.client(p)
	seed := [32]byte{1}
	sent := sha256.New()
	a, err := c.stream("large", map[string]any{"contract.number": "LC-1"}, "large.bin",
		io.TeeReader(io.LimitReader(rand.NewChaCha8(seed), size), sent))
	if err != nil {
		t.Fatal(err)
	}
	digest := hex.EncodeToString(sent.Sum(nil))
	v := proofs.NewVerifier(d.policy)
	if _, e, err := d.prove(v, a.Receipt, io.LimitReader(rand.NewChaCha8(seed), size)); err != nil || e.Document != proofs.DocumentMatches || e.Digest() != digest {
		t.Errorf("the receipt of the document: %v, %s", err, e.Document)
	}
	got := c.download(t, a, size)
	if hex.EncodeToString(got.Sum(nil)) != digest {
		t.Error("the download is not the upload")
	}
	peak := p.peak(t)
	t.Logf("the server's memory was %d MiB at its peak", peak>>20)
	if peak > most {
		t.Errorf("that is over %d MiB", most>>20)
	}
	p.stop(t)
	d.clean(t)
}

// download reads a document as a stream and returns its digest.
func (c *client) download(t *testing.T, a answer, size int64) hash.Hash {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, c.url+"/v1/deposits/"+a.ID+"/document", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.d.APIKey)
	resp, err := c.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	h := sha256.New()
	n, err := io.Copy(h, resp.Body)
	if err != nil || n != size || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s, %d of %d bytes: %v", resp.Status, n, size, err)
	}
	return h
}

// peak returns the most memory that the process ever had resident, in bytes.
func (p *process) peak(t *testing.T) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	fields := strings.Fields(rest)
	if len(fields) < 2 || fields[1] != "kB" {
		t.Fatalf("no peak in %s", status)
	}
	kib, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kib << 10
}

// TestDocumentsAtTheEdge: the smallest, and names that are not ASCII, come back as they
// went, and over a restart.
func TestDocumentsAtTheEdge(t *testing.T) {
	d := layout(t)
	p := d.serve(t)
	cases := []struct {
		name     string
		document []byte
	}{
		{"empty.bin", []byte{}},
		{"one.bin", []byte{0}},
		{"个人消费贷款合同（2026）第〇一七号.pdf", []byte("%PDF-1.7 借款合同")},
		{"package.bin", bytes.Repeat([]byte{0xa5}, 64<<10)},
		{"package-and-one.bin", bytes.Repeat([]byte{0x5a}, 64<<10+1)},
	}
	var answers []answer
	c := d.client(p)
	for i, one := range cases {
		a, err := c.stream(fmt.Sprint("edge-", i), nil, one.name, bytes.NewReader(one.document))
		if err != nil {
			t.Fatalf("%s: %v", one.name, err)
		}
		answers = append(answers, a)
	}
	p.stop(t)
	p = d.serve(t)
	c = d.client(p)
	v := proofs.NewVerifier(d.policy)
	for i, one := range cases {
		a := answers[i]
		r, e, err := d.prove(v, a.Receipt, bytes.NewReader(one.document))
		if err != nil || e.Document != proofs.DocumentMatches {
			t.Errorf("%s: %v, the document %s", one.name, err, e.Document)
		}
		for _, m := range r.Disclosures {
			if text, _ := m.Value.Text(); m.Name == "content.name" && text != one.name {
				t.Errorf("%s is recorded as %q", one.name, text)
			}
		}
		req, err := http.NewRequest(http.MethodGet, c.url+"/v1/deposits/"+a.ID+"/document", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+d.APIKey)
		resp, err := c.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || !bytes.Equal(got, one.document) {
			t.Errorf("%s comes back with %d bytes of %d: %v", one.name, len(got), len(one.document), err)
		}
		sum := sha256.Sum256(one.document)
		if etag := resp.Header.Get("ETag"); etag != `"`+hex.EncodeToString(sum[:])+`"` {
			t.Errorf("%s has ETag %s", one.name, etag)
		}
		if kind, params, err := mime.ParseMediaType(resp.Header.Get("Content-Disposition")); err != nil || kind != "attachment" || params["filename"] != one.name {
			t.Errorf("%s is to be saved as %s %q: %v", one.name, kind, params["filename"], err)
		}
	}
	p.stop(t)
	d.clean(t)
}

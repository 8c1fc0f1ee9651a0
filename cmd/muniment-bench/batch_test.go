package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/muniment/muniment/proofs"
)

// batchAnswer is what a depository answers to a batch, made of receipts that it gave:
// a head and the lines.
func batchAnswer(t *testing.T, files [][]byte, whole bool) []string {
	t.Helper()
	var out []string
	for i, file := range files {
		r, err := proofs.ParseReceipt(file)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			head, _ := json.Marshal(batchHead{string(r.Checkpoint), len(files)})
			out = append(out, string(head))
		}
		line := map[string]any{"id": idOf(r), "index": r.Index, "entry": r.Entry.String()}
		hashes := []string{}
		for _, h := range r.Path {
			hashes = append(hashes, h.String())
		}
		line["path"] = hashes
		if whole {
			_, encoded, _ := strings.Cut(string(file), "extra ")
			encoded, _, _ = strings.Cut(encoded, "\n")
			extra, err := base64.StdEncoding.DecodeString(encoded)
			if err != nil {
				t.Fatal(err)
			}
			var members struct {
				Disclosures json.RawMessage `json:"disclosures"`
			}
			if err := json.Unmarshal(extra, &members); err != nil {
				t.Fatal(err)
			}
			line["disclosures"] = members.Disclosures
		}
		var text bytes.Buffer
		e := json.NewEncoder(&text)
		e.SetEscapeHTML(false)
		if err := e.Encode(line); err != nil {
			t.Fatal(err)
		}
		out = append(out, strings.TrimSuffix(text.String(), "\n"))
	}
	return out
}

// TestBatchAnswersAreVerified alters what a batch's answer says, one thing at a time.
func TestBatchAnswersAreVerified(t *testing.T) {
	const lines = 20
	d := running(t)
	o := brief("batch")
	b := benchOn(t, d, o)
	if _, err := b.drive(t.Context(), load{mix: mix{single: 1}, clients: 1, duration: time.Minute, count: lines, step: time.Minute, learn: true}); err != nil {
		t.Fatal(err)
	}
	files, err := b.fetch(lines)
	if err != nil {
		t.Fatal(err)
	}
	log := newPublicLog(d.addr, d.policy)
	defer log.wire.close()
	newest, err := log.checkpoint()
	if err != nil {
		t.Fatal(err)
	}
	judge := func(answer []string, whole bool) (audited, error) {
		b.drv.whole = whole
		a := newAuditor(b.drv.workload, d.policy)
		f := frame{task{batch, lines, 0}, []byte(strings.Join(answer, "\n") + "\n")}
		if err := a.batch(f, log, newest); err != nil {
			return a.found, err
		}
		return a.found, a.consistent(log, newest)
	}
	minimal, whole := batchAnswer(t, files, false), batchAnswer(t, files, true)
	if found, err := judge(minimal, false); err != nil || found != (audited{Lines: lines, Checkpoints: 1, Entries: lines}) {
		t.Errorf("a minimal answer that is true: %v, %+v", err, found)
	}
	if found, err := judge(whole, true); err != nil || found != (audited{Receipts: lines, Checkpoints: 1, Entries: lines}) {
		t.Errorf("a whole answer that is true: %v, %+v", err, found)
	}
	if _, err := judge(minimal, true); !errors.Is(err, errLie) {
		t.Errorf("an answer without the disclosures that were asked for: %v", err)
	}

	replace := func(line int, old, with string) func([]string) []string {
		return func(a []string) []string {
			if !strings.Contains(a[line], old) {
				t.Fatalf("line %d has no %s: %s", line, old, a[line])
			}
			a[line] = strings.Replace(a[line], old, with, 1)
			return a
		}
	}
	for name, alter := range map[string]func([]string) []string{
		"a line less":       func(a []string) []string { return a[:lines] },
		"a line more":       func(a []string) []string { return append(a, a[lines]) },
		"a line twice":      func(a []string) []string { a[3] = a[2]; return a },
		"another count":     replace(0, `"count":20`, `"count":19`),
		"another size":      replace(0, fmt.Sprintf(`\n%d\n`, newest.Size), fmt.Sprintf(`\n%d\n`, newest.Size+1)),
		"another index":     replace(2, `"index":2`, `"index":3`),
		"another kind":      replace(2, `\ndeposit\n`, `\nnotice\n`),
		"another time":      replace(2, `Z\nrecord`, `Z\nrecorded`),
		"a hash cut off":    replace(2, `"path":["`, `"path":["A`),
		"no path":           replace(2, `"path":["`, `"path":[],"other":["`),
		"an unknown member": replace(2, `{"`, `{"more":1,"`),
		"no JSON":           replace(2, `{"`, `{`),
		"lines swapped":     func(a []string) []string { a[2], a[3] = a[3], a[2]; return a },
		"two in a line":     func(a []string) []string { a[2] += a[3]; return a },
	} {
		for kind, answer := range map[bool][]string{false: minimal, true: whole} {
			if _, err := judge(alter(slices.Clone(answer)), kind); !errors.Is(err, errLie) {
				t.Errorf("%s (whole: %v): %v", name, kind, err)
			}
		}
	}
	for name, alter := range map[string]func([]string) []string{
		"another id":    replace(2, `"id":"0`, `"id":"1`),
		"another value": replace(2, `"contract.number","HT`, `"contract.number","TH`),
	} {
		if _, err := judge(alter(slices.Clone(whole)), true); !errors.Is(err, errLie) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

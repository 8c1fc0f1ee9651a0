package service

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/api"
)

func TestConditional(t *testing.T) {
	h := newHouse(t)
	h.postJSON(t, digestOnly("")).deposit(t, h, 201)
	for path, caching := range map[string]string{
		"/log/tile/0/000.p/2": immutable, "/log/tile/entries/000.p/2": immutable, "/log/inclusion/2/1": immutable, "/log/consistency/1/2": immutable,
		"/log/policy/" + h.policy.Fingerprint(): immutable, "/log/policy": fleeting, "/log/checkpoint": fleeting, "/log/records/0": fleeting,
	} {
		whole := h.do(t, "GET", path, nil)
		tag := whole.Header.Get("ETag")
		if whole.StatusCode != 200 || len(tag) < 10 || whole.Header.Get("Cache-Control") != caching {
			t.Fatalf("%s: %d %v", path, whole.StatusCode, whole.Header)
		}
		for condition, status := range map[string]int{
			tag: 304, "W/" + tag: 304, `"x", ` + tag: 304, `"a,b",W/"c" ,,` + tag + `,"d"`: 304, "*": 304,
			`"x"`: 200, tag[:len(tag)-1]: 200, `"*"`: 200, tag[1 : len(tag)-1]: 200, `"` + tag + `"`: 200, "": 200, `"x`: 200,
		} {
			for _, method := range []string{"GET", "HEAD"} {
				a := h.do(t, method, path, nil, "If-None-Match", condition)
				if a.StatusCode != status || a.Header.Get("ETag") != tag || a.Header.Get("Cache-Control") != caching || a.Header.Get("Access-Control-Allow-Origin") != "*" {
					t.Errorf("%s %s, %s: %d %v", method, path, condition, a.StatusCode, a.Header)
				}
				if (len(a.body) > 0) != (status == 200 && method == "GET") {
					t.Errorf("%s %s, %s: %d bytes", method, path, condition, len(a.body))
				}
			}
		}
	}
	// What changed has another tag.
	old := h.do(t, "GET", "/log/checkpoint", nil).Header.Get("ETag")
	h.postJSON(t, digestOnly("")).deposit(t, h, 201)
	if a := h.do(t, "GET", "/log/checkpoint", nil, "If-None-Match", old); a.StatusCode != 200 {
		t.Error(a.Status)
	}
}

func TestLogProofs(t *testing.T) {
	h := newHouse(t)
	h.postBatch(t, batchOf(20)).batch(t, h, 20)
	read := func(path string, v any) {
		t.Helper()
		a := h.do(t, "GET", path, nil, "Authorization", "")
		if a.StatusCode != 200 || a.Header.Get("Cache-Control") != immutable {
			t.Fatalf("%s: %d %v %s", path, a.StatusCode, a.Header, a.body)
		}
		must(t, json.Unmarshal(a.body, v))
	}
	hashes := func(texts ...string) (out []proofs.Hash) {
		t.Helper()
		for _, s := range texts {
			x, err := proofs.ParseHash(s)
			must(t, err)
			out = append(out, x)
		}
		return out
	}
	for size := uint64(1); size <= 21; size++ {
		var c api.ConsistencyProof
		for n := uint64(1); n <= size; n++ {
			var p api.InclusionProof
			read(fmt.Sprintf("/log/inclusion/%d/%d", size, n-1), &p)
			ends := hashes(p.Leaf, p.Root)
			if p.Index != n-1 || p.Size != size || proofs.VerifyInclusion(hashes(p.Path...), n-1, size, ends[0], ends[1]) != nil {
				t.Errorf("%+v", p)
			}
			read(fmt.Sprintf("/log/consistency/%d/%d", n, size), &c)
			ends = hashes(c.FromRoot, c.Root)
			if c.From != n || c.Size != size || c.Root != p.Root || proofs.VerifyConsistency(hashes(c.Path...), n, size, ends[0], ends[1]) != nil {
				t.Errorf("%+v", c)
			}
		}
	}
	for _, path := range []string{
		"inclusion/21/21", "inclusion/22/0", "inclusion/0/0", "inclusion/021/1", "inclusion/21/01", "inclusion/21/+1", "inclusion/21/-1", "inclusion/21/%31", "inclusion/21/", "inclusion/21", "inclusion/18446744073709551616/0", "inclusion/21/1/",
		"consistency/0/21", "consistency/21/20", "consistency/1/22", "consistency/01/2", "consistency/1/02", "consistency/1", "consistency/1/1e1",
	} {
		h.do(t, "GET", "/log/"+path, nil, "Authorization", "").problem(t, notFound)
	}
}

package client

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/api"
)

// caseOf makes the deposits of a case, as the server lists them.
func caseOf(contract string, n int) []api.FoundDeposit {
	var out []api.FoundDeposit
	prev := ""
	for i := range n {
		leaf := proofs.LeafHash([]byte{byte(i), byte(i >> 8)})
		quoted, _ := json.Marshal(contract)
		out = append(out, api.FoundDeposit{
			Id: fmt.Sprintf("0195fe54-6c51-7a3e-8d8c-%012d", i), Index: uint64(10 + 2*i), Kind: "deposit", Time: "2026-11-23T05:14:07.123Z",
			Leaf: leaf.String(), Record: []byte(fmt.Sprintf(`{"contract.number":%s,"case.seq":%d%s}`, quoted, i+1, prev)),
		})
		prev = `,"case.prev":"` + hex.EncodeToString(leaf[:]) + `"`
	}
	return out
}

// cases serves a case, three deposits to a page.
type cases struct {
	contract string
	deposits []api.FoundDeposit
	count    uint64
	leaf     string
	paths    []string
	page     func(p *casePage, from int)
}

func newCases(contract string, n int) *cases {
	s := &cases{contract: contract, deposits: caseOf(contract, n), count: uint64(n)}
	s.leaf = s.deposits[n-1].Leaf
	return s
}

func (s *cases) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.paths = append(s.paths, r.URL.EscapedPath())
	from := 0
	fmt.Sscan(r.URL.Query().Get("cursor"), &from)
	end := min(from+3, len(s.deposits))
	p := casePage{Contract: s.contract, Count: s.count, Leaf: s.leaf, Deposits: s.deposits[from:end]}
	if end < len(s.deposits) {
		p.Next = fmt.Sprint(end)
	}
	if s.page != nil {
		s.page(&p, from)
	}
	json.NewEncoder(w).Encode(p)
}

func read(c Case) (seqs []int64, errs []error) {
	for l, err := range c.Deposits {
		if err != nil {
			errs = append(errs, err)
		}
		if v, ok := l.Record.Get("case.seq"); ok {
			seq, _ := v.Integer()
			seqs = append(seqs, seq)
		}
	}
	return seqs, errs
}

func TestCase(t *testing.T) {
	for _, contract := range []string{"HT-1", "借/ 1&x?%2F#", ".", "..", "...", "a/../b"} {
		s := newCases(contract, 7)
		c, _ := serve(t, s)
		got, err := c.Case(t.Context(), contract)
		if err != nil || got.Count != 7 || got.Leaf.String() != s.leaf || got.Contract != contract {
			t.Fatalf("%q: %+v %v", contract, got, err)
		}
		for range 2 { // a second reading is one from the start
			if seqs, errs := read(got); !slices.Equal(seqs, []int64{1, 2, 3, 4, 5, 6, 7}) || errs != nil {
				t.Errorf("%q: %d %v", contract, seqs, errs)
			}
		}
		segment := strings.TrimPrefix(s.paths[0], "/v1/cases/")
		if back, err := url.PathUnescape(segment); err != nil || back != contract || strings.Contains(segment, "/") || strings.Trim(segment, ".") == "" {
			t.Errorf("%q was sent as %q", contract, segment)
		}
	}
}

// TestCaseThatGrows: what is deposited while the case is read belongs to it.
func TestCaseThatGrows(t *testing.T) {
	s := newCases("1", 7)
	first := s.deposits[4].Leaf
	s.page = func(p *casePage, from int) {
		if from == 0 {
			p.Count, p.Leaf = 5, first
		} else {
			p.Count, p.Leaf = 6, s.deposits[5].Leaf
		}
	}
	c, _ := serve(t, s)
	got, err := c.Case(t.Context(), "1")
	if err != nil || got.Count != 5 {
		t.Fatal(err)
	}
	if seqs, errs := read(got); len(seqs) != 7 || errs != nil {
		t.Errorf("%d %v", seqs, errs)
	}
}

// TestGapsAreNamed: every way in which a chain can be broken, and where.
func TestGapsAreNamed(t *testing.T) {
	for what, c := range map[string]struct {
		alter func(*cases)
		want  GapError
		text  string
		shown int
	}{
		"one missing":     {func(s *cases) { s.deposits = slices.Delete(s.deposits, 3, 4) }, GapError{"1", 3, 5, 7}, "after deposit 3 of the case comes deposit 5: 4 to 4 are missing", 6},
		"the first gone":  {func(s *cases) { s.deposits = s.deposits[2:] }, GapError{"1", 0, 3, 7}, "after deposit 0 of the case comes deposit 3: 1 to 2 are missing", 5},
		"the last gone":   {func(s *cases) { s.deposits = s.deposits[:5] }, GapError{"1", 5, 0, 7}, "the case ends with deposit 5 of 7: 6 to 7 are missing", 5},
		"all gone":        {func(s *cases) { s.deposits = nil }, GapError{"1", 0, 0, 7}, "the case ends with deposit 0 of 7: 1 to 7 are missing", 0},
		"one twice":       {func(s *cases) { s.deposits[6] = s.deposits[5] }, GapError{"1", 6, 6, 7}, "after deposit 6 of the case comes deposit 6", 7},
		"another leaf":    {func(s *cases) { s.deposits[2].Leaf = s.deposits[0].Leaf }, GapError{"1", 3, 4, 7}, "deposit 4 of the case does not continue deposit 3: its case.prev is not the leaf hash of that", 7},
		"another newest":  {func(s *cases) { s.leaf = s.deposits[0].Leaf }, GapError{"1", 7, 0, 7}, "deposit 7 of the case is not the one that the case is said to end with", 7},
		"more than there": {func(s *cases) { s.count = 9 }, GapError{"1", 7, 0, 9}, "the case ends with deposit 7 of 9: 8 to 9 are missing", 7},
	} {
		s := newCases("1", 7)
		c.alter(s)
		client, _ := serve(t, s)
		got, err := client.Case(t.Context(), "1")
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		seqs, errs := read(got)
		var gap *GapError
		if len(errs) == 0 || !errors.As(errs[0], &gap) || !errors.Is(errs[0], ErrLog) || *gap != c.want || gap.Error() != c.text {
			t.Errorf("%s: %q", what, errs)
		}
		if len(seqs) != c.shown {
			t.Errorf("%s: %d deposits behind %v", what, seqs, errs)
		}
	}
}

// TestHostileCases: what is no answer ends the list.
func TestHostileCases(t *testing.T) {
	record := func(json string) func(*casePage, int) {
		return func(p *casePage, _ int) { p.Deposits[1].Record = []byte(json) }
	}
	for what, alter := range map[string]func(p *casePage, from int){
		"another contract": func(p *casePage, _ int) { p.Contract = "2" },
		"no deposit":       func(p *casePage, _ int) { p.Count = 0 },
		"no leaf":          func(p *casePage, _ int) { p.Leaf = "" },
		"the same page":    func(p *casePage, _ int) { p.Next = "3" },
		"an empty page":    func(p *casePage, _ int) { p.Deposits = nil; p.Next = "1" },
		"no record":        record(`7`),
		"of another contract": func(p *casePage, _ int) {
			p.Deposits[1].Record = []byte(strings.Replace(string(p.Deposits[1].Record), `"1"`, `"2"`, 1))
		},
		"no contract": record(`{"case.seq":2}`),
		"no place":    record(`{"contract.number":"1"}`),
		"no number":   record(`{"contract.number":"1","case.seq":"2"}`),
		"number 0":    record(`{"contract.number":"1","case.seq":0}`),
		"number -1":   record(`{"contract.number":"1","case.seq":-1}`),
		"no prev":     record(`{"contract.number":"1","case.seq":2}`),
		"no digest":   record(`{"contract.number":"1","case.seq":2,"case.prev":"x"}`),
	} {
		s := newCases("1", 7)
		s.page = alter
		c, _ := serve(t, s)
		got, err := c.Case(t.Context(), "1")
		n := 0
		if err == nil {
			for _, err = range got.Deposits {
				if n++; n > 100 {
					break
				}
			}
		}
		var gap *GapError
		if !errors.Is(err, ErrAnswer) && (what != "the same page" || !errors.As(err, &gap)) || n > 100 {
			t.Errorf("%s: %v after %d", what, err, n)
		}
	}
	c, _ := serve(t, http.NotFoundHandler())
	var p *Problem
	if _, err := c.Case(t.Context(), "1"); !errors.As(err, &p) || p.Status != 404 {
		t.Errorf("%v", err)
	}
}

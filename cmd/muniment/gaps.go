package main

import (
	"cmp"
	"context"
	"io/fs"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/proofs/mldsa"
)

type gapsOptions struct {
	lang   proofs.Language
	policy string
	json   bool
}

func gapsCommand(lang proofs.Language) *cobra.Command {
	o := gapsOptions{lang: lang}
	c := &cobra.Command{
		Use:     "gaps FOLDER|RECEIPT… --policy POLICY",
		Short:   sayGapsShort.in(lang),
		Long:    sayGapsLong.in(lang),
		Example: sayGapsExample.in(lang),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return sayWhichReceipts.err()
			}
			return nil
		},
		RunE: o.run,
	}
	c.Flags().StringVar(&o.policy, "policy", "", sayFlagPolicy.in(lang))
	c.Flags().BoolVar(&o.json, "json", false, sayFlagJSON.in(lang))
	return c
}

// A collection is the receipts at hand, by case.
type collection struct {
	screen   *screen
	verifier *proofs.Verifier
	cases    map[caseName][]link
	caseless int // receipts of deposits without a contract
	receipts int
	failures int // paths that cannot be read
	code     int
}

// caseName tells cases apart: two lenders may use one contract number.
type caseName struct{ origin, registration, tenant, contract string }

func (o *gapsOptions) run(c *cobra.Command, args []string) error {
	s := newScreen(c, o.lang, o.json)
	policy, err := readPolicy(o.policy)
	if err != nil {
		return err
	}
	g := &collection{screen: s, verifier: proofs.NewVerifier(policy, mldsa.Plugged()), cases: map[caseName][]link{}}
	if err := g.collect(c.Context(), args); err != nil {
		return err
	}
	if g.receipts+g.failures == 0 {
		return sayNoReceipts.err()
	}
	if err := g.print(); err != nil {
		return err
	}
	if g.code != 0 {
		return exitError(g.code)
	}
	return nil
}

func (g *collection) collect(ctx context.Context, args []string) error {
	w := walk{
		visit: func(f found) error { return g.visit(ctx, f) },
		broken: func(path string, err error) {
			g.failures++
			g.screen.complain(path, err)
			g.code = graver(g.code, exitFailure)
		},
		skip: func(fs.FileInfo) bool { return false },
		into: true,
	}
	return w.all(ctx, args)
}

// visit takes in a receipt. One that does not verify proves no place in any case.
func (g *collection) visit(ctx context.Context, f found) error {
	if f.trait != aReceipt && !strings.HasSuffix(f.path, receiptSuffix) {
		return nil
	}
	g.receipts++
	r, err := readReceipt(f.path)
	if err != nil {
		g.screen.complain(f.path, sayNoReceipt.err(err))
		g.code = graver(g.code, exitRefused)
		return nil
	}
	e, err := g.verifier.Verify(r, nil)
	if err != nil {
		return err
	}
	if e.Outcome() != proofs.Verified {
		g.screen.complain(f.path, sayReceiptFails.err(e.Explain(g.screen.lang).Verdict))
		g.code = graver(g.code, exitOf(e.Outcome()))
		return ctx.Err()
	}
	g.add(f.path, e)
	return ctx.Err()
}

// add puts a verified receipt in its case.
func (g *collection) add(path string, e proofs.Evidence) {
	text := func(name string) string {
		v, _ := e.Record.Get(name)
		s, _ := v.Text()
		return s
	}
	name := caseName{e.Origin, text("tenant.registration"), text("tenant.name"), text("contract.number")}
	hides := func(name string) bool { return slices.Contains(e.Hidden, name) }
	switch {
	case hides("contract.number") || hides("case.seq") || hides("case.prev"):
		g.screen.complain(path, sayCaseHidden.err())
		g.code = graver(g.code, exitFailure)
	case name.contract == "":
		g.caseless++
	default:
		g.cases[name] = append(g.cases[name], linkOf(e.Index, e.Leaf, e.Record.Get))
	}
}

// gapped is a case as JSON shows it; its names are stable.
type gapped struct {
	Contract string   `json:"contract"`
	Tenant   string   `json:"tenant"`
	Origin   string   `json:"origin"`
	Deposits int      `json:"deposits"`
	Last     int64    `json:"last"` // the highest number there is a receipt of
	Whole    bool     `json:"whole"`
	Breaches []string `json:"breaches"`
}

func (g *collection) print() error {
	names := make([]caseName, 0, len(g.cases))
	for name := range g.cases {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b caseName) int {
		return cmp.Or(cmp.Compare(a.contract, b.contract), cmp.Compare(a.tenant, b.tenant), cmp.Compare(a.registration, b.registration), cmp.Compare(a.origin, b.origin))
	})
	for _, name := range names {
		if err := g.printCase(name, g.cases[name]); err != nil {
			return err
		}
	}
	if g.screen.json {
		return nil
	}
	if g.caseless > 0 {
		g.screen.note(sayCaseless, g.caseless)
	}
	if len(names) > 0 {
		g.screen.note(sayLaterUnknown)
	}
	return nil
}

func (g *collection) printCase(name caseName, links []link) error {
	broken := breaches(links)
	leaves, last := map[string]bool{}, int64(0)
	for _, l := range links {
		leaves[l.leaf] = true
		last = max(last, l.seq)
	}
	if len(broken) > 0 {
		g.code = graver(g.code, exitRefused)
	}
	if !g.screen.json {
		return g.screen.chain(broken, sayReceiptsWhole.with(name.contract, name.tenant, len(leaves), last), sayReceiptsGapped.with(name.contract, name.tenant, len(leaves), last))
	}
	out := gapped{name.contract, name.tenant, name.origin, len(leaves), last, len(broken) == 0, []string{}}
	for _, b := range broken {
		out.Breaches = append(out.Breaches, b.in(g.screen.lang))
	}
	return g.screen.object(out)
}

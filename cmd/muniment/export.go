package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/proofs/bundle"
	"github.com/muniment/muniment/proofs/mldsa"
	"github.com/muniment/muniment/proofs/sm"
	"github.com/muniment/muniment/service/client"
)

type exportOptions struct {
	connection
	policy, file string
	in, profile  string
	bare, json   bool
}

func exportCommand(lang proofs.Language) *cobra.Command {
	o := exportOptions{connection: connection{lang: lang}}
	c := &cobra.Command{
		Use:     "export [CONTRACT]",
		Short:   sayExportShort.in(lang),
		Long:    sayExportLong.in(lang),
		Example: sayExportExample.in(lang),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 || len(args) == 1 && args[0] == "" {
				return sayOneContract.err()
			}
			return paperForm(o.in, o.profile)
		},
		ValidArgsFunction: noFiles,
		RunE:              o.run,
	}
	o.flags(c, true)
	o.readFlags(c)
	c.Flags().StringVarP(&o.file, "output", "o", "", sayFlagBundle.in(lang))
	c.Flags().StringVar(&o.policy, "policy", "", sayFlagReceiptPolicy.in(lang))
	c.Flags().BoolVar(&o.bare, "no-certificates", false, sayFlagBare.in(lang))
	paperFlags(c, lang, &o.in, &o.profile)
	c.Flags().BoolVar(&o.json, "json", false, sayFlagJSON.in(lang))
	return c
}

func (o *exportOptions) run(c *cobra.Command, args []string) error {
	s := newScreen(c, o.lang, o.json)
	server, err := o.client(c, s)
	if err != nil {
		return err
	}
	contract, err := o.caseMeant(c.Context(), server, args)
	if err != nil {
		return err
	}
	judge, err := o.judge(c, server, s)
	if err != nil {
		return err
	}
	if o.file == "" {
		if o.file = bundle.FileName(contract); o.file == "" {
			o.file = "case"
		}
		o.file += ".zip"
	}
	if _, err := os.Lstat(o.file); err == nil {
		return sayTaken.err(o.file)
	}
	want := client.Bundle{Language: o.in, Profile: o.profile, Certificates: !o.bare}
	r, err := fetchBundle(c.Context(), server, contract, want, o.file, judge)
	if p, ok := problemOf(err); ok && p.Type == client.ProblemNotFound {
		return sayNoCase.err(contract)
	}
	if err != nil {
		return err
	}
	outcome := r.Outcome()
	path := o.file
	if outcome == proofs.Refused {
		path = ""
	}
	if err := newBundleReport(path, r, s.lang).print(s); err != nil {
		return err
	}
	if path != "" {
		s.note(sayExported, path)
	}
	// Without a policy of one's own nothing is verified, and the depository has been told so.
	if outcome == proofs.Undecided && !r.Own && len(r.Missing) == 0 {
		return nil
	}
	if code := exitOf(outcome); code != 0 {
		return exitError(code)
	}
	return nil
}

// judge checks what comes by the policy in the file, or else by the server's own.
func (o *exportOptions) judge(c *cobra.Command, server *client.Client, s *screen) (bundle.Judge, error) {
	plugged := []proofs.Option{mldsa.Plugged(), sm.Plugged()}
	if o.policy != "" {
		policy, err := readPolicy(o.policy)
		return bundleJudge(c.Context(), &policy, nil, plugged, nil), err
	}
	policy, err := server.Policy(c.Context())
	if err != nil {
		return bundle.Judge{}, err
	}
	s.note(sayOwnPolicy, policy.Fingerprint())
	return bundleJudge(c.Context(), nil, []proofs.Policy{policy}, plugged, nil), nil
}

// fetchBundle fetches the bundle of a case and checks it. It stands at path once it is whole
// and not refused; until then, and else, nothing does.
func fetchBundle(ctx context.Context, server *client.Client, contract string, want client.Bundle, path string, judge bundle.Judge) (bundle.Report, error) {
	f, err := temporary(path)
	if err != nil {
		return bundle.Report{}, err
	}
	defer os.Remove(f.Name())
	err = server.Bundle(ctx, contract, want, f)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return bundle.Report{}, err
	}
	b, in := bundleAt(f.Name())
	if b == nil {
		return bundle.Report{}, sayOddBundle.err()
	}
	defer in.Close()
	r, err := b.Check(judge)
	if err != nil || r.Outcome() == proofs.Refused {
		return r, err
	}
	// A link never replaces. Where the file system has none, a rename must do.
	if err := os.Link(f.Name(), path); err != nil {
		if errors.Is(err, os.ErrExist) {
			return r, sayTaken.err(path)
		}
		if err := os.Rename(f.Name(), path); err != nil {
			return r, err
		}
	}
	return r, syncDir(filepath.Dir(path))
}

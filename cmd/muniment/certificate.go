package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/notary/certificate"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/client"
)

type certificateOptions struct {
	connection
	in, profile       string
	policy, file, out string
	document, json    bool
}

func certificateCommand(lang proofs.Language) *cobra.Command {
	o := certificateOptions{connection: connection{lang: lang}}
	c := &cobra.Command{
		Use:     "certificate ID…",
		Short:   sayCertificateShort.in(lang),
		Long:    sayCertificateLong.in(lang),
		Example: sayCertificateExample.in(lang),
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case len(args) == 0:
				return sayWhichID.err()
			case o.file != "" && (len(args) > 1 || o.out != ""):
				return sayOneOutput.err()
			}
			return paperForm(o.in, o.profile)
		},
		ValidArgsFunction: noFiles,
		RunE:              o.run,
	}
	o.flags(c, true)
	o.readFlags(c)
	f := c.Flags()
	paperFlags(c, lang, &o.in, &o.profile)
	f.BoolVar(&o.document, "document", false, sayFlagEmbed.in(lang))
	f.StringVarP(&o.file, "output", "o", "", sayFlagCertificateFile.in(lang))
	f.StringVar(&o.out, "out", "", sayFlagCertificateOut.in(lang))
	f.StringVar(&o.policy, "policy", "", sayFlagReceiptPolicy.in(lang))
	f.BoolVar(&o.json, "json", false, sayFlagJSON.in(lang))
	if err := c.MarkFlagDirname("out"); err != nil {
		panic(err)
	}
	return c
}

// paperFlags are the flags of how certificates are to be.
func paperFlags(c *cobra.Command, lang proofs.Language, in, profile *string) {
	c.Flags().StringVar(in, "in", "", sayFlagIn.in(lang))
	c.Flags().StringVar(profile, "profile", "", sayFlagProfile.in(lang))
	completes(c, "in", "zh", "en", "both")
	completes(c, "profile", "plain", "prc", "fre")
}

// paperForm checks what those flags were given.
func paperForm(in, profile string) error {
	switch {
	case !slices.Contains([]string{"", "zh", "en", "both"}, in):
		return sayWhichIn.err()
	case !slices.Contains([]string{"", "plain", "prc", "fre"}, profile):
		return sayWhichProfile.err()
	}
	return nil
}

// fetchedPaper is a certificate that was fetched. As JSON its names are stable.
type fetchedPaper struct {
	Certificate string `json:"certificate,omitempty"` // path
	Status      string `json:"status"`                // fetched, refused or failed
	ID          string `json:"id"`
	Number      string `json:"number,omitempty"`
	SignedBy    string `json:"signed_by,omitempty"`
	Error       string `json:"error,omitempty"`
}

func (o *certificateOptions) run(c *cobra.Command, args []string) error {
	s := newScreen(c, o.lang, o.json)
	server, err := o.client(c, s)
	if err != nil {
		return err
	}
	if o.out != "" {
		if err := os.MkdirAll(o.out, 0o777); err != nil {
			return err
		}
	}
	if err := o.believe(c, server, o.policy, s); err != nil {
		return err
	}
	code := 0
	for i, id := range args {
		f, err := o.fetch(c.Context(), server, id)
		if err != nil {
			code = graver(code, o.fail(s, &f, err))
		}
		if err := f.print(s); err != nil {
			return err
		}
		if left := len(args) - i - 1; err != nil && left > 0 && hopeless(err) {
			s.note(sayUntried, left)
			break
		}
	}
	if code != 0 {
		return exitError(code)
	}
	return nil
}

func (o *certificateOptions) fail(s *screen, f *fetchedPaper, err error) int {
	f.Status, f.Certificate = statusFailed, ""
	code := exitFailure
	if refusedEvidence(err) {
		f.Status, code = statusRefused, exitRefused
	}
	if s.json {
		f.Error = explain(err, s.lang)
	} else {
		s.complain(f.ID, err)
	}
	return code
}

// fetch gets one certificate, and writes it once it holds.
func (o *certificateOptions) fetch(ctx context.Context, server *client.Client, id string) (fetchedPaper, error) {
	f := fetchedPaper{Status: statusFetched, ID: id}
	if !isID(id) {
		return f, sayNotID.err(id)
	}
	data, err := server.Certificate(ctx, id, client.Certificate{Language: o.in, Profile: o.profile, Document: o.document})
	if err != nil {
		return f, err
	}
	checked, err := certificate.Check(data, nil)
	if err != nil {
		return f, unpaper(err)
	}
	f.Number = checked.Number
	if checked.Signature != nil {
		f.SignedBy = checked.Signature.Subject
	}
	if err := ofDeposit(server, checked, id); err != nil {
		return f, err
	}
	if f.Certificate = o.file; o.file == "" {
		f.Certificate = filepath.Join(o.out, id+".certificate.pdf")
	}
	// Each certificate is another, of its own time of issue: it takes the place of an older
	// one that stands under its own name, and of nothing else.
	err = replace(f.Certificate, data, isCertificate(f.Certificate))
	if os.IsExist(err) {
		err = sayTaken.err(f.Certificate)
	}
	return f, err
}

// ofDeposit checks under the client's policy that a certificate is that deposit's, or that
// of its erasure.
func ofDeposit(server *client.Client, checked *certificate.Checked, id string) error {
	receipt, err := proofs.ParseReceipt(checked.Receipt)
	if err != nil {
		return err
	}
	e, err := server.Verifier.Verify(receipt, nil)
	if err != nil {
		return err
	}
	if e.Outcome() == proofs.Refused {
		return sayReceiptFails.refusal(lastLine(e.Explain(proofs.English).Verdict))
	}
	name := "id"
	if e.Entry.Kind == proofs.KindNotice {
		name = "notice.deposit"
	}
	got, _ := e.Record.Get(name)
	if text, _ := got.Text(); text != id || checked.Standing.Deposit != id {
		return sayCertificateOfAnother.refusal()
	}
	return nil
}

func (f *fetchedPaper) print(s *screen) error {
	switch {
	case s.json:
		return s.object(f)
	case f.Status != statusFetched:
		return nil
	}
	return s.line(sayCertificateFetched, f.ID, f.Number, f.Certificate)
}

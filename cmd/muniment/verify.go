package main

import (
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/proofs/mldsa"
	"github.com/muniment/muniment/proofs/sm"
)

type verifyOptions struct {
	lang            proofs.Language
	receipt, policy string
	roots, evidence string
	depositors      []string
	json            bool
}

func verifyCommand(lang proofs.Language) *cobra.Command {
	o := verifyOptions{lang: lang}
	c := &cobra.Command{
		Use:     "verify PATH… --policy POLICY",
		Short:   sayVerifyShort.in(lang),
		Long:    sayVerifyLong.in(lang),
		Example: sayVerifyExample.in(lang),
		Args: func(_ *cobra.Command, paths []string) error {
			switch {
			case len(paths) == 0:
				return sayWhichDocument.err()
			case len(paths) > 1 && o.receipt != "":
				return sayOneReceipt.err()
			case o.evidence != "" && (len(paths) > 1 || o.rootsPath() == ""):
				return sayOneEvidence.err()
			}
			return nil
		},
		RunE: o.run,
	}
	f := c.Flags()
	f.StringVar(&o.receipt, "receipt", "", sayFlagReceipt.in(lang))
	f.StringVar(&o.policy, "policy", "", sayFlagPolicy.in(lang))
	f.StringVar(&o.roots, "tsa-roots", "", sayFlagTSARoots.in(lang))
	f.StringArrayVar(&o.depositors, "depositor-key", nil, sayFlagDepositorKey.in(lang))
	f.StringVar(&o.evidence, "evidence", "", sayFlagEvidence.in(lang))
	f.BoolVar(&o.json, "json", false, sayFlagJSON.in(lang))
	return c
}

func (o *verifyOptions) run(c *cobra.Command, paths []string) error {
	s := newScreen(c, o.lang, o.json)
	policy, err := readPolicy(o.policy)
	if err != nil {
		return err
	}
	trusted, err := authorities(o.rootsPath())
	if err != nil {
		return err
	}
	options := []proofs.Option{mldsa.Plugged(), sm.Plugged()}
	if trusted != nil {
		options = append(options, proofs.WithTimestamps(trusted))
	}
	demanded, err := depositorKeys(o.depositors)
	if err != nil {
		return err
	}
	options = append(options, demanded...)
	if len(paths) == 1 && o.receipt == "" && o.evidence == "" {
		if b, f := bundleAt(paths[0]); b != nil {
			defer f.Close()
			return o.verifyBundle(c.Context(), s, paths[0], b, policy, options, trusted)
		}
		if err := notBundle(paths[0]); err != nil {
			return err
		}
	}
	v := &verification{ctx: c.Context(), screen: s, verifier: proofs.NewVerifier(policy, options...), authorities: trusted}
	info, err := os.Stat(paths[0])
	if err == nil && info.IsDir() && o.receipt == "" || len(paths) > 1 {
		if o.evidence != "" {
			return sayOneEvidence.err()
		}
		return v.many(paths)
	}
	if o.evidence != "" {
		data, err := readBounded(o.evidence, proofs.MaxEvidenceRecord)
		if err != nil {
			return sayEvidenceUnread.err(err)
		}
		// What is no record at all parses to the zero one, which is refused as malformed.
		record, _ := proofs.ParseEvidenceRecord(data)
		v.record = &record
	}
	var r report
	switch {
	case o.receipt != "":
		r, err = v.one(paths[0], o.receipt)
	case err == nil && (loneReceipt(paths[0]) || lonePaper(paths[0])):
		r, err = v.one("", paths[0])
	default:
		r, err = v.one(paths[0], paths[0]+receiptSuffix)
	}
	if refusedEvidence(err) {
		r, err = refusedPaper(paths[0], err, policy.Fingerprint(), o.lang), nil
	}
	if err != nil {
		return err
	}
	if o.json {
		err = s.object(r)
	} else {
		err = r.print(s)
	}
	if code := r.exit(); err == nil && code != 0 {
		return exitError(code)
	}
	return err
}

// rootsPath is where the roots of time-stamp authorities are; empty: none were given.
func (o *verifyOptions) rootsPath() string {
	if o.roots == "" {
		return os.Getenv("MUNIMENT_TSA_ROOTS")
	}
	return o.roots
}

// loneReceipt reports whether path is a receipt, and not a document with a receipt of
// its own.
func loneReceipt(path string) bool {
	if !strings.HasSuffix(path, receiptSuffix) {
		return false
	}
	_, err := os.Stat(path + receiptSuffix)
	return err != nil
}

// one checks a document, unless file is empty, and a receipt, or the certificate that one is
// in.
func (v *verification) one(file, receipt string) (report, error) {
	if isCertificate(receipt) {
		return v.paper(file, receipt)
	}
	data, err := readBounded(receipt, proofs.MaxReceipt)
	if err != nil {
		return report{}, sayReceiptUnreadable.err(err)
	}
	// What is no receipt at all parses to the zero Receipt, which Verify refuses as
	// malformed.
	r, _ := proofs.ParseReceipt(data)
	return v.check(file, receipt, r)
}

func (v *verification) check(file, path string, r proofs.Receipt) (report, error) {
	var document io.Reader
	if file != "" {
		f, err := os.Open(file)
		if err != nil {
			return report{}, sayDocUnreadable.err(err)
		}
		defer f.Close()
		document = interruptible{v.ctx, v.task.reader(f)}
	}
	e, err := v.judge(r, document)
	if err != nil {
		return report{}, sayDocUnreadable.err(err)
	}
	return newReport(e, file, path, v.screen.lang), nil
}

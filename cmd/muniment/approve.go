package main

import (
	"errors"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/proofs/approval"
)

type approveOptions struct {
	lang   proofs.Language
	key    string
	newKey string
	output string
	json   bool
}

func approveCommand(lang proofs.Language) *cobra.Command {
	o := approveOptions{lang: lang}
	c := &cobra.Command{
		Use:     "approve FILE --key KEY",
		Short:   sayApproveShort.in(lang),
		Long:    sayApproveLong.in(lang),
		Example: sayApproveExample.in(lang),
		Args: func(_ *cobra.Command, args []string) error {
			if want := 1; len(args) != want && o.newKey == "" || o.newKey != "" && len(args) > 0 {
				return sayOneRequest.err()
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if o.newKey != "" {
				return o.makeKey(c)
			}
			return o.run(c, args[0])
		},
	}
	f := c.Flags()
	f.StringVar(&o.key, "key", "", sayFlagApproveKey.in(lang))
	f.StringVar(&o.newKey, "new-key", "", sayFlagApproveNew.in(lang))
	f.StringVarP(&o.output, "output", "o", "", sayFlagApproveOutput.in(lang))
	f.BoolVar(&o.json, "json", false, sayFlagJSON.in(lang))
	completes(c, "new-key")
	return c
}

// makeKey makes the key of an approver of that name, in the file --key.
func (o *approveOptions) makeKey(c *cobra.Command) error {
	if o.key == "" {
		return sayWhichApproverFile.err()
	}
	signer, err := approval.NewSigner(o.newKey)
	if err != nil {
		return sayApproverName.err(o.newKey)
	}
	f, err := os.OpenFile(o.key, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(signer.Private() + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	s := newScreen(c, o.lang, o.json)
	if o.json {
		return s.object(map[string]string{"name": signer.Name, "vkey": signer.String()})
	}
	return s.line(sayApproverKey, signer.String())
}

func (o *approveOptions) run(c *cobra.Command, path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	request, note, err := approval.Open(data)
	if err != nil {
		return sayNoRequest.err(path)
	}
	s := newScreen(c, o.lang, o.json)
	if !o.json {
		if err := o.show(s, request, note); err != nil {
			return err
		}
	}
	if time.Now().After(request.Expires) {
		return sayRequestExpired.err(proofs.FormatTime(request.Expires))
	}
	signed := ""
	if o.key != "" {
		if signed, err = o.sign(note, path); err != nil {
			return err
		}
	}
	switch {
	case o.json:
		return s.object(printedRequest(request, signed))
	case signed == "":
		return s.line(sayNotApproved)
	}
	return s.line(saySigned, signed)
}

// sign adds the signature, and says whose it is.
func (o *approveOptions) sign(note proofs.Note, path string) (name string, err error) {
	info, err := os.Stat(o.key)
	if err != nil {
		return "", err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", sayApproverKeyOpen.err(o.key)
	}
	text, err := os.ReadFile(o.key)
	if err != nil {
		return "", err
	}
	signer, err := approval.ParseSigner(string(text))
	if err != nil {
		return "", sayNoApproverKey.err(o.key)
	}
	if note, err = signer.Sign(note); err != nil {
		return "", err
	}
	to := o.output
	if to == "" {
		to = path
	}
	return signer.Name, replace(to, note.Marshal(), true)
}

// show says in plain words what is to be approved.
func (o *approveOptions) show(s *screen, r approval.Request, n proofs.Note) error {
	words, known := sayOperations[r.Operation]
	if !known {
		words = sayOperationUnknown
	}
	err := errors.Join(
		s.line(sayApproveWhat, words.in(o.lang), plain(r.Operation)),
		s.line(sayApproveLog, plain(r.Origin), strconv.FormatUint(r.Size, 10), r.Root.String()),
	)
	for _, p := range r.Parameters {
		err = errors.Join(err, s.line(sayApproveParameter, plain(p.Name), plain(p.Value)))
	}
	err = errors.Join(err, s.line(sayApproveUntil, proofs.FormatTime(r.Expires)))
	for _, signature := range n.Signatures {
		err = errors.Join(err, s.line(sayApproveSigned, plain(signature.Name)))
	}
	return err
}

// printedRequest is a request as JSON; its names are stable.
func printedRequest(r approval.Request, signed string) any {
	parameters := map[string]string{}
	for _, p := range r.Parameters {
		parameters[p.Name] = p.Value
	}
	return struct {
		Operation  string            `json:"operation"`
		Origin     string            `json:"origin"`
		Size       uint64            `json:"size"`
		Root       string            `json:"root"`
		Parameters map[string]string `json:"parameters"`
		Expires    string            `json:"expires"`
		Signed     string            `json:"signed,omitempty"` // whose signature was added
	}{r.Operation, r.Origin, r.Size, r.Root.String(), parameters, proofs.FormatTime(r.Expires), signed}
}

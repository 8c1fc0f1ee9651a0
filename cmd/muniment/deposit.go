package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/client"
)

type depositOptions struct {
	connection
	contract     string
	labels, sets []string
	policy, out  string
	digestOnly   bool
	again, json  bool
}

func depositCommand() *cobra.Command {
	var o depositOptions
	c := &cobra.Command{
		Use:   "deposit FILE… --contract NUMBER",
		Short: "Deposit documents and keep their receipts",
		Long: `Deposit each FILE in the case of a contract, check the receipt that comes back, and
write it to FILE.tlog-proof. Keep it with the document: the two and the
depository's policy are all that a court needs.

Run again, the command deposits nothing twice: it fetches the same entry's receipt.
Receipts among the files are left out.
The receipt of another entry is never overwritten; the new one is then written to
FILE.<id>.tlog-proof.

Exit code 0: every file has its receipt. 1: the depository refused one. 2: anything else.`,
		Example: `  muniment deposit contract.pdf voucher.pdf --contract HT-2026-000117 --policy depository.policy
  muniment deposit contract.pdf --contract HT-2026-000117 --set party.0.name=张三 --set terms.amount=120000.00`,
		Args: func(_ *cobra.Command, files []string) error {
			if len(files) == 0 {
				return errors.New("which files? Name at least one")
			}
			return nil
		},
		RunE: o.run,
	}
	o.flags(c, true)
	f := c.Flags()
	f.StringVar(&o.contract, "contract", "", "contract number, the case's name (required)")
	f.BoolVar(&o.digestOnly, "digest-only", false, "send the SHA-256 only; the document stays here, and must be kept here")
	f.StringArrayVar(&o.labels, "label", nil, "your own label, KEY=VALUE; may be repeated")
	f.StringArrayVar(&o.sets, "set", nil, "another member of the record, NAME=TEXT or NAME:=JSON; may be repeated")
	f.StringVar(&o.policy, "policy", "", "policy file to check receipts by, obtained other than from the server")
	f.StringVar(&o.out, "out", "", "directory for the receipts (default beside each file)")
	f.BoolVar(&o.again, "again", false, "make a new deposit even of what was deposited before")
	f.BoolVar(&o.json, "json", false, "print one JSON object per file")
	c.MarkFlagRequired("contract")
	return c
}

// run checks everything that can be checked here before anything is sent.
func (o *depositOptions) run(c *cobra.Command, files []string) error {
	notes := c.ErrOrStderr()
	server, err := o.client(c, notes)
	if err != nil {
		return err
	}
	said, err := o.members()
	if err != nil {
		return err
	}
	if o.out != "" {
		if err := os.MkdirAll(o.out, 0o777); err != nil {
			return err
		}
	}
	if files = withoutReceipts(files, notes); len(files) == 0 {
		return errors.New("there is nothing to deposit but receipts")
	}
	for _, file := range files {
		if err := checkFile(file); err != nil {
			return err
		}
		if err := writable(receiptPath(file, o.out)); err != nil {
			return fmt.Errorf("no receipt could be written for %s: %w; nothing was sent", file, err)
		}
	}
	if err := o.trust(c.Context(), server, notes); err != nil {
		return err
	}
	return o.deposit(c, server, said, files)
}

// withoutReceipts leaves receipts out, which "deposit *" names when it is run again.
func withoutReceipts(files []string, notes io.Writer) []string {
	var out []string
	for _, file := range files {
		if isReceipt(file) {
			fmt.Fprintf(notes, "Note: %s is a receipt, and is left out.\n", plain(file))
			continue
		}
		out = append(out, file)
	}
	return out
}

// trust gives the client the policy to check receipts by. The server's own tells
// only that the server does not contradict itself.
func (o *depositOptions) trust(ctx context.Context, server *client.Client, notes io.Writer) error {
	var policy proofs.Policy
	var err error
	if o.policy != "" {
		policy, err = readPolicy(o.policy)
	} else if policy, err = server.Policy(ctx); err == nil {
		fmt.Fprintf(notes, `Note: receipts are only held against the policy that the server itself publishes,
fingerprint %s.
That shows them consistent, not who signed them. For that, get the policy by another
channel and give it with --policy.
`, policy.Fingerprint())
	}
	server.Verifier = proofs.NewVerifier(policy)
	return err
}

// deposit deposits file after file. What is wrong with one file does not keep the
// others back; what is wrong with the server does.
func (o *depositOptions) deposit(c *cobra.Command, server *client.Client, said []proofs.Member, files []string) error {
	code := 0
	for i, file := range files {
		d := deposited{File: file}
		err := d.deposit(c.Context(), server, o, said, c.ErrOrStderr())
		if err != nil {
			d.Error = say(err)
			fmt.Fprintf(c.ErrOrStderr(), "muniment: %s: %s\n", plain(file), d.Error)
			code = worse(code, err)
		}
		if err := d.print(c.OutOrStdout(), o.json); err != nil {
			return err
		}
		if left := len(files) - i - 1; err != nil && left > 0 && hopeless(err) {
			fmt.Fprintf(c.ErrOrStderr(), "muniment: %d more not tried\n", left)
			break
		}
	}
	if code != 0 {
		return exitError(code)
	}
	return nil
}

// worse keeps a refusal above any other failure: it is the one that a second run
// does not mend.
func worse(code int, err error) int {
	var p *client.Problem
	if code == exitRefused || errors.As(err, &p) && p.Refused() {
		return exitRefused
	}
	return exitFailure
}

// hopeless reports whether the next file would fare no better.
func hopeless(err error) bool {
	var p *client.Problem
	var path *os.PathError
	switch {
	case errors.As(err, &p):
		return !p.Refused() || p.Status == 401 || p.Status == 403
	case errors.Is(err, client.ErrChanged), errors.As(err, &path), errors.Is(err, client.ErrReceipt), errors.Is(err, proofs.ErrMalformed):
		return false
	}
	return true
}

// members are what the flags say of every file.
func (o *depositOptions) members() ([]proofs.Member, error) {
	out := []proofs.Member{}
	add := func(name string, v proofs.Value, err error) error {
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if _, known := proofs.NameType(name); !known {
			return fmt.Errorf("%q is not the name of a record's member", name)
		}
		out = append(out, proofs.Member{Name: name, Value: v})
		return nil
	}
	if o.contract == "" {
		return nil, errors.New("--contract must not be empty")
	}
	v, err := proofs.Text(o.contract)
	if err := add("contract.number", v, err); err != nil {
		return nil, err
	}
	for _, s := range o.labels {
		key, text, ok := strings.Cut(s, "=")
		if !ok {
			return nil, fmt.Errorf("--label %q is not KEY=VALUE", s)
		}
		v, err := proofs.Text(text)
		if err := add("label."+key, v, err); err != nil {
			return nil, err
		}
	}
	for _, s := range o.sets {
		name, text, ok := strings.Cut(s, "=")
		if !ok {
			return nil, fmt.Errorf("--set %q is not NAME=TEXT or NAME:=JSON", s)
		}
		parse := proofs.Text
		if name, ok = strings.CutSuffix(name, ":"); ok {
			parse = proofs.ParseValue
		}
		if name == "content.sha256" || name == "content.size" || name == "contract.number" {
			return nil, fmt.Errorf("--set %s: it is taken from the file or from --contract", name)
		}
		v, err := parse(text)
		if err := add(name, v, err); err != nil {
			return nil, err
		}
	}
	_, err = proofs.NewRecord(out...)
	return out, err
}

// key is the Idempotency-Key of a deposit: the same for the same document, name,
// case, claims and mode, whenever and wherever the command is run. What is found out
// about the file's type is no part of it, since that may become better one day. The
// record's canonical JSON makes it unambiguous.
func key(said proofs.Record, digestOnly bool) string {
	mode := "document"
	if digestOnly {
		mode = "digest"
	}
	sum := sha256.Sum256([]byte("muniment/deposit-key@v1\n" + mode + "\n" + said.JSON()))
	return hex.EncodeToString(sum[:])
}

// deposited is what became of one file.
type deposited struct {
	File    string  `json:"file"`
	ID      string  `json:"id,omitempty"`
	Index   *uint64 `json:"index,omitempty"`
	Time    string  `json:"time,omitempty"`
	SHA256  string  `json:"sha256,omitempty"`
	Size    *int64  `json:"size,omitempty"`
	Held    *bool   `json:"held,omitempty"`
	Leaf    string  `json:"leaf,omitempty"`
	Receipt string  `json:"receipt,omitempty"` // path
	Policy  string  `json:"policy,omitempty"`  // fingerprint
	Error   string  `json:"error,omitempty"`
	proof   proofs.Receipt
}

func (d *deposited) deposit(ctx context.Context, server *client.Client, o *depositOptions, said []proofs.Member, screen io.Writer) error {
	doc, err := openDocument(ctx, d.File, screen)
	if err != nil {
		return err
	}
	defer doc.Close()
	d.SHA256, d.Size = doc.digest, &doc.size
	request, err := doc.request(said, o.digestOnly)
	if err != nil {
		return err
	}
	if o.again {
		request.Key = rand.Text()
	}
	d.proof, err = server.Deposit(ctx, request)
	doc.bar.clear()
	if err != nil {
		return err
	}
	d.fill(!o.digestOnly)
	d.Receipt, err = keepReceipt(receiptPath(d.File, o.out), d.ID, d.proof)
	return err
}

func (d *deposited) fill(held bool) {
	id, _ := d.proof.Member("id")
	d.ID, _ = id.Text()
	d.Index, d.Held = &d.proof.Index, &held
	d.Time = proofs.FormatTime(d.proof.Entry.Time)
	d.Leaf = d.proof.Entry.LeafHash().String()
}

func (d *deposited) print(out io.Writer, asJSON bool) error {
	if asJSON {
		return printJSON(out, d)
	}
	if d.Error != "" {
		return nil
	}
	how := ""
	if !*d.Held {
		how = "  digest only"
	}
	_, err := fmt.Fprintf(out, "%s  entry %d  %s%s  %s\n", plain(d.File), *d.Index, d.Time, how, plain(d.Receipt))
	return err
}

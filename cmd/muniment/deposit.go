package main

import (
	"crypto/sha256"
	"encoding/hex"
	"os"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/proofs"
)

// Uploads at once, and what may be asked for. Files that a user names go up one after
// another, so that a case has their order.
const (
	manyParallel = 4
	maxParallel  = 64
)

type depositOptions struct {
	connection
	description
	policy, out string
	parallel    int
	digestOnly  bool
	again, json bool
}

func depositCommand(lang proofs.Language) *cobra.Command {
	o := depositOptions{connection: connection{lang: lang}}
	c := &cobra.Command{
		Use:     "deposit PATH… --contract NUMBER",
		Short:   sayDepositShort.in(lang),
		Long:    sayDepositLong.in(lang),
		Example: sayDepositExample.in(lang),
		Args: func(_ *cobra.Command, paths []string) error {
			if len(paths) == 0 {
				return sayWhichFiles.err()
			}
			return nil
		},
		RunE: o.run,
	}
	o.connection.flags(c, true)
	o.description.flags(c, lang)
	f := c.Flags()
	f.BoolVar(&o.digestOnly, "digest-only", false, sayFlagDigestOnly.in(lang))
	f.StringVar(&o.policy, "policy", "", sayFlagReceiptPolicy.in(lang))
	f.StringVar(&o.out, "out", "", sayFlagOut.in(lang))
	f.IntVar(&o.parallel, "parallel", 0, sayFlagParallel.in(lang, manyParallel))
	f.BoolVar(&o.again, "again", false, sayFlagAgain.in(lang))
	f.BoolVar(&o.json, "json", false, sayFlagJSON.in(lang))
	completes(c, "parallel")
	if err := c.MarkFlagDirname("out"); err != nil {
		panic(err)
	}
	return c
}

// run checks everything that can be checked here before anything is sent.
func (o *depositOptions) run(c *cobra.Command, paths []string) error {
	s := newScreen(c, o.lang, o.json)
	server, err := o.client(c, s)
	if err != nil {
		return err
	}
	if o.contract == "" {
		return sayWhichContract.err()
	}
	said, err := o.members()
	if err != nil {
		return err
	}
	if o.parallel < 0 || o.parallel > maxParallel {
		return sayParallelBounds.err(maxParallel)
	}
	if o.out != "" {
		if err := os.MkdirAll(o.out, 0o777); err != nil {
			return err
		}
	}
	g, err := o.gather(c.Context(), paths)
	if err != nil {
		return err
	}
	g.out.mention(s)
	if len(g.files)+len(g.broken) == 0 {
		return sayNothingThere.err()
	}
	if err := o.roomForReceipts(g.files); err != nil {
		return err
	}
	if err := o.believe(c, server, o.policy, s); err != nil {
		return err
	}
	u := upload{options: o, server: server, said: said, screen: s, parallel: o.parallel}
	if u.parallel == 0 {
		u.parallel = 1
		if g.folders {
			u.parallel = manyParallel
		}
	}
	return u.run(c.Context(), g)
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

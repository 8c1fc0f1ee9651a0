package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/client"
)

// logOptions are what the commands about the public log have in common. None of them
// needs an account.
type logOptions struct {
	connection
	policy, out string
	json        bool
}

func logCommand(lang proofs.Language) *cobra.Command {
	c := &cobra.Command{Use: "log", Short: sayLogShort.in(lang), Long: sayLogLong.in(lang)}
	family(c)
	c.AddCommand(checkpointCommand(lang), entryCommand(lang), consistencyCommand(lang), factsCommand(lang))
	return c
}

func (o *logOptions) flags(c *cobra.Command) {
	o.connection.flags(c, false)
	c.Flags().StringVar(&o.policy, "policy", "", sayFlagLogPolicy.in(o.lang))
	c.Flags().BoolVar(&o.json, "json", false, sayFlagJSON.in(o.lang))
}

// open returns the depository and a verifier for what it says.
func (o *logOptions) open(c *cobra.Command) (*screen, *client.Client, *trusted, error) {
	s := newScreen(c, o.lang, o.json)
	server, err := o.client(c, s)
	if err != nil {
		return nil, nil, nil, err
	}
	v, err := o.trust(c, server, o.policy, s)
	return s, server, v, err
}

// A head is a checkpoint that satisfies a policy, and where it came from.
type head struct {
	name string // file or server
	note []byte
	proofs.Checkpoint
}

// judge checks a checkpoint's signatures.
func judge(v *trusted, name string, note []byte) (head, error) {
	cp, outcome, reason := v.Checkpoint(note)
	switch outcome {
	case proofs.Verified:
		return head{name, note, cp}, nil
	case proofs.Undecided:
		return head{}, sayCheckpointFails.err(name, checkpointReasons[reason])
	}
	return head{}, sayCheckpointFails.refusal(name, checkpointReasons[reason])
}

// newest is the depository's newest checkpoint.
func newest(ctx context.Context, server *client.Client, v *trusted) (head, error) {
	note, err := server.Checkpoint(ctx)
	if err != nil {
		return head{}, err
	}
	return judge(v, server.Server, note)
}

// readHead reads a checkpoint from a file: a signed note, or a receipt that has one.
func readHead(v *trusted, path string) (head, error) {
	if err := checkFile(path); err != nil {
		return head{}, err
	}
	data, err := readBounded(path, proofs.MaxReceipt)
	if err != nil {
		return head{}, err
	}
	if r, err := proofs.ParseReceipt(data); err == nil {
		data = r.Checkpoint
	}
	return judge(v, path, data)
}

// warn says of what a log is worth, before anything else.
func (h head) warn(s *screen) error {
	if env, err := proofs.ParseOrigin(h.Origin); err != nil || env == proofs.Prod || s.json {
		return err
	}
	return s.prose(sayTestLog, h.Origin)
}

// refusing ends a command with the exit code that an error stands for.
func refusing(s *screen, err error) error {
	if !refusedEvidence(err) {
		return err
	}
	s.aside("muniment: " + explain(err, s.lang))
	return exitError(exitRefused)
}

package main

import (
	"context"
	"errors"
	"io/fs"
	"strconv"
	"time"

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
	c.AddCommand(checkpointCommand(lang), entryCommand(lang), consistencyCommand(lang))
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

// printedCheckpoint is a checkpoint as JSON shows it; its names are stable.
type printedCheckpoint struct {
	Origin  string `json:"origin"`
	Size    uint64 `json:"size"`
	Root    string `json:"root"`
	Fetched string `json:"fetched"` // when this machine's clock says it came
	Policy  string `json:"policy"`  // fingerprint
	File    string `json:"file,omitempty"`
}

func checkpointCommand(lang proofs.Language) *cobra.Command {
	o := logOptions{connection: connection{lang: lang}}
	c := &cobra.Command{
		Use:               "checkpoint",
		Short:             sayCheckpointShort.in(lang),
		Long:              sayCheckpointLong.in(lang),
		Args:              nothing,
		ValidArgsFunction: noFiles,
		RunE:              func(c *cobra.Command, _ []string) error { return o.checkpoint(c) },
	}
	o.flags(c)
	c.Flags().StringVar(&o.out, "out", "", sayFlagCheckpointOut.in(lang))
	return c
}

func (o *logOptions) checkpoint(c *cobra.Command) error {
	s, server, v, err := o.open(c)
	if err != nil {
		return err
	}
	h, err := newest(c.Context(), server, v)
	if err != nil {
		return refusing(s, err)
	}
	at := time.Now()
	if o.out != "" {
		if err := keepNote(o.out, h.note); err != nil {
			return err
		}
	}
	if s.json {
		return s.object(printedCheckpoint{h.Origin, h.Size, h.Root.String(), proofs.FormatTime(at), v.Fingerprint, o.out})
	}
	if err := h.warn(s); err != nil {
		return err
	}
	rows := []fact{
		{headLog, h.Origin},
		{headLogSize, strconv.FormatUint(h.Size, 10)},
		{headRoot, h.Root.String()},
		{headFetched, proofs.FormatTime(at)},
		{headPolicy, v.Fingerprint},
	}
	if o.out != "" {
		rows = append(rows, fact{headSaved, o.out})
	}
	return s.facts(rows)
}

// keepNote writes a note to a new file, and never over another: an older checkpoint may
// be worth more than a newer one.
func keepNote(path string, note []byte) error {
	err := replace(path, note, false)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	if there, err := readBounded(path, int64(len(note))); err == nil && string(there) == string(note) {
		return nil
	}
	return sayNoteThere.err(path)
}

// refusing ends a command with the exit code that an error stands for.
func refusing(s *screen, err error) error {
	if !refusedEvidence(err) {
		return err
	}
	s.aside("muniment: " + explain(err, s.lang))
	return exitError(exitRefused)
}

// printedEntry is an entry as JSON shows it; its names are stable.
type printedEntry struct {
	Index  uint64   `json:"index"`
	Entry  string   `json:"entry"`
	Leaf   string   `json:"leaf"`
	Path   []string `json:"path"` // the inclusion proof, from the leaf's sibling up
	Origin string   `json:"origin"`
	Size   uint64   `json:"size"`
	Root   string   `json:"root"`
	Policy string   `json:"policy"` // fingerprint
}

func entryCommand(lang proofs.Language) *cobra.Command {
	o := logOptions{connection: connection{lang: lang}}
	c := &cobra.Command{
		Use:   "entry INDEX",
		Short: sayEntryShort.in(lang),
		Long:  sayEntryLong.in(lang),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return sayWhichEntry.err()
			}
			return nil
		},
		ValidArgsFunction: noFiles,
		RunE:              func(c *cobra.Command, args []string) error { return o.entry(c, args[0]) },
	}
	o.flags(c)
	return c
}

func (o *logOptions) entry(c *cobra.Command, arg string) error {
	index, err := strconv.ParseUint(arg, 10, 63)
	if err != nil {
		return sayNotIndex.err(arg)
	}
	s, server, v, err := o.open(c)
	if err != nil {
		return err
	}
	h, err := newest(c.Context(), server, v)
	if err != nil {
		return refusing(s, err)
	}
	cp := h.Checkpoint
	if index >= cp.Size {
		return sayNoEntry.err(index, cp.Size, max(cp.Size, 1)-1)
	}
	entry, err := server.Entry(c.Context(), index, cp.Size)
	if err != nil {
		return err
	}
	path, err := proofs.InclusionProof(index, cp.Size, server.Tiles(c.Context()))
	if err != nil {
		return err
	}
	leaf := entry.LeafHash()
	if proofs.VerifyInclusion(path, index, cp.Size, leaf, cp.Root) != nil {
		return refusing(s, sayEntryUnproven.refusal(index, cp.Size))
	}
	if s.json {
		out := printedEntry{index, entry.String(), leaf.String(), []string{}, cp.Origin, cp.Size, cp.Root.String(), v.Fingerprint}
		for _, p := range path {
			out.Path = append(out.Path, p.String())
		}
		return s.object(out)
	}
	if err := h.warn(s); err != nil {
		return err
	}
	if err := s.bytes([]byte(entry.String())); err != nil {
		return err
	}
	return s.prose(sayEntryProven, index, cp.Origin, cp.Size)
}

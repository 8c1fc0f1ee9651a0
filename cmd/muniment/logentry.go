package main

import (
	"strconv"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/proofs"
)

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

package main

import (
	"errors"
	"io/fs"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/proofs"
)

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

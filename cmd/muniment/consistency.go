package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/proofs"
)

func consistencyCommand(lang proofs.Language) *cobra.Command {
	o := logOptions{connection: connection{lang: lang}}
	c := &cobra.Command{
		Use:     "consistency OLD [NEW]",
		Short:   sayConsistencyShort.in(lang),
		Long:    sayConsistencyLong.in(lang),
		Example: sayConsistencyExample.in(lang),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 && len(args) != 2 {
				return sayWhichCheckpoints.err()
			}
			return nil
		},
		RunE: o.consistency,
	}
	o.flags(c)
	c.Flags().StringVar(&o.out, "out", ".", sayFlagForkOut.in(lang))
	if err := c.MarkFlagDirname("out"); err != nil {
		panic(err)
	}
	return c
}

// compared is what two checkpoints came to. As JSON its names are stable.
type compared struct {
	Outcome string   `json:"outcome"` // consistent or fork
	Origin  string   `json:"origin"`
	Old     uint64   `json:"old"` // sizes
	New     uint64   `json:"new"`
	OldRoot string   `json:"old_root"`
	NewRoot string   `json:"new_root"`
	Policy  string   `json:"policy"` // fingerprint
	Proof   []string `json:"proof"`  // RFC 6962 consistency proof
	// Prefix is the root that the newer tree has at the older size, where it is another.
	Prefix string   `json:"prefix_root,omitempty"`
	Files  []string `json:"files,omitempty"`
}

func (o *logOptions) consistency(c *cobra.Command, args []string) error {
	s, server, v, err := o.open(c)
	if err != nil {
		return err
	}
	before, err := readHead(v, args[0])
	if err != nil {
		return refusing(s, err)
	}
	var after head
	if len(args) == 2 {
		after, err = readHead(v, args[1])
	} else {
		after, err = newest(c.Context(), server, v)
	}
	if err != nil {
		return refusing(s, err)
	}
	if before.Origin != after.Origin {
		return sayTwoLogs.err(before.Origin, after.Origin)
	}
	if before.Size > after.Size {
		if len(args) == 1 {
			return sayServerBehind.err(after.Size, before.name, before.Size)
		}
		before, after = after, before
	}
	found, err := compare(server.Tiles(c.Context()), before, after)
	if err != nil {
		return err
	}
	found.Policy = v.Fingerprint
	return o.conclude(s, before, after, found)
}

// compare finds out whether the older checkpoint's tree is the beginning of the newer
// one's. What the newer one's tiles say counts only where it leads to the newer root,
// which is signed: tiles that do not are the fault of who serves them, and no proof of
// anything.
func compare(tiles proofs.TileReader, before, after head) (compared, error) {
	a, b := before.Checkpoint, after.Checkpoint
	out := compared{
		Outcome: "consistent", Origin: a.Origin, Old: a.Size, New: b.Size,
		OldRoot: a.Root.String(), NewRoot: b.Root.String(), Proof: []string{},
	}
	if a.Size == b.Size {
		if a.Root != b.Root {
			out.Outcome = "fork"
		}
		return out, nil
	}
	proof, err := proofs.ConsistencyProof(a.Size, b.Size, tiles)
	if err != nil {
		return out, err
	}
	root, err := proofs.RootAt(a.Size, tiles)
	if err != nil {
		return out, err
	}
	if proofs.VerifyConsistency(proof, a.Size, b.Size, root, b.Root) != nil {
		return out, sayTilesWrong.err(b.Size)
	}
	for _, h := range proof {
		out.Proof = append(out.Proof, h.String())
	}
	if root != a.Root {
		out.Outcome, out.Prefix = "fork", root.String()
	}
	return out, nil
}

// conclude says what was found. Of a fork, both notes are kept: together they show that
// the log's key signed two histories, to anyone and without anybody's word.
func (o *logOptions) conclude(s *screen, before, after head, found compared) error {
	if found.Outcome == "fork" {
		var err error
		if found.Files, err = keepFork(o.out, before, after, found); err != nil {
			return err
		}
	}
	switch {
	case s.json:
		if err := s.object(found); err != nil {
			return err
		}
	case found.Outcome == "fork":
		if err := s.prose(sayFork, found.Origin, found.Old, found.New); err != nil {
			return err
		}
		for _, path := range found.Files {
			if err := s.text("  " + plain(path)); err != nil {
				return err
			}
		}
		if err := s.prose(sayForkAdvice); err != nil {
			return err
		}
	default:
		if err := before.warn(s); err != nil {
			return err
		}
		if err := s.prose(sayConsistent, found.Old, found.New, found.Origin); err != nil {
			return err
		}
	}
	if found.Outcome == "fork" {
		return exitError(exitRefused)
	}
	return nil
}

// keepFork writes two notes that contradict each other into a folder, and the proof that
// ties the sizes together where they differ.
func keepFork(dir string, before, after head, found compared) ([]string, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	var out []string
	keep := func(name string, data []byte) error {
		path := filepath.Join(dir, name)
		out = append(out, path)
		return keepNote(path, data)
	}
	for _, h := range []head{before, after} {
		sum := sha256.Sum256(h.note)
		if err := keep(fmt.Sprintf("fork-%d-%s.checkpoint", h.Size, hex.EncodeToString(sum[:4])), h.note); err != nil {
			return out, err
		}
	}
	if found.Old == found.New {
		return out, nil
	}
	text := fmt.Sprintf("%s\n%d %d\n%s\n", found.Origin, found.Old, found.New, found.Prefix)
	for _, h := range found.Proof {
		text += h + "\n"
	}
	return out, keep(fmt.Sprintf("fork-%d-%d.consistency", found.Old, found.New), []byte(text))
}

package witness

import (
	"bytes"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/proofs/mldsa"
)

// Bounds of an add-checkpoint request. A note with sixteen ML-DSA-44 cosignatures fits.
const (
	maxRequest    = 128 << 10
	maxProofLines = 63
)

// A request is the body of add-checkpoint, read but not judged.
type request struct {
	old   uint64 // size of the checkpoint that the log takes for our newest
	proof []proofs.Hash
	note  proofs.Note
	proofs.Checkpoint
}

var errRequest = errors.New("malformed request: C2SP tlog-witness has an old line, proof lines, an empty line and a checkpoint")

// parseRequest reads the body of add-checkpoint (C2SP tlog-witness). Every error is a 400.
func parseRequest(body []byte) (*request, error) {
	head, note, ok := bytes.Cut(body, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	old, ok2 := strings.CutPrefix(lines[0], "old ")
	if !ok || !ok2 || len(lines) > 1+maxProofLines {
		return nil, errRequest
	}
	r := &request{}
	var err error
	if r.old, err = parseSize(old); err != nil {
		return nil, err
	}
	for _, line := range lines[1:] {
		h, err := proofs.ParseHash(line)
		if err != nil {
			return nil, errRequest
		}
		r.proof = append(r.proof, h)
	}
	if r.note, err = proofs.ParseNote(note); err != nil {
		return nil, errRequest
	}
	if r.Checkpoint, err = parseCheckpoint(r.note.Text); err != nil {
		return nil, err
	}
	return r, nil
}

// parseCheckpoint reads the text of a checkpoint (C2SP tlog-checkpoint). Other than
// Muniment's own, it may have extension lines, and a root that no tree of its size has.
func parseCheckpoint(text string) (proofs.Checkpoint, error) {
	lines := strings.Split(text, "\n")
	// The last one is what follows the final newline: nothing.
	if len(lines) < 4 || slices.Index(lines, "") != len(lines)-1 {
		return proofs.Checkpoint{}, errRequest
	}
	size, err := parseSize(lines[1])
	if err != nil {
		return proofs.Checkpoint{}, err
	}
	root, err := proofs.ParseHash(lines[2])
	if err != nil {
		return proofs.Checkpoint{}, errRequest
	}
	return proofs.Checkpoint{Origin: lines[0], Size: size, Root: root}, nil
}

// parseSize reads a decimal below 2^63 that formats back to itself.
func parseSize(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil || strconv.FormatUint(n, 10) != s {
		return 0, errRequest
	}
	return n, nil
}

// signedBy finds the signature that k made on the checkpoint. present: there is one by
// k's name and id; valid: and it verifies.
func (r *request) signedBy(k proofs.VerifierKey) (s proofs.Signature, present, valid bool) {
	i := slices.IndexFunc(r.note.Signatures, func(s proofs.Signature) bool { return s.Name == k.Name && s.KeyID == k.ID })
	if i < 0 {
		return proofs.Signature{}, false, false
	}
	s = r.note.Signatures[i]
	if k.Type == proofs.TypeMLDSA44Cosigner {
		_, valid = mldsa.Verify(k, r.Checkpoint, s.Bytes)
	} else {
		_, valid = k.Verify(r.note.Text, s)
	}
	return s, true, valid
}

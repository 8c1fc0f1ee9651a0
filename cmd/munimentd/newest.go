package main

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/storage/dir"
)

// A known state of the log is what someone outside a backup says it had grown to.
type known struct {
	file       string
	checkpoint proofs.Checkpoint
}

// readKnown reads the state of the log that a file shows: a receipt or a checkpoint's
// note, which the log must have signed, an anchor, or the body of one. An anchor has no
// signature; it is believed to be of whoever gives it.
func readKnown(path string, key proofs.VerifierKey) (known, error) {
	cp, err := readState(path, key)
	if err == nil && cp.Origin != key.Name {
		err = fmt.Errorf("it is of the log %s, the backup of %s", cp.Origin, key.Name)
	}
	if err != nil {
		return known{}, fmt.Errorf("%s: %w", path, err)
	}
	return known{path, cp}, nil
}

var errNoState = errors.New("it is no receipt, checkpoint or anchor")

func readState(path string, key proofs.VerifierKey) (proofs.Checkpoint, error) {
	f, err := os.Open(path)
	if err != nil {
		return proofs.Checkpoint{}, errors.Unwrap(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, proofs.MaxReceipt+1))
	if err != nil {
		return proofs.Checkpoint{}, errors.Unwrap(err)
	}
	if body, err := dir.ReadAnchor(path); err == nil {
		return proofs.ParseCheckpoint(string(body))
	}
	if cp, err := proofs.ParseCheckpoint(string(data)); err == nil {
		return cp, nil
	}
	if r, err := proofs.ParseReceipt(data); err == nil {
		data = r.Checkpoint
	}
	note, err := proofs.ParseNote(data)
	if err != nil {
		return proofs.Checkpoint{}, errNoState
	}
	cp, err := proofs.ParseCheckpoint(note.Text)
	if err != nil {
		return proofs.Checkpoint{}, errNoState
	}
	if cp.Origin == key.Name && !signedBy(key, note) {
		return proofs.Checkpoint{}, fmt.Errorf("the log's key %s did not sign it; if the key was rotated after the backup was taken, show an anchor instead, or the checkpoint's three lines alone", key)
	}
	return cp, nil
}

// signedBy reports whether the log signed a note. Whether witnesses did is no matter
// here: what the log signed once must be in it for ever.
func signedBy(key proofs.VerifierKey, note proofs.Note) bool {
	for _, s := range note.Signatures {
		if s.Name == key.Name && s.KeyID == key.ID {
			return len(key.Key) == ed25519.PublicKeySize && ed25519.Verify([]byte(key.Key), []byte(note.Text), s.Bytes)
		}
	}
	return false
}

// newestOf returns the newest of several states, which must not contradict each other.
func newestOf(list []known) (known, error) {
	var newest known
	for _, k := range list {
		for _, other := range list {
			if k.checkpoint.Size == other.checkpoint.Size && k.checkpoint.Root != other.checkpoint.Root {
				return known{}, fmt.Errorf("%s and %s show two logs of %d entries with one name: it has forked", k.file, other.file, k.checkpoint.Size)
			}
		}
		if newest.file == "" || k.checkpoint.Size > newest.checkpoint.Size {
			newest = k
		}
	}
	return newest, nil
}

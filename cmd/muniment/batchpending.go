package main

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/service/client"
)

// begin finds out whether this run makes new deposits of lines that were deposited
// before. That needs a folder of its own, which knows them by their receipts.
func (b *batch) begin(again bool) error {
	path := filepath.Join(b.folder, againFile)
	data, err := readBounded(path, 64)
	switch {
	case err == nil:
		b.nonce = string(data)
		return nil
	case !errors.Is(err, fs.ErrNotExist) || !again:
		return ignoring(err, fs.ErrNotExist)
	}
	entries, err := os.ReadDir(b.folder)
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		return sayAgainFolder.err(b.folder)
	}
	b.nonce = rand.Text()
	return replace(path, []byte(b.nonce), false)
}

func ignoring(err, expected error) error {
	if errors.Is(err, expected) {
		return nil
	}
	return err
}

// forget ends a batch: all its receipts are there, or there never will be any.
func (b *batch) forget() error {
	return ignoring(os.Remove(filepath.Join(b.folder, pendingFile)), fs.ErrNotExist)
}

// readPending reads the batch that was interrupted, if one was.
func (b *batch) readPending() (*client.Batch, error) {
	path := filepath.Join(b.folder, pendingFile)
	f, err := os.Open(path)
	if err != nil {
		return nil, ignoring(err, fs.ErrNotExist)
	}
	defer f.Close()
	out := &client.Batch{}
	in := bufio.NewScanner(f)
	in.Buffer(nil, maxBatchLine+1)
	for in.Scan() {
		if out.Key == "" {
			out.Key = in.Text()
			continue
		}
		claims, err := proofs.ParseMembers(in.Text())
		if err != nil {
			return nil, sayPendingDamaged.err(path, err)
		}
		out.Lines = append(out.Lines, claims)
	}
	err = in.Err()
	if err == nil && (len(out.Lines) == 0 || len(out.Lines) > maxBatchLines) {
		err = proofs.ErrMalformed
	}
	if err != nil {
		return nil, sayPendingDamaged.err(path, err)
	}
	return out, nil
}

func (b *batch) writePending(next client.Batch) error {
	var data bytes.Buffer
	data.WriteString(next.Key + "\n")
	for _, claims := range next.Lines {
		data.WriteString(claims.JSON() + "\n")
	}
	return replace(filepath.Join(b.folder, pendingFile), data.Bytes(), true)
}

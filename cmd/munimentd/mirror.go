package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
)

// mirror is a copy of the public log in the layout of C2SP tlog-tiles, in a folder or
// behind a URL. Of it only entry bundles are read; what they say is proved by the root.
type mirror struct {
	where  string
	get    func(ctx context.Context, path string) ([]byte, error) // ErrNotFound where there is none
	index  uint64                                                 // of the bundle in hand
	bundle [][]byte
}

const (
	// maxBundle bounds an entry bundle: 256 entries of 64 KiB.
	maxBundle    = proofs.TileWidth * (64<<10 + 2)
	mirrorWithin = 30 * time.Second // one request
	mirrorTries  = 5
)

func openMirror(at string) (*mirror, error) {
	if u, err := url.Parse(at); err == nil && (u.Scheme == "http" || u.Scheme == "https") {
		base := strings.TrimRight(at, "/")
		return &mirror{where: "the mirror " + u.Host, get: func(ctx context.Context, path string) ([]byte, error) {
			return fetchBundle(ctx, base+"/"+path)
		}}, nil
	}
	info, err := os.Stat(filepath.Join(at, "tile", "entries"))
	if err != nil || !info.IsDir() {
		return nil, fmt.Errorf("--mirror %s: it is no URL, and there is no folder tile/entries in it", at)
	}
	return &mirror{where: "the mirror " + at, get: func(_ context.Context, path string) ([]byte, error) {
		return readBundle(filepath.Join(at, filepath.FromSlash(path)))
	}}, nil
}

func (m *mirror) String() string { return m.where }

// Entry implements notary.EntrySource.
func (m *mirror) Entry(ctx context.Context, index uint64) ([]byte, error) {
	at, within := index/proofs.TileWidth, index%proofs.TileWidth
	if m.bundle == nil || m.index != at {
		if err := m.open(ctx, at); err != nil {
			return nil, err
		}
	}
	if within >= uint64(len(m.bundle)) {
		return nil, notary.ErrNotFound
	}
	return m.bundle[within], nil
}

// open reads a whole bundle, or else the widest part of it.
func (m *mirror) open(ctx context.Context, index uint64) error {
	m.index, m.bundle = index, [][]byte{}
	path := bundlePath(index)
	for width := proofs.TileWidth; width > 0; width-- {
		name := path
		if width < proofs.TileWidth {
			name = path + ".p/" + strconv.Itoa(width)
		}
		data, err := m.get(ctx, name)
		if errors.Is(err, notary.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		m.bundle, err = parseBundle(data)
		return err
	}
	return nil
}

func bundlePath(index uint64) string {
	path := fmt.Sprintf("%03d", index%1000)
	for index /= 1000; index > 0; index /= 1000 {
		path = fmt.Sprintf("x%03d/", index%1000) + path
	}
	return "tile/entries/" + path
}

func parseBundle(data []byte) ([][]byte, error) {
	all := [][]byte{}
	for len(data) > 0 {
		if len(data) < 2 || len(data)-2 < int(binary.BigEndian.Uint16(data)) || len(all) == proofs.TileWidth {
			return nil, errors.New("an entry bundle breaks off")
		}
		n := int(binary.BigEndian.Uint16(data))
		all, data = append(all, data[2:2+n]), data[2+n:]
	}
	return all, nil
}

func readBundle(path string) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, notary.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return nil, notary.ErrNotFound
	}
	return limited(f)
}

// fetchBundle asks a server, and again if it does not answer well.
func fetchBundle(ctx context.Context, address string) (data []byte, err error) {
	for try := range mirrorTries {
		if try > 0 {
			select {
			case <-time.After(time.Duration(try) * time.Second):
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		if data, err = fetchOnce(ctx, address); err == nil || errors.Is(err, notary.ErrNotFound) || ctx.Err() != nil {
			return data, err
		}
	}
	return nil, err
}

func fetchOnce(ctx context.Context, address string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, mirrorWithin)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusGone:
		return nil, notary.ErrNotFound
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("it answers %d", resp.StatusCode)
	}
	return limited(resp.Body)
}

func limited(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxBundle+1))
	if err == nil && len(data) > maxBundle {
		err = errors.New("an entry bundle is larger than any can be")
	}
	return data, err
}

// receiptEntries are the entries of receipts that verify under the policy, and the states
// of the log that they show.
type receiptEntries struct {
	where   string
	entries map[uint64][]byte
	newest  []proofs.Checkpoint // one at most
}

// maxReceipts bounds what is read of a folder.
const maxReceipts = 10_000_000

func readReceipts(ctx context.Context, path string, policy proofs.Policy) (*receiptEntries, error) {
	r := &receiptEntries{where: "the receipts in " + path, entries: map[uint64][]byte{}}
	verifier := proofs.NewVerifier(policy)
	err := filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if d.IsDir() || name != path && filepath.Ext(name) != ".tlog-proof" {
			return nil
		}
		if len(r.entries) == maxReceipts {
			return fmt.Errorf("%s holds more than %d receipts", path, maxReceipts)
		}
		return r.read(name, verifier)
	})
	return r, err
}

// read takes one receipt. One that does not verify is nothing to rebuild from.
func (r *receiptEntries) read(name string, verifier *proofs.Verifier) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, proofs.MaxReceipt+1))
	if err != nil {
		return err
	}
	receipt, err := proofs.ParseReceipt(data)
	if err != nil {
		return fmt.Errorf("%s is no receipt: %w", name, err)
	}
	e, err := verifier.Verify(receipt, nil)
	if err != nil {
		return err
	}
	if e.Outcome() != proofs.Verified {
		return fmt.Errorf("%s does not verify under this policy: %s; leave it out", name, e.Reason)
	}
	r.entries[e.Index] = []byte(receipt.Entry.String())
	if cp := (proofs.Checkpoint{Origin: e.Origin, Size: e.Size, Root: e.Root}); len(r.newest) == 0 || cp.Size > r.newest[0].Size {
		r.newest = []proofs.Checkpoint{cp}
	}
	return nil
}

func (r *receiptEntries) String() string { return r.where }

// Entry implements notary.EntrySource.
func (r *receiptEntries) Entry(_ context.Context, index uint64) ([]byte, error) {
	entry, ok := r.entries[index]
	if !ok {
		return nil, notary.ErrNotFound
	}
	return entry, nil
}

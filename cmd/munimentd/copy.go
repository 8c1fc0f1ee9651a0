package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"sync"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/storage/dir"
)

// copyFile copies a file to a new one of mode 0600, its bytes durable on return, and
// returns their count and hash. Both ends stay open for it alone.
func copyFile(ctx context.Context, from, to string) (int64, string, error) {
	in, err := os.Open(from)
	if err != nil {
		return 0, "", err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, "", err
	}
	h := sha256.New()
	n, err := copyUntil(ctx, io.MultiWriter(out, h), in)
	if err == nil {
		err = out.Sync()
	}
	return n, sum(h), errors.Join(err, out.Close())
}

// hashFile returns a file's size and hash.
func hashFile(ctx context.Context, path string) (int64, string, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, "", err
	}
	defer f.Close()
	h := sha256.New()
	n, err := copyUntil(ctx, h, f)
	return n, sum(h), err
}

func sum(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }

// copyUntil copies until the end of r, or of ctx.
func copyUntil(ctx context.Context, w io.Writer, r io.Reader) (int64, error) {
	return io.CopyBuffer(struct{ io.Writer }{w}, contextReader{ctx, r}, make([]byte, 256<<10))
}

type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// copiers is how many documents are copied side by side: their fsyncs share the disk's
// journal.
const copiers = 8

// documentCopy brings every document that a ledger knows from one place to another.
type documentCopy struct {
	from dir.Reader
	to   notary.Blobs
	// forgive says whether a document may be missing in both places.
	forgive func(name string) bool
	// room refuses a copy of that many bytes.
	room func(bytes int64) error

	mu     sync.Mutex
	all    tally
	copied tally    // of those, the ones that were not there yet
	kept   uint64   // of those, the ones that only the second place has
	lost   []string // names of those that neither has, and that were forgiven
	err    error
}

// maxLost bounds the documents that are named as missing: beyond, something else is
// wrong than a document.
const maxLost = 1000

// run copies. It ends with the first error.
func (c *documentCopy) run(ctx context.Context, l notary.Ledger, key func(notary.ID) (notary.TenantKey, error), progress func(done, total uint64)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	names := make(chan string)
	var workers sync.WaitGroup
	for range copiers {
		workers.Go(func() {
			for name := range names {
				if err := c.one(ctx, name); err != nil {
					c.fail(err)
					cancel()
				}
			}
		})
	}
	err := notary.HeldDocuments(ctx, l, key, progress, func(_ uint64, name string) error {
		select {
		case names <- name:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	close(names)
	workers.Wait()
	if c.err != nil {
		return c.err
	}
	return err
}

func (c *documentCopy) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
	}
}

// one copies one document, unless one of that name and size is there: documents never
// change.
func (c *documentCopy) one(ctx context.Context, name string) error {
	path, err := c.from.Path(name)
	if err != nil {
		return err
	}
	in, err := c.from.Open(ctx, name)
	if errors.Is(err, notary.ErrNotFound) {
		return c.missing(ctx, name, path)
	}
	if err != nil {
		return err
	}
	defer in.Close()
	there, err := c.to.Open(ctx, name)
	if err == nil {
		defer there.Close()
		if there.Size() != in.Size() {
			return fmt.Errorf("the copy of %s has %d bytes, not %d: it is damaged; delete it and begin again", path, there.Size(), in.Size())
		}
		c.count(in.Size(), false)
		return nil
	}
	if !errors.Is(err, notary.ErrNotFound) {
		return err
	}
	if err := c.room(in.Size()); err != nil {
		return err
	}
	if _, err := c.to.Put(ctx, name, io.NewSectionReader(in, 0, in.Size())); err != nil {
		return fmt.Errorf("copying %s: %w", path, err)
	}
	c.count(in.Size(), true)
	return nil
}

// missing judges a document that is not there to be copied: an earlier copy will do.
func (c *documentCopy) missing(ctx context.Context, name, path string) error {
	there, err := c.to.Open(ctx, name)
	if err == nil {
		defer there.Close()
		c.count(there.Size(), false)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.kept++
		return nil
	}
	if !errors.Is(err, notary.ErrNotFound) {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.forgive(name) || len(c.lost) == maxLost {
		return fmt.Errorf("the document %s is missing", path)
	}
	c.lost = append(c.lost, name)
	return nil
}

func (c *documentCopy) count(size int64, fresh bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all.add(size)
	if fresh {
		c.copied.add(size)
	}
}

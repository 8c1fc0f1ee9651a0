package notarytest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/muniment/muniment/notary"
)

// Blobs is a notary.Blobs in memory.
type Blobs struct {
	Faults *Faults

	now func() time.Time

	mu      sync.Mutex // never held while a caller's code runs
	objects map[string]Object
}

// Object is one stored object.
type Object struct {
	Content  []byte
	Stored   time.Time
	Retained time.Time // since when, as Retain was asked; zero: it was not
	Held     bool      // by Hold
	Until    time.Time // at least, as Retain was asked; zero: it was not
}

// NewBlobs returns an empty store with that clock; nil is time.Now.
func NewBlobs(now func() time.Time) *Blobs {
	if now == nil {
		now = time.Now
	}
	return &Blobs{
		Faults:  &Faults{names: []string{"Put", "Probe", "Open", "ReadAt", "List", "Delete", "Hold", "Retain"}},
		now:     now,
		objects: map[string]Object{},
	}
}

func cloneObjects(objects map[string]Object) map[string]Object {
	c := make(map[string]Object, len(objects))
	for name, o := range objects {
		o.Content = bytes.Clone(o.Content)
		c[name] = o
	}
	return c
}

// Snapshot returns a copy of all objects by their names: a backup.
func (b *Blobs) Snapshot() map[string]Object {
	b.mu.Lock()
	defer b.mu.Unlock()
	return cloneObjects(b.objects)
}

// Restore puts a copy of objects in the place of all that is stored.
func (b *Blobs) Restore(objects map[string]Object) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.objects = cloneObjects(objects)
}

// Corrupt lets f change what is stored, in place. Objects that are open keep the
// content they were opened with.
func (b *Blobs) Corrupt(f func(objects map[string]Object)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f(b.objects)
}

// checkName refuses any name that is not <tenant>/<id> as notary.ErrNotFound.
func checkName(name string) error {
	tenant, id, ok := strings.Cut(name, "/")
	_, tenantErr := notary.ParseID(tenant)
	_, idErr := notary.ParseID(id)
	if !ok || tenantErr != nil || idErr != nil {
		return fmt.Errorf("not a name <tenant>/<id>: %w", notary.ErrNotFound)
	}
	return nil
}

// Put implements notary.Blobs. It reads r to its end, and then meets its fault.
func (b *Blobs) Put(ctx context.Context, name string, r io.Reader) (int64, error) {
	if err := errors.Join(checkName(name), ctx.Err()); err != nil {
		return 0, err
	}
	content, err := io.ReadAll(contextReader{ctx, r})
	if err != nil {
		return 0, err
	}
	err = b.Faults.call(ctx, "Put", func() error {
		b.mu.Lock()
		defer b.mu.Unlock()
		if _, taken := b.objects[name]; taken {
			return notary.ErrExists
		}
		b.objects[name] = Object{Content: content, Stored: b.now()}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return int64(len(content)), nil
}

// contextReader ends with its context.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if ctxErr := r.ctx.Err(); ctxErr != nil {
		return 0, ctxErr
	}
	return n, err
}

// Probe implements notary.Blobs.
func (b *Blobs) Probe(ctx context.Context) error {
	return b.Faults.call(ctx, "Probe", func() error { return nil })
}

// Open implements notary.Blobs.
func (b *Blobs) Open(ctx context.Context, name string) (notary.Blob, error) {
	var opened *blob
	err := b.Faults.call(ctx, "Open", func() error {
		if err := checkName(name); err != nil {
			return err
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		o, ok := b.objects[name]
		if !ok {
			return notary.ErrNotFound
		}
		opened = &blob{faults: b.Faults, content: bytes.Clone(o.Content)}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return opened, nil
}

// blob is an object open for reading.
type blob struct {
	faults *Faults

	mu      sync.Mutex
	content []byte
	closed  bool
}

func (o *blob) Size() int64 { return int64(len(o.content)) }

func (o *blob) ReadAt(p []byte, off int64) (int, error) {
	fault := o.faults.next("ReadAt")
	o.mu.Lock()
	closed := o.closed
	o.mu.Unlock()
	if closed {
		return 0, errors.New("read of a closed object")
	}
	// ReadAt has no context: what times out is the connection under it.
	expired, cancel := context.WithTimeout(context.Background(), 0)
	defer cancel()
	if err := fault.answer(expired); err != nil {
		return 0, err
	}
	return bytes.NewReader(o.content).ReadAt(p, off)
}

func (o *blob) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	return nil
}

// List implements notary.Blobs, in the order of the names.
func (b *Blobs) List(ctx context.Context, before time.Time, fn func(name string) error) error {
	return b.Faults.call(ctx, "List", func() error {
		b.mu.Lock()
		var names []string
		for _, name := range slices.Sorted(maps.Keys(b.objects)) {
			if b.objects[name].Stored.Before(before) {
				names = append(names, name)
			}
		}
		b.mu.Unlock()
		for _, name := range names {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := fn(name); err != nil {
				return err
			}
		}
		return nil
	})
}

// Delete implements notary.Blobs.
func (b *Blobs) Delete(ctx context.Context, name string) error {
	return b.Faults.call(ctx, "Delete", func() error {
		if err := checkName(name); err != nil {
			return fmt.Errorf("delete: %w", err)
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.objects, name)
		return nil
	})
}

// Hold implements notary.Blobs. What is held can still be deleted: a test reads Object.Held.
func (b *Blobs) Hold(ctx context.Context, name string, on bool) error {
	return b.Faults.call(ctx, "Hold", func() error {
		if err := checkName(name); err != nil {
			return fmt.Errorf("hold: %w", err)
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		o, ok := b.objects[name]
		if !ok {
			return notary.ErrNotFound
		}
		o.Held = on
		b.objects[name] = o
		return nil
	})
}

// Retain implements notary.Blobs. What is retained can still be deleted: a test reads
// Object.Retained.
func (b *Blobs) Retain(ctx context.Context, name string, since, until time.Time) error {
	return b.Faults.call(ctx, "Retain", func() error {
		if err := checkName(name); err != nil {
			return fmt.Errorf("retain: %w", err)
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		o, ok := b.objects[name]
		if !ok {
			return notary.ErrNotFound
		}
		if since.After(o.Retained) {
			o.Retained = since
		}
		if until.After(o.Until) {
			o.Until = until
		}
		b.objects[name] = o
		return nil
	})
}

package dir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/muniment/muniment/notary"
)

// Config is where Blobs keeps its objects.
type Config struct {
	// Dir is an existing directory that nothing else writes to. It is not made
	// here: the empty mount point of a disk that is not there must not pass for
	// a new store without being noticed.
	Dir string
	// Fatal is called once, with the first error of an fsync. If it returns,
	// every later call is refused. Nil ends the process by a panic.
	Fatal func(error)
}

// Blobs is a notary.Blobs in a directory:
//
//	<tenant>/<first 8 hex digits of the id>/<id>   an object, never written to again
//	tmp/                                           objects on their way
//
// Objects on their way have no name where the file system can do without
// (O_TMPFILE); elsewhere OpenBlobs sweeps what a crash left in tmp.
//
// The first 32 bits of a UUIDv7 change every 65.5 seconds, so that documents
// which arrive together share a directory, and its fsync.
//
// A crash leaves every object whose Put had returned, perhaps some whose Put
// had not, each of them whole, and temporaries. One process owns the directory
// at a time, by a lock that ends with the process.
type Blobs struct {
	root  string
	tmp   string
	sys   system
	fatal func(error)
	owned *os.File      // the root, locked
	slots chan struct{} // a place for each fsync of a document under way

	mu      sync.Mutex
	arrived sync.Cond // with mu: waiting or refused has changed
	waiting []*upload // durable but for their names
	refused error     // why nothing is accepted any more
	ended   chan struct{}
}

var _ notary.Blobs = (*Blobs)(nil)

// parallelSyncs bounds the fsyncs of documents under way: enough for the file
// system to commit many in one go, few enough to leave the disk to others.
const parallelSyncs = 16

// OpenBlobs opens the store in c.Dir, takes it for this process, and sweeps what
// a crash left unfinished. A store that is open already is refused at once.
func OpenBlobs(c Config) (*Blobs, error) { return openBlobs(c, linux{}) }

func openBlobs(c Config, sys system) (*Blobs, error) {
	root, err := filepath.Abs(c.Dir)
	if err != nil {
		return nil, failed(err)
	}
	b := &Blobs{
		root:  root,
		tmp:   filepath.Join(root, "tmp"),
		sys:   sys,
		fatal: c.Fatal,
		slots: make(chan struct{}, parallelSyncs),
		ended: make(chan struct{}),
	}
	b.arrived.L = &b.mu
	if b.fatal == nil {
		b.fatal = die
	}
	if b.owned, err = os.OpenFile(root, os.O_RDONLY|unix.O_DIRECTORY, 0); err != nil {
		return nil, failed(err)
	}
	if err := b.prepare(); err != nil {
		b.owned.Close()
		return nil, err
	}
	go b.commitAll()
	return b, nil
}

// prepare takes the lock and brings the directory into the state that Put
// relies on: durable itself, with an empty tmp on the same file system.
func (b *Blobs) prepare() error {
	if err := lock(b.owned); err != nil {
		return err
	}
	if err := syncParent(b.sys, b.root); err != nil {
		return err
	}
	if err := b.sys.mkdir(b.tmp); err != nil {
		return failed(err)
	}
	return eachEntry(b.tmp, func(e fs.DirEntry) error {
		if err := b.sys.remove(filepath.Join(b.tmp, e.Name())); err != nil {
			return fmt.Errorf("dir: sweep: %w", err)
		}
		return nil
	})
}

// Close refuses new calls, ends the Puts that have reached their commit, and
// gives the directory up. Puts still reading their document are refused when
// they come to it.
func (b *Blobs) Close() error {
	b.refuse(errClosed)
	<-b.ended
	return b.owned.Close()
}

// refuse makes err the answer to every later call, if it is the first such, and
// reports whether it was.
func (b *Blobs) refuse(err error) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	first := b.refused == nil || errors.Is(b.refused, errClosed) && !errors.Is(err, errClosed)
	if first {
		b.refused = err
	}
	b.arrived.Broadcast()
	return first
}

// distrust is for the error of an fsync: nothing this process has seen of the
// store holds any more. It returns the refusal.
func (b *Blobs) distrust(err error) error {
	err = fmt.Errorf("dir: blobs cannot be trusted: %w", err)
	if b.refuse(err) {
		b.fatal(err)
	}
	return err
}

// admit is the first step of each call.
func (b *Blobs) admit(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.refused
}

// place is where an object is kept. Only names of the notary's making have one,
// so that no caller's text ever becomes a path.
func place(root, name string) (shard, path string, err error) {
	tenant, id, ok := strings.Cut(name, "/")
	if ok {
		_, err = notary.ParseID(tenant)
	}
	if ok && err == nil {
		_, err = notary.ParseID(id)
	}
	if !ok || err != nil {
		return "", "", fmt.Errorf("dir: not a name <tenant>/<id> of lower-case UUIDs: %w", notary.ErrNotFound)
	}
	shard = filepath.Join(root, tenant, id[:8])
	return shard, filepath.Join(shard, id), nil
}

// Put implements notary.Blobs. The document is fsynced before it has a name,
// side by side with others, and then joins the next group that is given its names, in
// which each directory is fsynced once. Nothing waits for a timer.
//
// A Put that has joined its group is carried through: ctx no longer ends it.
// ErrExists, too, is returned only when the name that is taken is durable.
func (b *Blobs) Put(ctx context.Context, name string, r io.Reader) (int64, error) {
	shard, path, err := place(b.root, name)
	if err != nil {
		return 0, err
	}
	if err := b.admit(ctx); err != nil {
		return 0, err
	}
	f, err := b.sys.create(b.tmp)
	if err != nil {
		return 0, failed(err)
	}
	defer f.Close() // without a name it leaves nothing behind
	n, err := stream(ctx, f, r)
	if err != nil {
		return 0, err
	}
	if err := b.sync(ctx, f); err != nil {
		return 0, err
	}
	u := &upload{ctx: ctx, file: f, shard: shard, path: path, done: make(chan struct{})}
	if err := b.commit(u); err != nil {
		return 0, err
	}
	return n, nil
}

// Probe implements notary.Blobs. It writes to the disk, and not to memory alone: one
// that hangs is found by the probe that does not return.
func (b *Blobs) Probe(ctx context.Context) error {
	if err := b.admit(ctx); err != nil {
		return err
	}
	if err := b.attached(); err != nil {
		return err
	}
	f, err := b.sys.create(b.tmp)
	if err != nil {
		return failed(err)
	}
	defer f.Close() // without a name it leaves nothing behind
	if _, err := f.Write([]byte("probe")); err != nil {
		return failed(err)
	}
	return b.sync(ctx, f)
}

// attached makes sure that the directory that is open and locked is the one that the
// next start will find.
func (b *Blobs) attached() error {
	ours, err := b.owned.Stat()
	if err != nil {
		return failed(err)
	}
	found, err := os.Stat(b.root)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(ours, found) {
		return fmt.Errorf("dir: %s has been removed or replaced while in use", b.root)
	}
	if err != nil {
		return failed(err)
	}
	return nil
}

// sync makes the bytes of a document durable, beside at most 15 others.
func (b *Blobs) sync(ctx context.Context, f file) error {
	select {
	case b.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-b.slots }()
	if err := f.Sync(); err != nil {
		return b.distrust(err)
	}
	return nil
}

// streamBuffers spare each small document the allocation of a buffer.
var streamBuffers = sync.Pool{New: func() any { return new([64 << 10]byte) }}

// stream copies r to w. Errors of r are returned as they are: a full disk
// somewhere behind r is not ours.
func stream(ctx context.Context, w io.Writer, r io.Reader) (int64, error) {
	buf := streamBuffers.Get().(*[64 << 10]byte)
	defer streamBuffers.Put(buf)
	var total int64
	for {
		n, readErr := r.Read(buf[:])
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return 0, failed(err)
			}
			total += int64(n)
		}
		if readErr == io.EOF {
			return total, nil
		}
		if readErr != nil {
			return 0, readErr
		}
	}
}

// Open implements notary.Blobs.
func (b *Blobs) Open(ctx context.Context, name string) (notary.Blob, error) {
	_, path, err := place(b.root, name)
	if err != nil {
		return nil, err
	}
	if err := b.admit(ctx); err != nil {
		return nil, err
	}
	blob, err := openObject(path)
	if errors.Is(err, notary.ErrNotFound) {
		if err := b.attached(); err != nil {
			return nil, err // nothing is known of what was in it
		}
	}
	return blob, err
}

// object is an open document. Its file is never written to again.
type object struct {
	*os.File
	size int64
}

func (o *object) Size() int64 { return o.size }

// List implements notary.Blobs. An object's time is its inode's change time,
// which the kernel sets when the object gets its name, and which no restored
// backup can set back: a restored object counts as new.
func (b *Blobs) List(ctx context.Context, before time.Time, fn func(name string) error) error {
	if err := b.admit(ctx); err != nil {
		return err
	}
	return eachEntry(b.root, func(tenant fs.DirEntry) error {
		if _, err := notary.ParseID(tenant.Name()); err != nil {
			return nil // tmp, lost+found
		}
		return eachEntry(filepath.Join(b.root, tenant.Name()), func(shard fs.DirEntry) error {
			dir := filepath.Join(b.root, tenant.Name(), shard.Name())
			if !shard.IsDir() || bornAfter(dir, before) {
				return nil
			}
			return eachEntry(dir, func(e fs.DirEntry) error {
				if err := ctx.Err(); err != nil {
					return err
				}
				if _, err := notary.ParseID(e.Name()); err != nil || e.Name()[:8] != shard.Name() {
					return nil
				}
				info, err := e.Info()
				if errors.Is(err, fs.ErrNotExist) {
					return nil // deleted meanwhile
				}
				if err != nil {
					return failed(err)
				}
				ctime := info.Sys().(*syscall.Stat_t).Ctim
				if !time.Unix(ctime.Unix()).Before(before) {
					return nil
				}
				return fn(tenant.Name() + "/" + e.Name())
			})
		})
	})
}

// bornAfter reports whether the directory was made at or after t, which spares
// List the objects in it: none was stored there earlier. The name of a shard
// would say the same only if no id were ever made with a clock ahead. Where the
// file system keeps no time of birth the answer is no.
func bornAfter(dir string, t time.Time) bool {
	var st unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, dir, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BTIME, &st)
	if err != nil || st.Mask&unix.STATX_BTIME == 0 {
		return false
	}
	return !time.Unix(st.Btime.Sec, int64(st.Btime.Nsec)).Before(t)
}

// eachEntry calls fn with each entry of a directory, holding few of them in
// memory. fn may remove the entry. A directory that is gone has no entries.
func eachEntry(dir string, fn func(fs.DirEntry) error) error {
	f, err := os.OpenFile(dir, os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return failed(err)
	}
	defer f.Close()
	for {
		entries, err := f.ReadDir(512)
		for _, e := range entries {
			if err := fn(e); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return failed(err)
		}
	}
}

// Delete implements notary.Blobs. On return the object stays gone after a crash.
// Also a missing object is fsynced away: an earlier Delete may have been cut off
// before its own fsync.
func (b *Blobs) Delete(ctx context.Context, name string) error {
	shard, path, err := place(b.root, name)
	if err != nil {
		return err
	}
	if err := b.admit(ctx); err != nil {
		return err
	}
	d, err := b.sys.openDir(shard)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return failed(err)
	}
	defer d.Close()
	if err := b.sys.remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return failed(err)
	}
	if err := d.Sync(); err != nil {
		return b.distrust(err)
	}
	return nil
}

// Hold implements notary.Blobs. A directory knows no holds.
func (b *Blobs) Hold(ctx context.Context, name string, _ bool) error {
	return b.Retain(ctx, name, time.Time{}, time.Time{})
}

// Retain implements notary.Blobs. A directory can keep nothing from being deleted, and
// is not configured to.
func (b *Blobs) Retain(ctx context.Context, name string, _, _ time.Time) error {
	if _, _, err := place(b.root, name); err != nil {
		return err
	}
	return b.admit(ctx)
}

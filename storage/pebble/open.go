package pebble

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	engine "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
)

// Config says where the ledger lives. Only Dir is required.
type Config struct {
	Dir string
	// Now is the ledger's clock; nil means time.Now.
	Now    func() time.Time
	Logger *slog.Logger
	// Fatal is called once, from any goroutine, when the store can no longer say
	// what is on disk: a failed write or fsync, in a commit or in the background.
	// It must end the process within a second. Nothing is trusted after a failed
	// fsync, least of all a second try (the kernel forgets the pages it could not
	// write), so the ledger refuses every call from then on, and Close leaves the
	// directory locked. nil means panic.
	Fatal func(error)
	// CacheBytes bounds the cache of uncompressed blocks and the memtables together;
	// 0 means 256 MiB. Less than twice what four memtables take leaves the cache no
	// room under load, and each look-up reads its blocks from disk again.
	CacheBytes int64
	// ReadOnly opens a ledger that is there already, and changes nothing in Dir: no
	// lock is taken, so nothing may be writing to it. Writes are refused.
	ReadOnly bool

	fs vfs.FS // for tests; nil is the operating system's
}

// Ledger is a notary.Ledger and notary.Accounts in one directory.
type Ledger struct {
	db     *engine.DB
	fs     vfs.FS
	dir    string
	now    func() time.Time
	logger *slog.Logger
	fatal  func(error)
	full   bool // opened for reading only: asked for, or without room on the disk

	// writer is the lock of the head: whoever has put a token in it may commit.
	// A channel, so that waiting for it ends with the caller's context.
	writer chan struct{}

	publishing sync.Mutex // serialises Publish, which does not wait for the head
	snapshots  sync.Mutex // held by a Snapshot, and by an erasure before the head is locked

	// mu guards what follows. It is never held across a call into Pebble.
	mu sync.Mutex
	// former are the views before it that somebody still reads; under mu, as view is.
	former    map[*view]struct{}
	view      *view
	readers   sync.WaitGroup // calls that hold a view
	published published
	opened    bool
	lockFile  io.Closer // keeps other processes out of the directory
	failed    error     // why everything is refused; errClosed after Close
	attending attendants
	aside     string // where Snapshot writes; empty when it does not
	// asideFailed is what a sync of a directory there failed with.
	asideFailed error

	closed chan struct{} // closed by Close
	broken chan struct{} // closed by fail
}

type published struct {
	size uint64
	note []byte
}

// memTableSize holds about 25,000 deposits between two flushes. The write-ahead
// log that must be replayed after a crash is of the same order.
const memTableSize = 32 << 20

// options are the settings that held 33,000 to 69,000 deposits a second in batches
// of 256, fresh and at a million rows.
func (l *Ledger) options(cfg Config) *engine.Options {
	o := &engine.Options{
		FS: disk{FS: l.fs, ledger: l},
		// Named, not FormatNewest: raising it is one-way for a data directory, so it
		// belongs in a changelog.
		FormatMajorVersion: engine.FormatValueSeparation,
		ReadOnly:           l.full,
		MemTableSize:       memTableSize,
		// A burst may fill four memtables before commits wait for the flush.
		MemTableStopWritesThreshold: 4,
		// Look-ups by id and key go through every level-0 file: keep them few, but
		// stop writers only when compaction is hopelessly behind.
		L0CompactionThreshold: 4,
		L0StopWritesThreshold: 24,
		// One memtable is an eighth of the base level, so that a flush does not set
		// off a rewrite of everything.
		LBaseMaxBytes: 256 << 20,
		// fsync of a large table in one go stalls the log's own fsync behind it.
		BytesPerSync: 1 << 20,
		CacheSize:    cfg.CacheBytes,
		// The second core belongs to the commits until compaction falls behind.
		CompactionConcurrencyRange: func() (int, int) { return 1, 2 },
		Logger:                     engineLogger{l},
		EventListener: &engine.EventListener{
			BackgroundError: l.backgroundError,
			DataCorruption: func(info engine.DataCorruptionInfo) {
				l.logger.Error("damaged block in the ledger", "info", info.String())
			},
			WriteStallBegin: func(info engine.WriteStallBeginInfo) {
				l.logger.Warn("commits wait for compaction", "info", info.String())
			},
		},
	}
	if o.CacheSize <= 0 {
		o.CacheSize = 256 << 20
	}
	for i := range o.Levels {
		// Blocks of 16 KiB compress well and hold the 256 hashes of a tile.
		o.Levels[i].BlockSize = 16 << 10
		o.Levels[i].IndexBlockSize = 64 << 10
		// Most look-ups ask for a key that is not there: a fresh id, a fresh
		// idempotency key. Ten bits answer 99% of them without reading a block.
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	// Snappy above and zstd at the bottom, where nine tenths of the bytes come to
	// rest. zstd everywhere took a fifth of all CPU.
	o.ApplyCompressionSettings(func() engine.DBCompressionSettings {
		return engine.DBCompressionBalanced
	})
	return o
}

// Open opens the ledger in cfg.Dir and creates it if the directory is missing or
// empty. The directory is locked against every other process until Close. With no
// room left on the disk an existing ledger is opened for reading, and writes are
// refused with notary.ErrNoRoom until it is opened again.
func Open(ctx context.Context, cfg Config) (*Ledger, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l, err := open(cfg, nil)
	if err != nil && errors.Is(err, syscall.ENOSPC) {
		full, fullErr := open(cfg, l)
		if fullErr == nil {
			return full, nil
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open ledger in %s: %w", cfg.Dir, err), l.release())
	}
	return l, nil
}

// open makes one attempt. After one that met a full disk the next is for reading,
// under the lock on the directory that the first has taken.
func open(cfg Config, full *Ledger) (*Ledger, error) {
	l := &Ledger{
		fs: cfg.fs, dir: cfg.Dir, now: cfg.Now, logger: cfg.Logger, fatal: cfg.Fatal,
		writer: make(chan struct{}, 1), closed: make(chan struct{}), broken: make(chan struct{}),
	}
	if full != nil {
		l.full, l.lockFile = true, full.lockFile
	}
	if cfg.ReadOnly {
		l.full, l.lockFile = true, io.NopCloser(nil)
	}
	if l.fs == nil {
		l.fs = vfs.Default
		real, err := resolve(cfg.Dir)
		if err != nil {
			return l, err
		}
		l.dir = real
	}
	if l.now == nil {
		l.now = time.Now
	}
	if l.logger == nil {
		l.logger = slog.New(slog.DiscardHandler)
	}
	if l.fatal == nil {
		l.fatal = func(err error) { panic(err) }
	}
	return l, l.start(cfg)
}

func (l *Ledger) start(cfg Config) error {
	store := make(chan *engine.DB, 1)
	err := l.guarded(func() error {
		db, err := engine.Open(l.dir, l.options(cfg))
		if err == nil {
			store <- db
		}
		return err
	})
	select {
	case l.db = <-store:
	default:
		return err
	}
	if err == nil {
		err = l.guarded(l.load)
	}
	if err == nil {
		l.mu.Lock()
		err, l.opened = l.failed, true
		l.mu.Unlock()
	}
	if err != nil && l.failure() == nil {
		l.retire(nil)
		err = errors.Join(err, l.guarded(l.db.Close))
	}
	return err
}

// release gives up the lock on the directory.
func (l *Ledger) release() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lockFile == nil {
		return nil
	}
	err := l.lockFile.Close()
	l.lockFile = nil
	return err
}

// resolve returns the one absolute name of a directory that may not exist yet.
// POSIX locks do not hold between two openings by one process, so it is by this
// name that Pebble tells that it has the directory open already.
func resolve(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	real, err := filepath.EvalSymlinks(dir)
	if parent := filepath.Dir(dir); errors.Is(err, fs.ErrNotExist) && parent != dir {
		if real, err = resolve(parent); err == nil {
			real = filepath.Join(real, filepath.Base(dir))
		}
	}
	return real, err
}

// load reads what every call needs, and writes it first if the store is new.
func (l *Ledger) load() error {
	version, err := l.get(l.db, keySchema)
	if errors.Is(err, notary.ErrNotFound) && !l.full {
		if err := l.create(); err != nil {
			return err
		}
	} else if err != nil {
		return fmt.Errorf("schema version: %w", err)
	} else if n, err := decodeUint64(version); err != nil {
		return corrupt("schema version: %v", err)
	} else if n > schemaVersion {
		return fmt.Errorf("schema version %d is newer than this program's %d", n, schemaVersion)
	}
	note, err := l.get(l.db, keyPublished)
	if err == nil {
		d := decoder{rest: note}
		l.published = published{size: d.uint64(), note: d.counted()}
		if err := d.finish(); err != nil {
			return corrupt("published note: %v", err)
		}
	} else if !errors.Is(err, notary.ErrNotFound) {
		return err
	}
	v, err := l.newView()
	if err != nil {
		return err
	}
	l.retire(v)
	return nil
}

// create writes the schema version and the empty head in one commit: from here on
// a missing head is damage, and can not be mistaken for an empty log.
func (l *Ledger) create() error {
	it, err := l.db.NewIter(nil)
	if err != nil {
		return err
	}
	foreign := it.First()
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return err
	}
	if foreign {
		return errors.New("the directory holds a database that is not a ledger")
	}
	b := l.db.NewBatch()
	var version [8]byte
	version[7] = schemaVersion
	head := appendHead(nil, notary.Head{Root: proofs.EmptyRoot})
	return errors.Join(
		b.Set(keySchema, sealed(keySchema, version[:]), nil),
		b.Set(keyHead, sealed(keyHead, head), nil),
		b.Commit(engine.Sync))
}

var errClosed = errors.New("the ledger is closed")

// Close waits for calls under way and closes the store. After a fatal error it
// does nothing but return that error: whatever is in flight must not be told that
// it ended well, and the lock on the directory goes with the process.
func (l *Ledger) Close() error {
	select {
	case l.writer <- struct{}{}: // for good: nothing is written after Close
	case <-l.closed:
		return errClosed
	case <-l.broken:
		return l.failure()
	}
	l.publishing.Lock()
	defer l.publishing.Unlock()
	l.mu.Lock()
	if l.failed != nil {
		defer l.mu.Unlock()
		return l.failed
	}
	l.failed = errClosed
	close(l.closed)
	l.mu.Unlock()

	l.readers.Wait()
	l.retire(nil)
	if err := l.guarded(l.settle); err != nil {
		return fmt.Errorf("close ledger in %s: %w", l.dir, err)
	}
	return l.release()
}

// settle leaves everything in tables and nothing in the write-ahead log. Every block
// of a table has a checksum that must match; but a flipped bit in the log looks, to
// Pebble 2.1, mostly like the torn end that a crash leaves, and what follows it is
// dropped. So only a crash leaves batches there, until the next Open.
func (l *Ledger) settle() error {
	var err error
	if !l.full && l.room(0) == nil {
		err = l.db.Flush()
	}
	return errors.Join(err, l.db.Close())
}

// guarded runs f, which calls into Pebble and may write, on a goroutine of its own:
// after a failed write that goroutine never comes back, and the caller is told.
func (l *Ledger) guarded(f func() error) error {
	result := make(chan error, 1)
	go func() {
		err := errors.New("the store stopped")
		defer func() {
			if r := recover(); r != nil {
				l.fail(fmt.Errorf("the store panicked: %v", r))
			}
			result <- err
		}()
		err = f()
	}()
	var err error
	select {
	case err = <-result:
	case <-l.broken:
	}
	select {
	case <-l.broken:
		return l.failure()
	default:
		return err
	}
}

// fail makes the ledger refuse everything, and ends the process through Fatal.
// While Open runs it is Open that reports the error.
func (l *Ledger) fail(err error) {
	l.mu.Lock()
	if l.failed != nil && !errors.Is(l.failed, errClosed) {
		l.mu.Unlock()
		return
	}
	l.failed = fmt.Errorf("the ledger stopped: %w", err)
	err, opened := l.failed, l.opened
	close(l.broken)
	l.mu.Unlock()
	l.logger.Error("the ledger stopped", "error", err)
	if opened {
		l.fatal(err)
	}
}

func (l *Ledger) failure() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed
}

// backgroundError hears of a flush or compaction that failed. A damaged block is
// no reason to stop: compaction has thrown its output away, the old tables stand,
// reading the block is an error, and fsck must live to name every other one.
// Anything else means that the disk refuses writes.
func (l *Ledger) backgroundError(err error) {
	if engine.IsCorruptionError(err) {
		l.logger.Error("compaction met a damaged block", "error", err)
		return
	}
	l.fail(fmt.Errorf("background: %w", err))
}

// engineLogger is Pebble's logger.
type engineLogger struct{ l *Ledger }

func (e engineLogger) Infof(format string, args ...any) {
	if e.l.logger.Enabled(context.Background(), slog.LevelDebug) {
		e.l.logger.Debug(fmt.Sprintf(format, args...))
	}
}

func (e engineLogger) Errorf(format string, args ...any) {
	e.l.logger.Error(fmt.Sprintf(format, args...))
}

// Fatalf never returns: what Pebble would do next rests on what it cannot survive.
// It may hold locks, which stay locked.
func (e engineLogger) Fatalf(format string, args ...any) {
	e.l.fail(&fatalError{text: fmt.Sprintf(format, args...), args: args})
	select {} // the process is about to end, or Open has returned
}

// fatalError keeps the cause that Pebble formats into its text.
type fatalError struct {
	text string
	args []any
}

func (e *fatalError) Error() string { return e.text }

func (e *fatalError) Unwrap() []error {
	var causes []error
	for _, a := range e.args {
		if err, ok := a.(error); ok {
			causes = append(causes, err)
		}
	}
	return causes
}

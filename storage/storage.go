// Package storage opens the engines behind the notary's interfaces. The embedded default keeps
// everything in one directory, with no service beside it:
//
//	DIR/ledger   Pebble
//	DIR/blobs    sealed documents
//	DIR/anchor   the register of the newest sealed head
//	DIR/snapshot while a backup is taken of an open store: links to the ledger's files
//
// PostgreSQL takes the place of the first, S3 of the second, either of the third.
package storage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/storage/dir"
	"github.com/muniment/muniment/storage/pebble"
	"github.com/muniment/muniment/storage/postgres"
	"github.com/muniment/muniment/storage/s3"
)

// Config says which engines keep what. With Dir alone all are the embedded ones.
type Config struct {
	Dir string // of the embedded engines
	// Postgres keeps the ledger; nil: Pebble in Dir.
	Postgres *postgres.Config
	// S3 keeps the blobs; nil: files in Dir.
	S3 *s3.Config
	// Anchors are the registers, the first first; none: the one in Dir.
	Anchors []AnchorConfig

	Now    func() time.Time // the ledger's clock; nil: time.Now
	Logger *slog.Logger
	Fatal  func(error) // called when an fsync failed: nothing is trusted any more
}

// AnchorConfig says where one register is: exactly one of its fields is set.
type AnchorConfig struct {
	Dir      string // a directory of its own
	S3       *s3.Bucket
	Postgres *postgres.Config
}

// String is what the settings call it.
func (a AnchorConfig) String() string {
	switch {
	case a.S3 != nil:
		return "s3"
	case a.Postgres != nil:
		return "postgres"
	}
	return "dir:" + a.Dir
}

// Store is the engines of one depository, open. What is in a directory is locked against
// a second process.
type Store struct {
	Ledger   notary.Ledger
	Accounts notary.Accounts
	Sessions notary.Sessions
	Webhooks notary.Webhooks
	Keys     notary.Keys
	Trail    notary.Trail
	Blobs    notary.Blobs
	// Segments is the second copy of what is sealed; nil where the documents are in the
	// directory, and a copy would be on the disk of what it is a copy of.
	Segments notary.Segments
	Anchors  []notary.Anchor
	// AnchorNames are what the settings call each of Anchors.
	AnchorNames []string
	// Peers are the other processes on the same ledger; nil: it can have none.
	Peers notary.Peers
	// SingleCopy reports whether what is acknowledged is on one machine only. nil: it is,
	// as befits one directory.
	SingleCopy func(ctx context.Context) (bool, error)
	// Room refuses with notary.ErrNoRoom while the disk under the ledger is nearly
	// full: what is committed must still find room for its seal. nil: the ledger is on no
	// disk of this machine's.
	Room func() error
	// Space returns how many bytes are free there, and at how many Room begins to refuse;
	// nil as Room is.
	Space func() (free, keep uint64, err error)

	root     string
	snapshot func(ctx context.Context, dir string) error // nil: the ledger cannot be copied so
	close    []func() error
}

// Registers returns where the anchors are.
func (c Config) Registers() []AnchorConfig {
	if len(c.Anchors) > 0 {
		return c.Anchors
	}
	path := filepath.Join(c.Dir, "anchor")
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	return []AnchorConfig{{Dir: path}}
}

// Create lays out empty engines, with anchors that hold body. It is durable on return.
// What is there already is an error: a log that is begun anew over an old one would fork.
func Create(ctx context.Context, c Config, body []byte) error {
	if err := Migrate(ctx, c); err != nil {
		return err
	}
	if c.Postgres == nil {
		if err := os.Mkdir(filepath.Join(c.Dir, "ledger"), 0o700); err != nil {
			return err
		}
	}
	if c.S3 == nil {
		if err := os.Mkdir(filepath.Join(c.Dir, "blobs"), 0o700); err != nil {
			return err
		}
	}
	for _, a := range c.Registers() {
		if err := CreateAnchor(ctx, a, body); err != nil {
			return fmt.Errorf("anchor %s: %w", a, err)
		}
	}
	return nil
}

// Migrate brings the schemas of ledger and anchor in PostgreSQL up to date, and makes
// those that are missing. What is in a directory has none.
func Migrate(ctx context.Context, c Config) error {
	if c.Postgres != nil {
		if err := postgres.Migrate(ctx, *c.Postgres); err != nil {
			return err
		}
	}
	for _, a := range c.Registers() {
		if a.Postgres == nil {
			continue
		}
		if err := postgres.Migrate(ctx, *a.Postgres); err != nil {
			return fmt.Errorf("anchor %s: %w", a, err)
		}
	}
	return nil
}

// MigrateBack takes the schema of the ledger in PostgreSQL back to an older version, for an
// older program.
func MigrateBack(ctx context.Context, c Config, version int64) error {
	if c.Postgres == nil {
		return errors.New("the ledger is in the directory, which has no versions to go back to")
	}
	return postgres.MigrateTo(ctx, *c.Postgres, version)
}

// CreateAnchor makes one register that holds body, durable on return, in a schema that
// Migrate has laid out where it is in PostgreSQL. notary.ErrExists if there is one.
func CreateAnchor(ctx context.Context, a AnchorConfig, body []byte) error {
	switch {
	case a.S3 != nil:
		return s3.CreateAnchor(ctx, *a.S3, body)
	case a.Postgres != nil:
		return postgres.CreateAnchor(ctx, *a.Postgres, body)
	}
	if err := os.Mkdir(a.Dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return dir.CreateAnchor(a.Dir, body)
}

// Open opens what Create laid out.
func Open(ctx context.Context, c Config) (*Store, error) {
	s := &Store{root: c.Dir}
	for i, a := range c.Registers() {
		if err := s.openAnchor(ctx, c, a); err != nil {
			err = fmt.Errorf("anchor %d (%s): %w", i, a, err)
			if errors.Is(err, notary.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
				err = fmt.Errorf("%w; put it back, or munimentd anchor add %s makes one that is held against the others", err, a)
			}
			return nil, s.fail(err)
		}
	}
	if err := s.openBlobs(ctx, c); err != nil {
		return nil, s.fail(err)
	}
	if err := s.openLedger(ctx, c); err != nil {
		return nil, s.fail(err)
	}
	return s, nil
}

func (s *Store) openAnchor(ctx context.Context, c Config, a AnchorConfig) error {
	anchor, err := OpenAnchor(ctx, a, c.Fatal)
	if err != nil {
		return err
	}
	s.Anchors, s.AnchorNames = append(s.Anchors, anchor), append(s.AnchorNames, a.String())
	s.close = append(s.close, anchor.Close)
	return nil
}

// Anchor is one register, open.
type Anchor interface {
	notary.Anchor
	Close() error
}

// OpenAnchor opens one register that CreateAnchor made, and takes one in a directory for
// this process. fatal is Config.Fatal.
func OpenAnchor(ctx context.Context, a AnchorConfig, fatal func(error)) (Anchor, error) {
	switch {
	case a.S3 != nil:
		return opened(s3.OpenAnchor(ctx, *a.S3))
	case a.Postgres != nil:
		return opened(postgres.OpenAnchor(ctx, *a.Postgres))
	}
	file, err := dir.OpenAnchor(a.Dir)
	if err == nil {
		file.Fatal = fatal
	}
	return opened(file, err)
}

// opened keeps a driver's nil from becoming an Anchor that is not nil.
func opened[A Anchor](a A, err error) (Anchor, error) {
	if err != nil {
		return nil, err
	}
	return a, nil
}

// ReadAnchor returns what a register holds, without taking it: another process may have
// it open. One that is missing is notary.ErrNotFound.
func ReadAnchor(ctx context.Context, a AnchorConfig) (body []byte, err error) {
	if a.Dir != "" {
		body, err = dir.ReadAnchor(dir.AnchorPath(a.Dir))
		if errors.Is(err, os.ErrNotExist) {
			err = fmt.Errorf("%w: %w", notary.ErrNotFound, err)
		}
		return body, err
	}
	anchor, err := OpenAnchor(ctx, a, nil)
	if err != nil {
		return nil, err
	}
	body, err = anchor.Load(ctx)
	return body, errors.Join(err, anchor.Close())
}

func (s *Store) openBlobs(ctx context.Context, c Config) error {
	if c.S3 != nil {
		blobs, err := s3.OpenBlobs(ctx, *c.S3)
		if err != nil {
			return err
		}
		s.Blobs, s.close = blobs, append(s.close, blobs.Close)
		segments, err := s3.OpenSegments(ctx, *c.S3)
		if err != nil {
			return err
		}
		s.Segments, s.close = segments, append(s.close, segments.Close)
		return nil
	}
	blobs, err := dir.OpenBlobs(dir.Config{Dir: filepath.Join(c.Dir, "blobs"), Fatal: c.Fatal})
	if err != nil {
		return err
	}
	s.Blobs, s.close = blobs, append(s.close, blobs.Close)
	return nil
}

func (s *Store) openLedger(ctx context.Context, c Config) error {
	if c.Postgres != nil {
		ledger, err := postgres.Open(ctx, *c.Postgres)
		if err != nil {
			return err
		}
		s.close = append(s.close, ledger.Close)
		s.Ledger, s.Accounts, s.Sessions, s.Webhooks, s.Keys, s.Trail, s.Peers, s.SingleCopy = ledger, ledger, ledger, ledger, ledger, ledger, ledger, ledger.SingleCopy
		return nil
	}
	ledger, err := pebble.Open(ctx, pebble.Config{
		Dir: filepath.Join(c.Dir, "ledger"), Now: c.Now, Logger: c.Logger, Fatal: c.Fatal,
	})
	if err != nil {
		return err
	}
	s.close = append(s.close, ledger.Close)
	s.Ledger, s.Accounts, s.Sessions, s.Webhooks, s.Keys, s.Trail, s.Room, s.Space = ledger, ledger, ledger, ledger, ledger, ledger, ledger.Room, ledger.Space
	s.snapshot = ledger.Snapshot
	// The links of a backup that died keep the room of tables that are long gone.
	return s.DropSnapshot()
}

// SnapshotDir is where Snapshot copies the ledger of the depository in root.
func SnapshotDir(root string) string { return filepath.Join(root, "snapshot") }

// Snapshot copies the embedded ledger as it is now to SnapshotDir, durably. It costs no
// room but what its links to tables keep from being given back. It is there until
// DropSnapshot, the next Snapshot or the next Open. One caller at a time.
func (s *Store) Snapshot(ctx context.Context) error {
	if s.snapshot == nil {
		return errors.New("the ledger is not in the directory: PostgreSQL has backups of its own")
	}
	if err := s.DropSnapshot(); err != nil {
		return err
	}
	return s.snapshot(ctx, SnapshotDir(s.root))
}

// DropSnapshot takes away what Snapshot made.
func (s *Store) DropSnapshot() error { return os.RemoveAll(SnapshotDir(s.root)) }

func (s *Store) fail(err error) error {
	return errors.Join(err, s.Close())
}

// Close releases everything. Nothing may use the store afterwards.
func (s *Store) Close() error {
	var err error
	for i := len(s.close) - 1; i >= 0; i-- {
		err = errors.Join(err, s.close[i]())
	}
	s.close = nil
	return err
}

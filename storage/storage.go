// Package storage opens the engines behind the notary's three interfaces. The
// embedded default keeps everything in one directory, with no service beside it:
//
//	DIR/ledger   Pebble
//	DIR/blobs    sealed documents
//	DIR/anchor   the register of the newest sealed head
//	DIR/snapshot while a backup is taken of an open store: links to the ledger's files
package storage

import (
	"context"
	"errors"
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
	Postgres bool // in the ledger's database
}

// Store is the engines of one depository, open and locked against a second process.
type Store struct {
	Ledger   notary.Ledger
	Accounts notary.Accounts
	Blobs    notary.Blobs
	Anchor   notary.Anchor
	// Room refuses with notary.ErrNoRoom while the disk under the ledger is nearly
	// full: what is committed must still find room for its seal.
	Room func() error
	// Space returns how many bytes are free there, and at how many Room begins to refuse.
	Space func() (free, keep uint64, err error)

	root     string
	snapshot func(ctx context.Context, dir string) error
	close    []func() error
}

// Create lays out an empty directory tree with an anchor that holds body. It is
// durable on return. What is there already is an error.
func Create(root string, body []byte) error {
	for _, d := range []string{"ledger", "blobs", "anchor"} {
		if err := os.Mkdir(filepath.Join(root, d), 0o700); err != nil {
			return err
		}
	}
	return dir.CreateAnchor(filepath.Join(root, "anchor"), body)
}

// Open opens what Create laid out.
func Open(ctx context.Context, c Config) (*Store, error) {
	s := &Store{root: c.Dir}
	anchor, err := dir.OpenAnchor(filepath.Join(c.Dir, "anchor"))
	if err != nil {
		return nil, s.fail(err)
	}
	anchor.Fatal = c.Fatal
	s.close = append(s.close, anchor.Close)
	blobs, err := dir.OpenBlobs(dir.Config{Dir: filepath.Join(c.Dir, "blobs"), Fatal: c.Fatal})
	if err != nil {
		return nil, s.fail(err)
	}
	s.close = append(s.close, blobs.Close)
	ledger, err := pebble.Open(ctx, pebble.Config{
		Dir: filepath.Join(c.Dir, "ledger"), Now: c.Now, Logger: c.Logger, Fatal: c.Fatal,
	})
	if err != nil {
		return nil, s.fail(err)
	}
	s.close = append(s.close, ledger.Close)
	s.Ledger, s.Accounts, s.Blobs, s.Anchor, s.Room = ledger, ledger, blobs, anchor, ledger.Room
	s.Space = ledger.Space
	s.snapshot = ledger.Snapshot
	// The links of a backup that died keep the room of tables that are long gone.
	if err := s.DropSnapshot(); err != nil {
		return nil, s.fail(err)
	}
	return s, nil
}

// SnapshotDir is where Snapshot copies the ledger of the depository in root.
func SnapshotDir(root string) string { return filepath.Join(root, "snapshot") }

// Snapshot copies the ledger as it is now to SnapshotDir, durably. It costs no room but
// what its links to tables keep from being given back. It is there until DropSnapshot,
// the next Snapshot or the next Open. One caller at a time.
func (s *Store) Snapshot(ctx context.Context) error {
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

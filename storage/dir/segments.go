package dir

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/muniment/muniment/notary"
)

// Segments is a notary.Segments in a directory, laid out as in a bucket:
//
//	segments/<origin>/<from>-<to>-<begin>-<end>   rows
//	keys/<origin>/<from>-<to>-<begin>-<end>       their wrapped keys
//	accounts/<origin>/<name>                      tenants, and hashes of API keys
//	frozen/<origin>                               why the log has ended
//
// Sizes are 16 hexadecimal digits, hashes 64. Of keys that are replaced the file system
// may keep the blocks for a while; this is for archives, which one holds as a whole.
type Segments struct {
	root string
	mu   sync.Mutex // held by edits
}

var _ notary.Segments = (*Segments)(nil)

// OpenSegments returns the store in an existing directory.
func OpenSegments(root string) (*Segments, error) {
	info, err := os.Stat(root)
	if err != nil {
		return nil, failed(err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("dir: %s is no directory", root)
	}
	return &Segments{root: root}, nil
}

func (s *Segments) path(folder string, n notary.SegmentName) string {
	return filepath.Join(s.root, folder, filepath.FromSlash(n.Origin), n.String())
}

// create writes a new file, whole and durable on return, and reads it back. notary.ErrExists
// if there is one, which is durable too.
func create(path string, body []byte) error {
	if err := makeDirs(filepath.Dir(path)); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return failed(err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(body)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return failed(err)
	}
	taken := os.Link(f.Name(), path)
	if taken != nil && !errors.Is(taken, fs.ErrExist) {
		return failed(taken)
	}
	if err := syncPath(filepath.Dir(path)); err != nil {
		return err
	}
	if taken != nil {
		return fmt.Errorf("dir: %w", notary.ErrExists)
	}
	there, err := os.ReadFile(path)
	if err != nil {
		return failed(err)
	}
	if !bytes.Equal(there, body) {
		return fmt.Errorf("%w: dir: %s does not read back as it was written", notary.ErrDamaged, path)
	}
	return nil
}

// makeDirs makes a directory and those above it that are missing, durable on return.
func makeDirs(path string) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := makeDirs(filepath.Dir(path)); err != nil {
		return err
	}
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return failed(err)
	}
	return syncPath(filepath.Dir(path))
}

func syncPath(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return failed(err)
	}
	return errors.Join(d.Sync(), d.Close())
}

// Put implements notary.Segments.
func (s *Segments) Put(ctx context.Context, name notary.SegmentName, segment, keys []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(segment) > notary.MaxSegment || len(keys) > notary.MaxSegment {
		return fmt.Errorf("dir: a segment has at most %d bytes", notary.MaxSegment)
	}
	if err := create(s.path("keys", name), keys); err != nil && !errors.Is(err, notary.ErrExists) {
		return err
	}
	err := create(s.path("segments", name), segment)
	if !errors.Is(err, notary.ErrExists) {
		return err
	}
	there, err := s.read(s.path("segments", name))
	if err == nil && !bytes.Equal(there, segment) {
		err = fmt.Errorf("%w: dir: the segment of entries %d to %d is there with other rows", notary.ErrDamaged, name.From, name.To)
	}
	return err
}

func (s *Segments) read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("dir: %w", notary.ErrNotFound)
	}
	if err != nil {
		return nil, failed(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, failed(err)
	}
	if info.Size() > notary.MaxSegment {
		return nil, fmt.Errorf("%w: dir: %s is longer than a segment may be", notary.ErrDamaged, path)
	}
	body := make([]byte, info.Size())
	if n, err := f.ReadAt(body, 0); int64(n) != info.Size() && err != nil {
		return nil, failed(err)
	}
	return body, nil
}

// Load implements notary.Segments.
func (s *Segments) Load(ctx context.Context, name notary.SegmentName) (segment, keys []byte, err error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	if segment, err = s.read(s.path("segments", name)); err != nil {
		return nil, nil, err
	}
	keys, err = s.read(s.path("keys", name))
	if errors.Is(err, notary.ErrNotFound) {
		return segment, nil, nil
	}
	return segment, keys, err
}

// List implements notary.Segments.
func (s *Segments) List(ctx context.Context, origin string, from uint64, fn func(notary.SegmentName) error) error {
	return s.list(ctx, "segments", origin, from, fn)
}

// ListKeys implements notary.Segments.
func (s *Segments) ListKeys(ctx context.Context, origin string, from uint64, fn func(notary.SegmentName) error) error {
	return s.list(ctx, "keys", origin, from, fn)
}

func (s *Segments) list(ctx context.Context, folder, origin string, from uint64, fn func(notary.SegmentName) error) error {
	names, err := s.files(ctx, folder, origin)
	if err != nil {
		return err
	}
	for _, text := range names { // in the order of From
		name, ok := notary.ParseSegmentName(origin, text)
		if !ok || name.From < from {
			continue
		}
		if err := fn(name); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

func (s *Segments) files(ctx context.Context, folder, origin string) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(filepath.Join(s.root, folder, filepath.FromSlash(origin)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, failed(err)
	}
	var names []string
	for _, e := range entries {
		if e.Type().IsRegular() && !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

// EditKeys implements notary.Segments, for edits of one process.
func (s *Segments) EditKeys(ctx context.Context, name notary.SegmentName, edit func(keys []byte) ([]byte, error)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	path := s.path("keys", name)
	old, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return failed(err)
	}
	defer old.Close()
	keys, err := s.read(path)
	if err != nil {
		return err
	}
	edited, err := edit(bytes.Clone(keys))
	if err != nil || bytes.Equal(edited, keys) {
		return err
	}
	next := path + ".next"
	_ = os.Remove(next) // of an edit that died
	if err := create(next, edited); err != nil {
		return err
	}
	if err := unix.Rename(next, path); err != nil {
		return failed(err)
	}
	if err := syncPath(filepath.Dir(path)); err != nil {
		return err
	}
	// What stood there has no name any more, and is written over.
	if _, err := old.WriteAt(make([]byte, len(keys)), 0); err != nil {
		return failed(err)
	}
	if err := old.Sync(); err != nil {
		return failed(err)
	}
	return nil
}

var accountName = regexp.MustCompile(`^[a-z]+-[0-9a-f-]{36,64}$`)

// KeepAccount implements notary.Segments.
func (s *Segments) KeepAccount(ctx context.Context, origin, name string, body []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !accountName.MatchString(name) {
		return errors.New("dir: not the name of an account")
	}
	err := create(filepath.Join(s.root, "accounts", filepath.FromSlash(origin), name), body)
	if errors.Is(err, notary.ErrExists) {
		return nil
	}
	return err
}

// DropAccount implements notary.Segments.
func (s *Segments) DropAccount(ctx context.Context, origin, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !accountName.MatchString(name) {
		return errors.New("dir: not the name of an account")
	}
	dir := filepath.Join(s.root, "accounts", filepath.FromSlash(origin))
	if err := os.Remove(filepath.Join(dir, name)); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return failed(err)
	}
	return syncPath(dir)
}

// KeptAccounts implements notary.Segments.
func (s *Segments) KeptAccounts(ctx context.Context, origin string, fn func(name string, body []byte) error) error {
	names, err := s.files(ctx, "accounts", origin)
	if err != nil {
		return err
	}
	for _, name := range names {
		if !accountName.MatchString(name) {
			continue
		}
		body, err := s.read(filepath.Join(s.root, "accounts", filepath.FromSlash(origin), name))
		if err != nil {
			return err
		}
		if err := fn(name, body); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// Freeze implements notary.Segments.
func (s *Segments) Freeze(ctx context.Context, origin string, why []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	err := create(filepath.Join(s.root, "frozen", filepath.FromSlash(origin)), why)
	if errors.Is(err, notary.ErrExists) {
		return nil
	}
	return err
}

// Frozen implements notary.Segments.
func (s *Segments) Frozen(ctx context.Context, origin string) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return s.read(filepath.Join(s.root, "frozen", filepath.FromSlash(origin)))
}

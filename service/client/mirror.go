package client

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/muniment/muniment/proofs"
)

// A Mirror is a copy of a log in a directory, laid out as C2SP tlog-tiles: checkpoint,
// tile/… and tile/entries/…, so that any web server can serve it and any tile client read
// it. Every byte of it led to a signed root before it was counted. It may be stopped at
// any moment, by kill or by a power failure, and goes on where it was.
//
// Not safe for concurrent use. One process at a time has it open.
type Mirror struct {
	dir   string
	lock  *os.File
	state mirrorState
	whole mirrored // what checkpoint states; its size is 0 without one

	tiles   map[piece]*proofs.Tile // read since the last Fill, a few
	bundle  piece                  // the one read last
	entries []string               // of it
}

// mirrored is a checkpoint that is mirrored whole.
type mirrored struct {
	note []byte
	proofs.Checkpoint
}

// mirrorState is what a Mirror remembers, beside the log itself.
type mirrorState struct {
	Origin string `json:"origin"`
	// Full is the number of entries in the full bundles from the first on that are on
	// disk, with their tiles, durably; each led to a signed root.
	Full uint64 `json:"full"`
	// Time is the last time among them, Last that among all of checkpoint.
	Time time.Time `json:"time,omitzero"`
	Last time.Time `json:"last,omitzero"`
	// Breaches are what the log signed against its own rules. They are never forgotten.
	Breaches []Breach `json:"breaches,omitempty"`
	// Public are entries whose record is public and has not been fetched yet.
	Public []uint64 `json:"public,omitempty"`
	// Behind is since when the log shows less than it signed before.
	Behind time.Time `json:"behind,omitzero"`
}

// A Breach is an entry that stands in the log, under a signed root, against the log's
// own rules.
type Breach struct {
	Index uint64     `json:"index"`
	Rule  BreachRule `json:"rule"`
}

// BreachRule names a rule of the log.
type BreachRule string

// The rules that an entry can break.
const (
	BreachMalformed BreachRule = "malformed"      // it is not an entry, or not spelled as entries are
	BreachGenesis   BreachRule = "genesis-placed" // genesis stands at index 0 and nowhere else
	BreachTime      BreachRule = "time-decreases" // it is dated before the entry that precedes it
)

// maxBreaches bounds what is remembered of a log that breaks its rules throughout.
const maxBreaches = 64

// The files of a Mirror beside the log itself.
const (
	mirrorFolder = ".mirror"
	stateFile    = "state.json"
	newestFile   = "newest"
	lockFile     = "lock"
)

var (
	// ErrMirror is wrapped when a directory holds what no Mirror left there.
	ErrMirror = errors.New("not the mirror of a log")
	// ErrMirrorInUse is wrapped when another process has the mirror open.
	ErrMirrorInUse = errors.New("another process has the mirror open")
)

// OpenMirror opens the mirror in dir, and makes an empty one where there is none.
// Close it to let others have it.
func OpenMirror(dir string) (*Mirror, error) {
	m := &Mirror{dir: dir}
	if err := os.MkdirAll(filepath.Join(dir, mirrorFolder), 0o777); err != nil {
		return nil, err
	}
	var err error
	if m.lock, err = lock(m.private(lockFile)); err != nil {
		return nil, err
	}
	if err := m.load(); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// Close lets others have the mirror.
func (m *Mirror) Close() error { return m.lock.Close() }

func (m *Mirror) load() error {
	m.sweep()
	data, err := os.ReadFile(m.private(stateFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	default:
		if json.Unmarshal(data, &m.state) != nil || m.state.Full%proofs.TileWidth != 0 || m.state.Full > proofs.MaxSize {
			return fmt.Errorf("%w: %s cannot be read; remove it, and all is checked again", ErrMirror, m.private(stateFile))
		}
	}
	note, err := os.ReadFile(filepath.Join(m.dir, "checkpoint"))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	cp, err := readCheckpoint(note)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrMirror, filepath.Join(m.dir, "checkpoint"), err)
	}
	m.whole = mirrored{note, cp}
	return nil
}

// sweep removes what a process that was killed had not finished writing.
func (m *Mirror) sweep() {
	for _, dir := range []string{m.dir, m.private(".")} {
		entries, _ := os.ReadDir(dir) // what cannot be read stays, and does no harm
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), unfinished) && e.Type().IsRegular() {
				_ = os.Remove(filepath.Join(dir, e.Name()))
			}
		}
	}
}

func (m *Mirror) private(name string) string { return filepath.Join(m.dir, mirrorFolder, name) }

// Dir is where the mirror stands.
func (m *Mirror) Dir() string { return m.dir }

// Checkpoint returns the note of the newest checkpoint that is mirrored whole, nil if
// there is none.
func (m *Mirror) Checkpoint() []byte { return slices.Clone(m.whole.note) }

// Size returns the size of Checkpoint.
func (m *Mirror) Size() uint64 { return m.whole.Size }

// Have returns how many entries are on disk and checked, in full bundles.
func (m *Mirror) Have() uint64 { return m.state.Full }

// Last returns the time of the newest entry under Checkpoint.
func (m *Mirror) Last() time.Time { return m.state.Last }

// Breaches returns what the log has signed against its own rules, as far as it is
// mirrored: the first ones, should there be many.
func (m *Mirror) Breaches() []Breach { return slices.Clone(m.state.Breaches) }

// Newest returns the note that Remember was given last, nil if there was none. It may be
// of more than is mirrored.
func (m *Mirror) Newest() ([]byte, error) {
	note, err := os.ReadFile(m.private(newestFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return note, err
}

// Remember keeps a note that the caller believes, durably: what is shown later is to be
// held against it, whatever becomes of the mirror.
func (m *Mirror) Remember(note []byte) error {
	if there, err := m.Newest(); err == nil && bytes.Equal(there, note) {
		return nil
	}
	return replaceFile(m.private(newestFile), note)
}

// Behind remembers whether the log shows less than it signed before, and returns since
// when.
func (m *Mirror) Behind(behind bool, now time.Time) (since time.Time, err error) {
	if behind != m.state.Behind.IsZero() {
		return m.state.Behind, nil
	}
	if m.state.Behind = (time.Time{}); behind {
		m.state.Behind = now.UTC()
	}
	return m.state.Behind, m.save()
}

func (m *Mirror) save() error {
	data, err := json.Marshal(m.state)
	if err != nil {
		return err
	}
	return replaceFile(m.private(stateFile), append(data, '\n'))
}

// ReadTile implements proofs.TileReader over the tree of Checkpoint, from disk.
func (m *Mirror) ReadTile(level int, index uint64, width int) (*proofs.Tile, error) {
	if level < 0 || level > 63/proofs.TileHeight {
		return nil, fmt.Errorf("there is no level %d", level)
	}
	have := m.whole.Size >> (level * proofs.TileHeight)
	if index > have/proofs.TileWidth || have-index*proofs.TileWidth < uint64(width) {
		return nil, fmt.Errorf("tile %d of level %d is not in the mirror: it has %d entries", index, level, m.whole.Size)
	}
	p := piece{level: level, index: index, width: int(min(have-index*proofs.TileWidth, proofs.TileWidth))}
	if t := m.tiles[p]; t != nil {
		return t, nil
	}
	data, err := os.ReadFile(m.file(p))
	if err != nil {
		return nil, err
	}
	t, err := proofs.ParseTile(data)
	if err == nil && t.Width() != p.width {
		err = fmt.Errorf("%w: a tile of %d hashes, not %d", ErrMirror, t.Width(), p.width)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.file(p), err)
	}
	if m.tiles == nil || len(m.tiles) == keptTiles {
		m.tiles = map[piece]*proofs.Tile{}
	}
	m.tiles[p] = t
	return t, nil
}

// Entry returns the entry at index from disk, checked against the tile above it. That
// the tile is the log's was checked when it was written.
func (m *Mirror) Entry(index uint64) (string, error) {
	if index >= m.whole.Size {
		return "", fmt.Errorf("entry %d is not in the mirror: it has %d", index, m.whole.Size)
	}
	bundle := index / proofs.TileWidth
	p := piece{level: entriesLevel, index: bundle, width: int(min(m.whole.Size-bundle*proofs.TileWidth, proofs.TileWidth))}
	if p != m.bundle || m.entries == nil {
		data, err := os.ReadFile(m.file(p))
		if err != nil {
			return "", err
		}
		entries, ok := unbundle(data)
		if !ok || len(entries) != p.width {
			return "", fmt.Errorf("%s: %w: it is no bundle of %d entries", m.file(p), ErrMirror, p.width)
		}
		m.bundle, m.entries = p, entries
	}
	entry := m.entries[index%proofs.TileWidth]
	path, err := proofs.InclusionProof(index, m.whole.Size, m)
	if err != nil {
		return "", err
	}
	if err := proofs.VerifyInclusion(path, index, m.whole.Size, proofs.LeafHash([]byte(entry)), m.whole.Root); err != nil {
		return "", fmt.Errorf("%s: %w: %w; have it checked again", m.file(p), ErrMirror, err)
	}
	return entry, nil
}

// A piece is a tile, or with entriesLevel a bundle of entries.
type piece struct {
	level int
	index uint64
	width int
}

const entriesLevel = -1

// path is where the piece stands under a log's address (C2SP tlog-tiles).
func (p piece) path() string {
	return strings.TrimPrefix(tilePath(p.name(), p.index, p.width), "/log/")
}

func (p piece) name() string {
	if p.level == entriesLevel {
		return "entries"
	}
	return fmt.Sprint(p.level)
}

// covers is the range of entries that the piece has, or that its hashes stand for.
func (p piece) covers() (from, to uint64) {
	shift := max(p.level, 0) * proofs.TileHeight
	return p.index * proofs.TileWidth << shift, (p.index*proofs.TileWidth + uint64(p.width)) << shift
}

func (m *Mirror) file(p piece) string { return filepath.Join(m.dir, filepath.FromSlash(p.path())) }

// Public returns the entries in the mirror whose record is public and has not been kept
// yet, oldest first.
func (m *Mirror) Public() []uint64 { return slices.Clone(m.state.Public) }

// KeepRecord keeps the public record of an entry, where the log serves its own:
// records/INDEX. The caller has checked it.
func (m *Mirror) KeepRecord(index uint64, receipt []byte) error {
	path := filepath.Join(m.dir, "records", fmt.Sprint(index))
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	if err := replaceFile(path, receipt); err != nil {
		return err
	}
	m.state.Public = slices.DeleteFunc(m.state.Public, func(n uint64) bool { return n == index })
	return m.save()
}

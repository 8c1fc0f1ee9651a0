package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/muniment/muniment/proofs"
)

// A PieceError is a part of a log that is not there, or not what the log signed. What is
// wrong with it is the word of whoever served it alone, and accuses nobody of more.
type PieceError struct {
	Path     string // under the log's address, or in the mirror
	From, To uint64 // the entries it has, or that its hashes stand for: From up to To-1
	Err      error  // a Problem that says no, or one that wraps ErrAnswer or ErrLog
}

// Error implements error.
func (e *PieceError) Error() string {
	return fmt.Sprintf("%s, of entries %d to %d: %v", e.Path, e.From, e.To-1, e.Err)
}

// Unwrap returns Err.
func (e *PieceError) Unwrap() error { return e.Err }

// Filling is how a mirror is filled.
type Filling struct {
	// From is the log; nil: nothing is fetched, and what is on disk is checked.
	From *Client
	// Again checks what was checked before as well, and mends it.
	Again bool
	// Parallel is how many pieces are fetched at once; 0 stands for 8.
	Parallel int
	// Progress, unless nil, is told of entries that are done. It is called from one
	// goroutine at a time.
	Progress func(entries int)
}

const defaultParallel = 8

// span is how many bundles there are between two points of durability: those of one
// tile of level 1.
const span = proofs.TileWidth

// Fill brings the mirror up to a checkpoint, which must be believed, and be known to
// continue Checkpoint. Each tile is held against the hash above it, from the signed
// root down, and each entry against its tile; both are fetched and compared. When it
// returns nil, all is durable, and Checkpoint is note. A *PieceError is what the log
// shows; any other error is a failure on this side or on the way.
func (m *Mirror) Fill(ctx context.Context, note []byte, cp proofs.Checkpoint, how Filling) error {
	switch {
	case m.state.Origin != "" && m.state.Origin != cp.Origin, m.whole.Size > 0 && m.whole.Origin != cp.Origin:
		return fmt.Errorf("%w: %s has another log", ErrMirror, m.dir)
	case cp.Size < m.whole.Size || cp.Size > proofs.MaxSize:
		return fmt.Errorf("a mirror of %d entries cannot be filled up to %d", m.whole.Size, cp.Size)
	case cp.Size == 0:
		return nil
	case !how.Again && cp == m.whole.Checkpoint && bytes.Equal(note, m.whole.note) && m.state.Full == cp.Size-cp.Size%proofs.TileWidth:
		return nil
	}
	m.state.Origin, m.tiles, m.entries = cp.Origin, nil, nil
	if how.Again {
		m.state.Full, m.state.Time, m.state.Breaches, m.state.Public = 0, time.Time{}, nil, nil
	}
	if how.Parallel == 0 {
		how.Parallel = defaultParallel
	}
	edges := map[int]uint64{}
	for level := entriesLevel; level <= 63/proofs.TileHeight; level++ {
		edges[level] = m.edgeOf(level)
	}
	f := &filling{m: m, size: cp.Size, start: m.state.Full, how: how, folders: map[string]bool{}}
	if err := f.run(ctx, cp); err != nil {
		return err
	}
	if err := replaceFile(filepath.Join(m.dir, "checkpoint"), note); err != nil {
		return err
	}
	m.whole = mirrored{bytes.Clone(note), cp}
	return m.prune(edges)
}

// edgeOf is the index of the newest piece of a level under Checkpoint.
func (m *Mirror) edgeOf(level int) uint64 {
	return m.whole.Size >> (max(level, 0) * proofs.TileHeight) / proofs.TileWidth
}

// prune removes the partial pieces at the edge of the checkpoint before that are full
// now. Those that are not full yet stay, for its readers.
func (m *Mirror) prune(edges map[int]uint64) error {
	var err error
	for level, index := range edges {
		if m.edgeOf(level) > index {
			err = errors.Join(err, os.RemoveAll(m.file(piece{level, index, proofs.TileWidth})+".p"))
		}
	}
	return err
}

// filling is one run of Fill.
type filling struct {
	m    *Mirror
	size uint64
	// start is how many entries were durable when it began, in full bundles.
	start uint64
	how   Filling
	edge  map[int]*edge // by level

	jobs    chan job
	results chan checked

	mu      sync.Mutex
	written []string        // files since the last point of durability
	folders map[string]bool // that are known to be there
}

// edge is the partial tile of a level, whose hashes are proved by the signed root.
type edge struct {
	piece
	hashes []proofs.Hash
	onDisk bool
}

// job is a bundle and the hash that it must lead to: of its full tile, or of the edge.
type job struct {
	piece
	want proofs.Hash
	edge *edge // of a bundle that is not full
}

func (f *filling) run(ctx context.Context, cp proofs.Checkpoint) error {
	if err := f.edges(ctx, cp); err != nil {
		return err
	}
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	f.jobs = make(chan job, 2*f.how.Parallel)
	f.results = make(chan checked, span)
	var workers sync.WaitGroup
	for range f.how.Parallel {
		workers.Go(func() {
			for j := range f.jobs {
				c, err := f.bundle(ctx, j)
				if err != nil {
					fail(err)
					return
				}
				select {
				case f.results <- c:
				case <-ctx.Done():
					return
				}
			}
		})
	}
	go func() {
		defer close(f.results)
		defer workers.Wait()
		defer close(f.jobs)
		if err := f.walk(ctx); err != nil {
			fail(err)
		}
	}()
	err := f.collect()
	if err != nil {
		fail(err)
	}
	for range f.results { // whoever works still ends first
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// edges fetches the partial tiles, and proves them: together they have the root.
func (f *filling) edges(ctx context.Context, cp proofs.Checkpoint) error {
	f.edge = map[int]*edge{}
	for level := 0; cp.Size>>(level*proofs.TileHeight) > 0; level++ {
		have := cp.Size >> (level * proofs.TileHeight)
		if have%proofs.TileWidth == 0 {
			continue
		}
		p := piece{level, have / proofs.TileWidth, int(have % proofs.TileWidth)}
		data, onDisk, err := f.take(ctx, p, nil)
		if err != nil {
			return err
		}
		f.edge[level] = &edge{p, hashesOf(data), onDisk}
	}
	root, err := proofs.RootAt(cp.Size, f)
	if err != nil {
		return err
	}
	if root == cp.Root {
		return f.keepEdges()
	}
	if f.forget() {
		return f.edges(ctx, cp) // those on disk are not of this log: the log's own decide
	}
	return &PieceError{"tile/", 0, cp.Size, fmt.Errorf("%w: its newest tiles do not lead to the root it signed", ErrLog)}
}

// forget removes the edge's tiles from disk, and reports whether there were any that
// could be fetched instead.
func (f *filling) forget() bool {
	any := false
	for _, e := range f.edge {
		if f.how.From != nil && os.Remove(f.m.file(e.piece)) == nil {
			any = true
		}
	}
	return any
}

func (f *filling) keepEdges() error {
	for _, e := range f.edge {
		if err := f.keep(e.piece, bytesOf(e.hashes), e.onDisk); err != nil {
			return err
		}
	}
	return nil
}

// ReadTile implements proofs.TileReader over the edge.
func (f *filling) ReadTile(level int, index uint64, width int) (*proofs.Tile, error) {
	e := f.edge[level]
	if e == nil || e.index != index || e.width < width {
		return nil, fmt.Errorf("tile %d of level %d is not at the edge of %d entries", index, level, f.size)
	}
	return proofs.NewTile(e.hashes), nil
}

// walk goes through the tree from the left, and gives out its bundles.
func (f *filling) walk(ctx context.Context) error {
	for level := 63 / proofs.TileHeight; level > 0; level-- {
		e := f.edge[level]
		if e == nil {
			continue
		}
		for i, h := range e.hashes {
			if err := f.descend(ctx, piece{level - 1, e.index*proofs.TileWidth + uint64(i), proofs.TileWidth}, h); err != nil {
				return err
			}
		}
	}
	if e := f.edge[0]; e != nil {
		return f.give(ctx, job{piece: piece{entriesLevel, e.index, e.width}, edge: e})
	}
	return nil
}

// descend proves a full tile by its hash, and then what is below it.
func (f *filling) descend(ctx context.Context, p piece, want proofs.Hash) error {
	if _, to := p.covers(); to <= f.start {
		return nil
	}
	if p.level == 0 {
		return f.give(ctx, job{piece: piece{entriesLevel, p.index, p.width}, want: want})
	}
	data, onDisk, err := f.take(ctx, p, func(data []byte) bool { return rootOf(hashesOf(data)) == want })
	if err != nil {
		return err
	}
	if err := f.keep(p, data, onDisk); err != nil {
		return err
	}
	for i, h := range hashesOf(data) {
		below := piece{p.level - 1, p.index*proofs.TileWidth + uint64(i), proofs.TileWidth}
		if err := f.descend(ctx, below, h); err != nil {
			return err
		}
	}
	return nil
}

func (f *filling) give(ctx context.Context, j job) error {
	select {
	case f.jobs <- j:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// bundle checks one bundle and its tile, fetches what is not on disk, and keeps both.
func (f *filling) bundle(ctx context.Context, j job) (checked, error) {
	var c checked
	var leaves []byte
	proves := func(data []byte) bool {
		var hashes []proofs.Hash
		if c, hashes = checkBundle(j.piece, data); len(hashes) != j.width {
			return false
		}
		leaves = bytesOf(hashes)
		if j.edge != nil {
			return bytes.Equal(leaves, bytesOf(j.edge.hashes))
		}
		return rootOf(hashes) == j.want
	}
	data, onDisk, err := f.take(ctx, j.piece, proves)
	if err != nil {
		return checked{}, err
	}
	if err := f.keep(j.piece, data, onDisk); err != nil {
		return checked{}, err
	}
	if j.edge != nil {
		return c, nil // the edge is kept already
	}
	tile := piece{0, j.index, j.width}
	_, onDisk, err = f.take(ctx, tile, func(data []byte) bool { return bytes.Equal(data, leaves) })
	if err != nil {
		return checked{}, err
	}
	return c, f.keep(tile, leaves, onDisk)
}

// take returns a piece that is as it must be: from disk if it is there, else from the
// log.
func (f *filling) take(ctx context.Context, p piece, right func([]byte) bool) (data []byte, onDisk bool, err error) {
	if right == nil {
		right = func([]byte) bool { return true }
	}
	data, err = os.ReadFile(f.m.file(p))
	switch {
	case err == nil && p.whole(data) && right(data):
		return data, true, nil
	case f.how.From == nil && err == nil:
		return nil, false, f.wrong(p, fmt.Errorf("%w: it is not what was signed", ErrLog))
	case f.how.From == nil && errors.Is(err, os.ErrNotExist):
		return nil, false, f.wrong(p, err)
	case err != nil && !errors.Is(err, os.ErrNotExist):
		return nil, false, err
	}
	data, err = f.how.From.fetchPiece(ctx, p)
	switch problem := (*Problem)(nil); {
	case errors.As(err, &problem) && !problem.Retry(), errors.Is(err, ErrAnswer):
		return nil, false, f.wrong(p, err)
	case err != nil:
		return nil, false, err
	case !right(data):
		return nil, false, f.wrong(p, fmt.Errorf("%w: it is not what was signed", ErrLog))
	}
	return data, false, nil
}

func (f *filling) wrong(p piece, err error) error {
	from, to := p.covers()
	return &PieceError{p.path(), from, to, err}
}

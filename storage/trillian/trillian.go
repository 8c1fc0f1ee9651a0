// Package trillian builds the log's tree a second time, with the code of
// github.com/google/trillian: embedded in this process, on the ledger's own database, which
// is other code; or remote, at a supervisor, who then keeps all entries too.
//
// The tree is a PREORDERED_LOG of the entries as they are stored. It is disposable: it is
// found by its description, which is the log's origin, and can be built anew beside the one
// in force.
package trillian

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	trillianpb "github.com/google/trillian"
	"github.com/google/trillian/trees"
	"github.com/google/trillian/types"
	"google.golang.org/genproto/protobuf/field_mask"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
)

// server is what is asked of Trillian, whichever way it is reached.
type server interface {
	AddSequencedLeaves(context.Context, *trillianpb.AddSequencedLeavesRequest) (*trillianpb.AddSequencedLeavesResponse, error)
	GetLeavesByRange(context.Context, *trillianpb.GetLeavesByRangeRequest) (*trillianpb.GetLeavesByRangeResponse, error)
	GetLatestSignedLogRoot(context.Context, *trillianpb.GetLatestSignedLogRootRequest) (*trillianpb.GetLatestSignedLogRootResponse, error)
	InitLog(context.Context, *trillianpb.InitLogRequest) (*trillianpb.InitLogResponse, error)
	ListTrees(context.Context, *trillianpb.ListTreesRequest) (*trillianpb.ListTreesResponse, error)
	CreateTree(context.Context, *trillianpb.CreateTreeRequest) (*trillianpb.Tree, error)
	UpdateTree(context.Context, *trillianpb.UpdateTreeRequest) (*trillianpb.Tree, error)
	DeleteTree(context.Context, *trillianpb.DeleteTreeRequest) (*trillianpb.Tree, error)

	// integrate has leaves that were added put into the tree, or waits until they are: all
	// below size, if they are there. It returns without an error when it cannot go on.
	integrate(ctx context.Context, tree *trillianpb.Tree, size uint64) error
	// tidy removes what nobody needs of a tree: old heads, or all of one that was deleted.
	tidy(ctx context.Context, tree *trillianpb.Tree, deleted bool) error
	close() error
}

// maxOrigin is what fits into a tree's description beside what marks a candidate.
const maxOrigin = 128

// candidate is how the description of a tree begins that is being built.
const candidate = "being built: "

// Log is the second tree of one log. It implements notary.SecondTree. It is safe for
// concurrent use.
type Log struct {
	*tree
}

// tree finds one tree by its description, and feeds it.
type tree struct {
	origin      string
	description string
	server      server

	mu       sync.Mutex
	found    *trillianpb.Tree // by Head; nil: not yet
	left     notary.Tree      // what the last Extend left; zero after one that failed
	extended int              // calls of Extend since the last tidying
}

func newLog(origin string, s server) (*Log, error) {
	if origin == "" || len(origin) > maxOrigin {
		return nil, errors.Join(fmt.Errorf("an origin has 1 to %d bytes", maxOrigin), s.close())
	}
	return &Log{&tree{origin: origin, description: origin, server: s}}, nil
}

// Close ends the connections.
func (l *Log) Close() error { return l.server.close() }

// look finds the tree with the description. Of several the newest is in force: the others
// were about to be deleted.
func (t *tree) look(ctx context.Context) (*trillianpb.Tree, error) {
	all, err := t.all(ctx, t.description)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("there is no tree %q: %w", t.description, notary.ErrNotFound)
	}
	newest := all[0]
	for _, other := range all {
		if later(other, newest) {
			newest = other
		}
	}
	return newest, nil
}

// later reports whether a came into force after b.
func later(a, b *trillianpb.Tree) bool {
	ta, tb := a.GetUpdateTime().AsTime(), b.GetUpdateTime().AsTime()
	return ta.After(tb) || ta.Equal(tb) && a.TreeId > b.TreeId
}

// all returns the trees with a description.
func (t *tree) all(ctx context.Context, description string) ([]*trillianpb.Tree, error) {
	list, err := t.server.ListTrees(ctx, &trillianpb.ListTreesRequest{})
	if err != nil {
		return nil, fmt.Errorf("listing Trillian's trees: %w", err)
	}
	var all []*trillianpb.Tree
	for _, tree := range list.GetTree() {
		if tree.GetDescription() == description && tree.GetTreeType() == trillianpb.TreeType_PREORDERED_LOG && !tree.GetDeleted() {
			all = append(all, tree)
		}
	}
	return all, nil
}

// Head implements notary.SecondTree.
func (t *tree) Head(ctx context.Context) (notary.Tree, error) {
	found, err := t.look(ctx)
	if err != nil {
		return notary.Tree{}, err
	}
	t.mu.Lock()
	t.found, t.left = found, notary.Tree{}
	t.mu.Unlock()
	return t.head(ctx, found)
}

// current is the tree that Head found.
func (t *tree) current(ctx context.Context) (*trillianpb.Tree, error) {
	t.mu.Lock()
	found := t.found
	t.mu.Unlock()
	if found != nil {
		return found, nil
	}
	if _, err := t.Head(ctx); err != nil {
		return nil, err
	}
	return t.current(ctx)
}

// head reads size and root of a tree. Trillian answers a failed look at its tree heads with
// an empty root, so nothing short of a whole one is believed.
func (t *tree) head(ctx context.Context, tree *trillianpb.Tree) (notary.Tree, error) {
	answer, err := t.server.GetLatestSignedLogRoot(ctx, &trillianpb.GetLatestSignedLogRootRequest{LogId: tree.TreeId})
	if err != nil {
		return notary.Tree{}, explained(err)
	}
	return readRoot(answer.GetSignedLogRoot())
}

func readRoot(signed *trillianpb.SignedLogRoot) (notary.Tree, error) {
	root, err := parseRoot(signed)
	if err != nil {
		return notary.Tree{}, err
	}
	return notary.Tree{Size: root.TreeSize, Root: proofs.Hash(root.RootHash)}, nil
}

func parseRoot(signed *trillianpb.SignedLogRoot) (types.LogRootV1, error) {
	var root types.LogRootV1
	if signed == nil || len(signed.LogRoot) == 0 {
		return root, errors.New("an answer without a root")
	}
	if err := root.UnmarshalBinary(signed.LogRoot); err != nil {
		return root, fmt.Errorf("the root cannot be read: %w", err)
	}
	if len(root.RootHash) != proofs.HashSize || root.TimestampNanos == 0 {
		return root, fmt.Errorf("an answer with a root of %d bytes at time %d", len(root.RootHash), root.TimestampNanos)
	}
	if root.TreeSize == 0 && proofs.Hash(root.RootHash) != proofs.EmptyRoot {
		return root, errors.New("an answer with an empty tree whose root is not that of one")
	}
	return root, nil
}

// explained gives Trillian's errors the meaning that the notary knows.
func explained(err error) error {
	switch code := status.Code(err); {
	case code == codes.NotFound, code == codes.FailedPrecondition && strings.Contains(err.Error(), "FROZEN"):
		return fmt.Errorf("%w: %w", notary.ErrNotFound, err)
	case strings.Contains(err.Error(), "refusing to sign root with timestamp earlier"):
		return fmt.Errorf("%w: %w", notary.ErrTreeClock, err)
	}
	return err
}

// identity names a leaf by its place, so that one place is never taken twice.
func identity(origin string, index uint64) []byte {
	sum := sha256.Sum256(strconv.AppendUint(append([]byte(origin), '\n'), index, 10))
	return sum[:]
}

// attempts is how often Extend looks again at what another feeder, or a call of its own
// whose answer was lost, has left.
const attempts = 4

// tidyEvery is after how many calls of Extend old tree heads are removed.
const tidyEvery = 1000

// Extend implements notary.SecondTree.
func (t *tree) Extend(ctx context.Context, from uint64, entries [][]byte) (notary.Tree, error) {
	if len(entries) == 0 || len(entries) > notary.MaxExtension {
		return notary.Tree{}, fmt.Errorf("%d entries are not 1 to %d", len(entries), notary.MaxExtension)
	}
	tree, err := t.current(ctx)
	if err != nil {
		return notary.Tree{}, err
	}
	to, size, left := from+uint64(len(entries)), from, t.takeLeft()
	for range attempts {
		head, sure, err := t.step(ctx, tree, left, from, entries)
		left = notary.Tree{}
		switch {
		case err != nil:
			return notary.Tree{}, err
		case sure && head.Size >= to:
			t.tidied(ctx, tree, head)
			return head, nil
		case head.Size <= size:
			return notary.Tree{}, t.hole(ctx, tree, to)
		}
		size = head.Size
	}
	return notary.Tree{}, t.hole(ctx, tree, to)
}

// takeLeft returns what the last Extend left, once.
func (t *tree) takeLeft() notary.Tree {
	t.mu.Lock()
	defer t.mu.Unlock()
	left := t.left
	t.left = notary.Tree{}
	return left
}

// step compares what the tree holds, adds what it does not, and has it integrated. It is
// sure of the tree unless some of what it added was there, integrated or not: the next step
// compares that. A tree that was left at from is not asked where it is: if others have fed
// it since, places are taken, and if it has lost some, it does not grow.
func (t *tree) step(ctx context.Context, tree *trillianpb.Tree, left notary.Tree, from uint64, entries [][]byte) (head notary.Tree, sure bool, err error) {
	to := from + uint64(len(entries))
	if head = left; head.Size != from || from == 0 {
		if head, err = t.head(ctx, tree); err != nil {
			return head, false, err
		}
	}
	if from > head.Size {
		return head, false, fmt.Errorf("entries from %d leave a gap in a tree of %d", from, head.Size)
	}
	known := min(head.Size, to)
	if err := t.compare(ctx, tree, from, entries[:known-from]); err != nil || head.Size >= to {
		return head, true, err
	}
	sure, err = t.add(ctx, tree, known, entries[known-from:])
	if err != nil {
		return head, false, err
	}
	if err := t.server.integrate(ctx, tree, to); err != nil {
		return head, false, explained(err)
	}
	head, err = t.head(ctx, tree)
	return head, sure, err
}

// add hands leaves over, and reports whether all of them were new: in a retry some are
// there, as this call gave them or not.
func (t *tree) add(ctx context.Context, tree *trillianpb.Tree, from uint64, entries [][]byte) (all bool, err error) {
	leaves := make([]*trillianpb.LogLeaf, len(entries))
	for i, e := range entries {
		index := from + uint64(i)
		leaves[i] = &trillianpb.LogLeaf{LeafValue: e, LeafIndex: int64(index), LeafIdentityHash: identity(t.origin, index)}
	}
	// Embedded, the tree's row need not be looked up again: it was by Head, and is when the
	// head is read afterwards.
	answer, err := t.server.AddSequencedLeaves(trees.NewContext(ctx, tree), &trillianpb.AddSequencedLeavesRequest{LogId: tree.TreeId, Leaves: leaves})
	if err != nil {
		return false, explained(err)
	}
	if len(answer.GetResults()) != len(leaves) {
		return false, fmt.Errorf("an answer for %d leaves of %d", len(answer.GetResults()), len(leaves))
	}
	all = true
	for i, r := range answer.GetResults() {
		switch code := codes.Code(r.GetStatus().GetCode()); code {
		case codes.OK:
		case codes.FailedPrecondition, codes.AlreadyExists:
			all = false
		default:
			return false, fmt.Errorf("leaf %d was refused: %v: %s", from+uint64(i), code, r.GetStatus().GetMessage())
		}
	}
	return all, nil
}

// compare holds entries against the leaves that the tree has.
func (t *tree) compare(ctx context.Context, tree *trillianpb.Tree, from uint64, entries [][]byte) error {
	if len(entries) == 0 {
		return nil
	}
	leaves, err := t.leaves(ctx, tree, from, from+uint64(len(entries)))
	if err != nil {
		return err
	}
	for i, leaf := range leaves {
		index := from + uint64(i)
		hash := proofs.LeafHash(entries[i])
		if !bytes.Equal(leaf.LeafValue, entries[i]) || !bytes.Equal(leaf.MerkleLeafHash, hash[:]) {
			return fmt.Errorf("%w: entry %d", notary.ErrDisagree, index)
		}
	}
	return nil
}

// leaves reads leaves that are integrated.
func (t *tree) leaves(ctx context.Context, tree *trillianpb.Tree, from, to uint64) ([]*trillianpb.LogLeaf, error) {
	answer, err := t.server.GetLeavesByRange(ctx, &trillianpb.GetLeavesByRangeRequest{LogId: tree.TreeId, StartIndex: int64(from), Count: int64(to - from)})
	if err != nil {
		if strings.Contains(err.Error(), "got unexpected index") {
			return nil, fmt.Errorf("%w: a leaf from %d on is missing in Trillian: %w", notary.ErrDamaged, from, err)
		}
		return nil, explained(err)
	}
	leaves := answer.GetLeaves()
	if uint64(len(leaves)) > to-from {
		leaves = leaves[:to-from]
	}
	for i, leaf := range leaves {
		if index := from + uint64(i); leaf.GetLeafIndex() != int64(index) || !bytes.Equal(leaf.GetLeafIdentityHash(), identity(t.origin, index)) || len(leaf.GetMerkleLeafHash()) != proofs.HashSize {
			return nil, fmt.Errorf("%w: what Trillian has as leaf %d is not that", notary.ErrDamaged, index)
		}
	}
	if uint64(len(leaves)) < to-from {
		return nil, fmt.Errorf("%w: Trillian lacks leaf %d", notary.ErrDamaged, from+uint64(len(leaves)))
	}
	return leaves, nil
}

// Leaves implements notary.SecondTree.
func (t *tree) Leaves(ctx context.Context, from, to uint64) ([]proofs.Hash, error) {
	if from > to || to-from > notary.MaxExtension {
		return nil, fmt.Errorf("leaves from %d to %d are not 0 to %d", from, to, notary.MaxExtension)
	}
	tree, err := t.current(ctx)
	if err != nil {
		return nil, err
	}
	head, err := t.head(ctx, tree)
	if err != nil {
		return nil, err
	}
	if to > head.Size {
		return nil, fmt.Errorf("leaves to %d of a tree of %d: %w", to, head.Size, notary.ErrNotFound)
	}
	if from == to {
		return nil, nil
	}
	leaves, err := t.leaves(ctx, tree, from, to)
	if err != nil {
		return nil, err
	}
	hashes := make([]proofs.Hash, len(leaves))
	for i, leaf := range leaves {
		hashes[i] = proofs.Hash(leaf.MerkleLeafHash)
		if own := proofs.LeafHash(leaf.LeafValue); own != hashes[i] {
			return nil, fmt.Errorf("%w: leaf %d does not have the hash that Trillian keeps of it", notary.ErrDamaged, from+uint64(i))
		}
	}
	return hashes, nil
}

// hole says why the tree does not grow: a leaf that was never added, because something
// else has its name, or a sequencer that does not work.
func (t *tree) hole(ctx context.Context, tree *trillianpb.Tree, to uint64) error {
	answer, err := t.server.GetLatestSignedLogRoot(ctx, &trillianpb.GetLatestSignedLogRootRequest{LogId: tree.TreeId})
	if err != nil {
		return explained(err)
	}
	root, err := parseRoot(answer.GetSignedLogRoot())
	if err != nil {
		return err
	}
	if at := time.Unix(0, int64(root.TimestampNanos)); time.Until(at) > 0 {
		return fmt.Errorf("%w: its newest root is of %v", notary.ErrTreeClock, at.UTC())
	}
	return fmt.Errorf("the tree has %d entries and those up to %d are not integrated: the sequencer stands still, or it lacks leaf %d", root.TreeSize, to, root.TreeSize)
}

// tidied notes what is left, and removes old tree heads now and then. That it failed is no
// concern of the log's.
func (t *tree) tidied(ctx context.Context, tree *trillianpb.Tree, left notary.Tree) {
	t.mu.Lock()
	t.left = left
	t.extended++
	due := t.extended >= tidyEvery
	if due {
		t.extended = 0
	}
	t.mu.Unlock()
	if due {
		_ = t.server.tidy(ctx, tree, false)
	}
}

// Candidate is a tree that is being built beside the one in force. It implements
// notary.SecondTree.
type Candidate struct {
	*tree
	log *Log
}

// Beside makes an empty tree that is not in force. What an earlier one left half built is
// deleted.
func (l *Log) Beside(ctx context.Context) (*Candidate, error) {
	left, err := l.all(ctx, candidate+l.origin)
	if err != nil {
		return nil, err
	}
	for _, t := range left {
		if err := l.delete(ctx, t); err != nil {
			return nil, err
		}
	}
	made, err := l.server.CreateTree(ctx, &trillianpb.CreateTreeRequest{Tree: &trillianpb.Tree{
		TreeState: trillianpb.TreeState_ACTIVE, TreeType: trillianpb.TreeType_PREORDERED_LOG,
		DisplayName: "muniment", Description: candidate + l.origin, MaxRootDuration: durationpb.New(0),
	}})
	if err != nil {
		return nil, fmt.Errorf("making a tree: %w", err)
	}
	if _, err := l.server.InitLog(ctx, &trillianpb.InitLogRequest{LogId: made.TreeId}); err != nil {
		return nil, fmt.Errorf("beginning a tree: %w", err)
	}
	return &Candidate{&tree{origin: l.origin, description: candidate + l.origin, server: l.server, found: made}, l}, nil
}

// Swap puts the candidate in force, durable on return, and deletes the tree that was. A
// crash in between leaves the candidate in force, being the newer.
func (c *Candidate) Swap(ctx context.Context) error {
	tree, err := c.current(ctx)
	if err != nil {
		return err
	}
	old, err := c.log.all(ctx, c.origin)
	if err != nil {
		return err
	}
	_, err = c.server.UpdateTree(ctx, &trillianpb.UpdateTreeRequest{
		Tree:       &trillianpb.Tree{TreeId: tree.TreeId, Description: c.origin},
		UpdateMask: &field_mask.FieldMask{Paths: []string{"description"}},
	})
	if err != nil {
		return fmt.Errorf("putting the new tree in force: %w", err)
	}
	for _, t := range old {
		if err := c.delete(ctx, t); err != nil {
			return fmt.Errorf("the new tree is in force; deleting the old one: %w", err)
		}
	}
	return nil
}

// delete takes a tree away.
func (t *tree) delete(ctx context.Context, tree *trillianpb.Tree) error {
	if _, err := t.server.DeleteTree(ctx, &trillianpb.DeleteTreeRequest{TreeId: tree.TreeId}); err != nil && status.Code(err) != codes.NotFound {
		return err
	}
	return t.server.tidy(ctx, tree, true)
}

var _ notary.SecondTree = (*Log)(nil)

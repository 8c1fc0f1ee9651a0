package notary

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/muniment/muniment/proofs"
)

const (
	// opinionPatience is for how long a seal may wait for the second opinion before that is
	// said to callers.
	opinionPatience = 2 * time.Second
	// opinionAgain is how soon a second tree is asked again that did not answer, or said
	// that it cannot.
	opinionAgain = 200 * time.Millisecond
	// adviceAgain is that of one whose word is not waited for.
	adviceAgain = 2 * time.Second
	// maxOverlap is by how many entries the second tree may be behind to be fed beside the
	// audit. What is more is caught up before it, in spells of catchUpSpell, so that the
	// audit is done once and not once a spell.
	maxOverlap   = 8 * MaxExtension
	catchUpSpell = time.Second
)

// errMoved: the second tree holds more than it was compared for, as others have fed it, and
// the ledger holds that too. The round is begun anew with the newest head.
var errMoved = errors.New("the second tree was fed by another")

// treeError is what went wrong with the second tree, and not with the ledger.
type treeError struct{ err error }

func (e *treeError) Error() string { return "the second tree: " + e.err.Error() }
func (e *treeError) Unwrap() error { return e.err }

// opinion is how the second tree stands to the log.
type opinion struct {
	mu sync.Mutex
	// known is what the tree held when it last answered, compared with the ledger; nil: it
	// must be asked.
	known  *Tree
	held   uint64    // entries of the tree, as last seen
	agreed Tree      // at which the roots were last equal
	at     time.Time // when that was
	// since is from when on an answer is waited for; zero: the tree agrees with all that
	// it was asked about.
	since time.Time
	why   error // an ErrOpinion that says what is wrong; nil: it is being asked
	// probing is since when a probe is under way, and probed what the last one found.
	probing time.Time
	probed  error
}

// opinionRequired reports whether nothing is signed without the second tree.
func (n *Notary) opinionRequired() bool {
	return n.config.SecondTree != nil && !n.config.OpinionAdvisory
}

// opinionMissing reports whether a missing second opinion keeps things from being signed.
func (n *Notary) opinionMissing() bool { return n.opinionRequired() && n.opinion.missing() != nil }

// ask notes that the tree is waited for.
func (o *opinion) ask() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.since.IsZero() {
		o.since = time.Now()
	}
}

// keep notes what the tree holds.
func (o *opinion) keep(t Tree) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.known, o.held = &t, t.Size
}

// confirm notes that the roots are equal at what the tree holds, and returns what was
// wrong before.
func (o *opinion) confirm(t Tree) (before error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	before = o.why
	o.known, o.held, o.agreed, o.at = &t, t.Size, t, time.Now()
	o.since, o.why, o.probed = time.Time{}, nil, nil
	return before
}

// settled reports whether the tree agrees with all that it was asked about.
func (o *opinion) settled() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.since.IsZero()
}

// confirmed reports whether the tree was found equal to that one.
func (o *opinion) confirmed(t Tree) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.known != nil && *o.known == t && o.agreed == t
}

// doubt notes why the tree does not confirm, and returns what was wrong before.
func (o *opinion) doubt(why error) (before error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	before, o.why = o.why, why
	if !errors.Is(why, ErrTreeBehind) {
		o.known = nil
	}
	if o.since.IsZero() {
		o.since = time.Now()
	}
	return before
}

// forget has the tree asked what it holds before it is fed again.
func (o *opinion) forget() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.known = nil
}

// rest forgets what is known of the tree, when another process is to feed it.
func (o *opinion) rest() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.known, o.since, o.why, o.probed = nil, time.Time{}, nil, nil
}

// missing says why the tree has not confirmed what it was asked to for so long that
// callers are told; nil: it has, or it is not long yet.
func (o *opinion) missing() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	// That it is far behind is known, and takes as long as it takes.
	if o.since.IsZero() || time.Since(o.since) < opinionPatience && !errors.Is(o.why, ErrTreeBehind) {
		return nil
	}
	if o.why == nil {
		return silentTree
	}
	return o.why
}

// silentTree is all that is told of a tree that fails or does not answer.
var silentTree error = &OpinionError{"the second tree does not answer", ErrOpinion}

// Others say what is wrong with it more closely.
var (
	contraryTree error = &OpinionError{"the second tree disagrees with the ledger", ErrOpinion}
	untimelyTree error = &OpinionError{ErrTreeClock.Error(), fmt.Errorf("%w: %w", ErrOpinion, ErrTreeClock)}
	missingTree  error = &OpinionError{"there is no second tree of this log", ErrOpinion}
)

// fault says what is wrong with the tree: what keeps a seal waiting, or what a probe found.
func (o *opinion) fault() error {
	if err := o.missing(); err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.probing.IsZero() && time.Since(o.probing) > stuckAfter {
		return silentTree
	}
	return o.probed
}

// look is what metrics tell of the tree.
func (o *opinion) look() (held uint64, agreed time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.held, o.at
}

// meet asks the tree what it holds, and holds that against the ledger: at the beginning of
// a term, and after every failure. A tree that is ahead of the ledger, or has another root,
// is a contradiction.
func (n *Notary) meet(ctx context.Context) (Tree, error) {
	tree, err := n.config.SecondTree.Head(ctx)
	if err != nil {
		return Tree{}, &treeError{err}
	}
	head, err := n.config.Ledger.Head(ctx) // read after the tree, which is never fed beyond it
	if err != nil {
		return Tree{}, fmt.Errorf("reading the head: %w", err)
	}
	if tree.Size > head.Size {
		return Tree{}, contradiction("the second tree has %d entries, the ledger only %d: the ledger was rolled back; restore one with at least %d entries",
			tree.Size, head.Size, tree.Size)
	}
	if err := n.compare(ctx, tree); err != nil {
		return Tree{}, err
	}
	n.opinion.keep(tree)
	return tree, nil
}

// compare holds the tree's root against the ledger's at the tree's size.
func (n *Notary) compare(ctx context.Context, tree Tree) error {
	root, err := proofs.RootAt(tree.Size, n.storedTiles(ctx))
	if err != nil {
		return fmt.Errorf("root at size %d: %w", tree.Size, err)
	}
	if root != tree.Root {
		return disagreement(tree, root)
	}
	return nil
}

func disagreement(tree Tree, ours proofs.Hash) error {
	return contradiction("the second tree has root %s at size %d, the ledger's is %s; munimentd fsck --trillian names the entries that differ",
		tree.Root, tree.Size, ours)
}

// met is what the tree holds, from memory if nothing has failed since.
func (n *Notary) met(ctx context.Context) (Tree, error) {
	n.opinion.mu.Lock()
	known := n.opinion.known
	n.opinion.mu.Unlock()
	if known != nil {
		return *known, nil
	}
	return n.meet(ctx)
}

// extension is a run of entries, as they are stored, on its way into the second tree.
type extension struct {
	from    uint64
	entries [][]byte
	err     error
}

// extend gives a second tree the entries that it lacks up to a size, in batches, each read
// from the ledger while the one before is being integrated, and returns what the tree holds
// then. may is asked before each with what it holds; its error ends it.
func (n *Notary) extend(ctx context.Context, to SecondTree, tree Tree, size uint64, may func(Tree) error) (Tree, error) {
	ctx, cancel := context.WithCancel(ctx)
	read := make(chan extension, 1)
	go n.readExtensions(ctx, tree.Size, size, read)
	defer func() {
		cancel()
		for range read { // the reader has left the ledger alone once it is closed
		}
	}()
	for e := range read {
		if e.err != nil {
			return tree, e.err
		}
		if err := may(tree); err != nil {
			return tree, err
		}
		next, err := to.Extend(ctx, e.from, e.entries)
		if err == nil && next.Size < e.from+uint64(len(e.entries)) {
			err = fmt.Errorf("it was given %d entries and says that it has %d", e.from+uint64(len(e.entries)), next.Size)
		}
		if err != nil {
			return tree, &treeError{err}
		}
		tree = next
	}
	return tree, ctx.Err()
}

// readExtensions reads entries from where they are stored, until an error, which is the
// last that it sends.
func (n *Notary) readExtensions(ctx context.Context, from, to uint64, out chan<- extension) {
	defer close(out)
	for from < to {
		e := extension{from: from}
		end := min(from+MaxExtension, to)
		if e.entries, e.err = n.config.Ledger.Entries(ctx, from, end); e.err != nil {
			e.err = fmt.Errorf("entries %d to %d: %w", from, end, e.err)
		} else if uint64(len(e.entries)) != end-from {
			e.err = contradiction("entries %d to %d are not all there", from, end)
		}
		select {
		case out <- e:
		case <-ctx.Done():
			return
		}
		if e.err != nil {
			return
		}
		from = end
	}
}

// consult has the second tree confirm what is to be signed, beside the audit and the
// segment, and returns a function that waits for its word; unless that is not wanted any
// more. That must be called.
func (n *Notary) consult(ctx context.Context, next proofs.Checkpoint) (agreed func(wanted bool) error) {
	if !n.opinionRequired() {
		return func(bool) error { return nil }
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- n.confirm(ctx, next, n.sealing) }()
	return func(wanted bool) error {
		defer cancel()
		defer n.ready.waitFor(waitsForOpinion)()
		if !wanted {
			cancel()
		}
		return <-done
	}
}

// waitsForOpinion is why a seal hangs while the second tree is asked.
func waitsForOpinion(error) error { return silentTree }

// confirm feeds the second tree up to the size of next and compares the roots. may is
// whether this process is still to feed it.
func (n *Notary) confirm(ctx context.Context, next proofs.Checkpoint, may func() bool) error {
	want := Tree{next.Size, next.Root}
	if n.opinion.confirmed(want) {
		return nil
	}
	defer n.metrics.since(stageOpinion, time.Now())
	n.opinion.ask()
	tree, err := n.met(ctx)
	if err == nil {
		tree, err = n.extend(ctx, n.config.SecondTree, tree, next.Size, n.mayFeed(ctx, tree, may, time.Time{}))
	}
	switch {
	case err != nil:
		return n.weighTree(ctx, err)
	case tree.Size > next.Size:
		n.opinion.forget()
		if _, err := n.meet(ctx); err != nil { // which refuses one that is ahead of the ledger
			return n.weighTree(ctx, err)
		}
		return errMoved
	case tree.Root != next.Root:
		return n.weighTree(ctx, disagreement(tree, next.Root))
	}
	if before := n.opinion.confirm(tree); before != nil {
		n.config.Logger.Info("the second tree agrees again", "size", tree.Size)
	}
	return nil
}

// mayFeed is what is asked before each extension: whether this process still feeds the
// tree, and whether that agreed so far. After end it is enough for now.
func (n *Notary) mayFeed(ctx context.Context, start Tree, may func() bool, end time.Time) func(Tree) error {
	return func(t Tree) error {
		if !may() {
			return errDeposed
		}
		if t == start {
			return nil // it has been compared
		}
		if err := n.compare(ctx, t); err != nil {
			return err
		}
		n.opinion.keep(t)
		if !end.IsZero() && time.Now().After(end) {
			return ErrTreeBehind
		}
		return nil
	}
}

// catchUpTree feeds a second tree that is far behind for a while. Its error is
// ErrTreeBehind while there is more to do.
func (n *Notary) catchUpTree(ctx context.Context, next proofs.Checkpoint, may func() bool) error {
	if n.opinion.confirmed(Tree{next.Size, next.Root}) {
		return nil
	}
	n.opinion.ask()
	tree, err := n.met(ctx)
	if err == nil && tree.Size+maxOverlap < next.Size {
		tree, err = n.extend(ctx, n.config.SecondTree, tree, next.Size, n.mayFeed(ctx, tree, may, time.Now().Add(catchUpSpell)))
		if err == nil {
			if err = n.compare(ctx, tree); err == nil {
				n.opinion.keep(tree)
			}
		}
	}
	if err != nil && errors.Is(err, ErrTreeBehind) {
		n.opinion.mu.Lock()
		held := n.opinion.held
		n.opinion.mu.Unlock()
		err = &OpinionError{fmt.Sprintf("the second tree has %d of %d entries, and catches up", held, next.Size), ErrTreeBehind}
		if before := n.opinion.doubt(err); before == nil {
			n.config.Logger.Warn("the second tree is behind the ledger, and catches up", "size", held, "of", next.Size)
		}
		return err
	}
	if err != nil {
		return n.weighTree(ctx, err)
	}
	return nil
}

// weighTree judges what kept the second tree from confirming. What is the tree's failure
// becomes an ErrOpinion in our own words, since callers read it.
func (n *Notary) weighTree(ctx context.Context, err error) error {
	var c *contradictionError
	switch {
	case errors.Is(err, errDeposed):
		n.opinion.rest()
		return err
	case n.run != nil && n.run.Err() != nil, errors.Is(ctx.Err(), context.Canceled): // it was not let come to its end
		return err
	case errors.Is(err, ErrDisagree):
		err = contradiction("%v", err)
	case errors.As(err, &c):
	case !errors.As(err, new(*treeError)):
		return err
	}
	why := silentTree
	switch {
	case errors.As(err, &c):
		why = contraryTree
	case errors.Is(err, ErrTreeClock):
		n.metrics.refusedTimes.Inc()
		why = untimelyTree
	case errors.Is(err, ErrNotFound):
		why = missingTree
	}
	if before := n.opinion.doubt(why); before == nil || before.Error() != why.Error() {
		n.config.Logger.Error("the second tree does not confirm the log", "why", why, "error", err)
	}
	if errors.As(err, &c) {
		return err
	}
	return why
}

// auditTree holds the ledger against the second tree before anything is sealed, in a term
// of this process. One that does not answer is waited for by the first seal.
func (n *Notary) auditTree(ctx context.Context, head Head) error {
	if !n.opinionRequired() {
		return nil
	}
	n.opinion.rest()
	ctx, cancel := context.WithTimeout(ctx, opinionPatience)
	defer cancel()
	tree, err := n.meet(ctx)
	switch {
	case err != nil:
		err = n.weighTree(ctx, err)
	case tree.Size < head.Size && n.leading():
		n.opinion.ask() // it catches up though nothing new is to be sealed
	}
	if errors.Is(err, ErrOpinion) {
		return nil
	}
	return err
}

// runAdvisor feeds a second tree whose word is an alarm and nothing more, beside the
// sealer and always up to what is published.
func (n *Notary) runAdvisor() {
	defer n.workers.Done()
	n.opinion.rest()
	for pause := opinionAgain; n.sleep(pause); {
		pause = opinionAgain
		if !n.leading() {
			n.opinion.rest()
			continue
		}
		if v := n.view.Load(); v.size > 0 && n.advise(v) != nil {
			pause = adviceAgain // what is wrong has been told
		}
	}
}

// advise has the second tree confirm what is published, however far behind it is.
func (n *Notary) advise(v *view) error {
	note, err := proofs.ParseNote(v.note)
	if err != nil {
		return err // it was verified before it was shown
	}
	cp, err := proofs.ParseCheckpoint(note.Text)
	if err != nil {
		return err
	}
	for {
		ctx, cancel := context.WithTimeout(n.run, callTimeout)
		if err = n.catchUpTree(ctx, cp, n.leading); err == nil {
			err = n.confirm(ctx, cp, n.leading)
		}
		cancel()
		if !errors.Is(err, ErrTreeBehind) || n.run.Err() != nil {
			return err
		}
	}
}

// runTreeProbe finds out that a second tree does not answer while nobody deposits.
func (n *Notary) runTreeProbe() {
	defer n.workers.Done()
	for n.sleep(probeEvery) {
		if n.leading() {
			n.probeTree()
			continue
		}
		n.opinion.mu.Lock()
		n.opinion.probed = nil // it is another's to watch
		n.opinion.mu.Unlock()
	}
}

func (n *Notary) probeTree() {
	o := &n.opinion
	note := func(begun time.Time, found error) {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.probing, o.probed = begun, found
	}
	o.mu.Lock()
	before := o.probed
	o.mu.Unlock()
	note(time.Now(), before)
	ctx, cancel := context.WithTimeout(n.run, probeTimeout)
	defer cancel()
	_, err := n.config.SecondTree.Head(ctx)
	if n.run.Err() != nil {
		return
	}
	var found error
	if err != nil {
		found = silentTree
	}
	note(time.Time{}, found)
	if before == nil && err != nil {
		n.config.Logger.Error("the second tree does not answer", "error", err)
	}
}

// GrowSecondTree is the method of that name without a running Notary.
func GrowSecondTree(ctx context.Context, c Config, tree SecondTree, progress func(done, total uint64)) (Tree, error) {
	n, err := prepare(c)
	if err != nil {
		return Tree{}, err
	}
	return n.GrowSecondTree(ctx, tree, progress)
}

// GrowSecondTree gives a tree that nobody else feeds all entries of the ledger, and returns
// what it holds once that is all that the ledger held a moment before, with the ledger's
// root; and every anchor's is that of a prefix. progress, unless nil, is called with the
// entries that it holds and those that it is to.
func (n *Notary) GrowSecondTree(ctx context.Context, tree SecondTree, progress func(done, total uint64)) (Tree, error) {
	if progress == nil {
		progress = func(uint64, uint64) {}
	}
	c := &checker{n: n, report: &Report{}}
	anchors := c.loadAnchors(ctx)
	head, err := n.config.Ledger.Head(ctx)
	if err != nil {
		return Tree{}, fmt.Errorf("reading the head: %w", err)
	}
	c.head = head
	for i, cp := range anchors {
		c.anchor(ctx, i, cp)
	}
	if !c.report.Clean() {
		return Tree{}, contradiction("the ledger is not what is sealed: %s", c.report.Named[0])
	}
	has, err := tree.Head(ctx)
	if err != nil {
		return Tree{}, &treeError{err}
	}
	for {
		has, err = n.extend(ctx, tree, has, head.Size, func(t Tree) error {
			progress(t.Size, head.Size)
			return n.compare(ctx, t)
		})
		if err != nil {
			return Tree{}, err
		}
		if err := n.compare(ctx, has); err != nil {
			return Tree{}, err
		}
		progress(has.Size, head.Size)
		// What was committed meanwhile is given to it too, until that is little.
		before := head.Size
		if head, err = n.config.Ledger.Head(ctx); err != nil {
			return Tree{}, fmt.Errorf("reading the head: %w", err)
		}
		if head.Size-before <= MaxExtension {
			return has, nil
		}
	}
}

// TreeStanding is how the second tree stands to the ledger.
type TreeStanding struct {
	Tree   Tree
	Ledger Head
	// Root is the ledger's at the tree's size; zero where the tree is ahead of the ledger.
	Root proofs.Hash
}

// Agrees reports whether what the tree holds is a prefix of the ledger.
func (s TreeStanding) Agrees() bool { return s.Tree.Root == s.Root }

// CompareTree holds the second tree's root against the ledger's. It needs no running Notary.
func CompareTree(ctx context.Context, c Config) (TreeStanding, error) {
	n, err := prepare(c)
	if err != nil {
		return TreeStanding{}, err
	}
	return n.CompareTree(ctx)
}

// CompareTree is the function CompareTree on a running Notary.
func (n *Notary) CompareTree(ctx context.Context) (s TreeStanding, err error) {
	if s.Tree, err = n.config.SecondTree.Head(ctx); err != nil {
		return s, &treeError{err}
	}
	if s.Ledger, err = n.config.Ledger.Head(ctx); err != nil {
		return s, fmt.Errorf("reading the head: %w", err)
	}
	if s.Tree.Size > s.Ledger.Size {
		return s, nil
	}
	s.Root, err = proofs.RootAt(s.Tree.Size, n.storedTiles(ctx))
	return s, err
}

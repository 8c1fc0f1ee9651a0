package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/muniment/muniment/proofs"
)

// batchHead is the first line of a batch's answer.
type batchHead struct {
	Checkpoint string `json:"checkpoint"`
	Count      int    `json:"count"`
}

// batchLine is what the answer tells of one deposit, in the order of the request.
type batchLine struct {
	ID          string          `json:"id"`
	Index       uint64          `json:"index"`
	Entry       string          `json:"entry"`
	Path        []string        `json:"path"`
	Disclosures json.RawMessage `json:"disclosures"` // absent where the answer is minimal
}

// batch verifies the answer to a batch: all of its lines are under one checkpoint.
func (a *auditor) batch(f frame, log *publicLog, newest proofs.Checkpoint) error {
	first, rest, _ := bytes.Cut(f.body, []byte("\n"))
	var head batchHead
	if err := strict(first, &head); err != nil {
		return err
	}
	if head.Count != f.lines {
		return fmt.Errorf("%w: %d lines were sent and %d are answered", errLie, f.lines, head.Count)
	}
	cp, err := a.note(head.Checkpoint)
	if err != nil {
		return err
	}
	var before uint64
	for i := range f.lines {
		var text []byte
		text, rest, _ = bytes.Cut(rest, []byte("\n"))
		var line batchLine
		if err := strict(text, &line); err != nil {
			return fmt.Errorf("line %d: %w", i, err)
		}
		if i > 0 && line.Index != before+1 {
			return fmt.Errorf("%w: line %d is entry %d and does not follow entry %d", errLie, i, line.Index, before)
		}
		before = line.Index
		leaf, err := a.line(line, f.first+uint64(i), head.Checkpoint, cp)
		if err != nil {
			return fmt.Errorf("line %d: %w", i, err)
		}
		if err := a.settle(log, newest, line.Index, leaf); err != nil {
			return fmt.Errorf("line %d: %w", i, err)
		}
	}
	if len(rest) > 0 {
		return fmt.Errorf("%w: more lines than were sent", errLie)
	}
	return nil
}

// line verifies what is told of loan n, and returns its leaf.
func (a *auditor) line(l batchLine, n uint64, note string, cp proofs.Checkpoint) (proofs.Hash, error) {
	entry, err := proofs.ParseEntry(l.Entry)
	if err != nil {
		return proofs.Hash{}, fmt.Errorf("%w: %w", errLie, err)
	}
	path := make([]proofs.Hash, len(l.Path))
	for i, s := range l.Path {
		if path[i], err = proofs.ParseHash(s); err != nil {
			return proofs.Hash{}, fmt.Errorf("%w: %w", errLie, err)
		}
	}
	leaf := entry.LeafHash()
	if l.Disclosures != nil {
		return leaf, a.wholeLine(l, n, entry, path, note)
	}
	if a.whole {
		return leaf, fmt.Errorf("%w: it discloses nothing", errLie)
	}
	if err := proofs.VerifyInclusion(path, l.Index, cp.Size, leaf, cp.Root); err != nil {
		return leaf, fmt.Errorf("%w: %w", errLie, err)
	}
	a.count(&a.found.Lines)
	return leaf, nil
}

// note is what a batch's checkpoint says. Its signature is checked once.
func (a *auditor) note(note string) (proofs.Checkpoint, error) {
	a.mu.Lock()
	cp, ok := a.notes[note]
	a.mu.Unlock()
	if ok {
		return cp, nil
	}
	cp, err := sealed(a.policy, []byte(note))
	if err != nil {
		return cp, fmt.Errorf("%w: %w", errLie, err)
	}
	a.mu.Lock()
	a.notes[note] = cp
	a.mu.Unlock()
	return cp, a.stated(cp)
}

// strict reads one line of JSON without members that are not known.
func strict(line []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("%w: %w", errLie, err)
	}
	if d.More() {
		return fmt.Errorf("%w: more than one thing in a line", errLie)
	}
	return nil
}

// wholeLine makes the receipt that a line with disclosures stands for, and verifies it.
func (a *auditor) wholeLine(l batchLine, n uint64, entry proofs.Entry, path []proofs.Hash, note string) error {
	quoted, err := json.Marshal(entry.String())
	if err != nil {
		return err
	}
	extra := fmt.Sprintf(`{"disclosures":%s,"entry":%s,"timestamps":[]}`, l.Disclosures, quoted)
	var file strings.Builder
	fmt.Fprintf(&file, "c2sp.org/tlog-proof@v1\nextra %s\nindex %d\n", base64.StdEncoding.EncodeToString([]byte(extra)), l.Index)
	for _, h := range path {
		file.WriteString(h.String() + "\n")
	}
	file.WriteString("\n" + note)
	r, _, err := a.receipt([]byte(file.String()), nil)
	if err != nil {
		return err
	}
	if idOf(r) != l.ID {
		return fmt.Errorf("%w: line and record disagree on the id", errLie)
	}
	a.count(&a.found.Receipts)
	return a.about(r, n, true)
}

// document is what was sent with the deposit; nil: a digest alone.
func (f frame) document(w *workload) []byte {
	if f.kind != document {
		return nil
	}
	return w.appendDocument(nil, f.first, w.size)
}

func reader(document []byte) io.Reader {
	if document == nil {
		return nil
	}
	return bytes.NewReader(document)
}

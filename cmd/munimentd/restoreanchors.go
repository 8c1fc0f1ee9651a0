package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/storage"
	"github.com/muniment/muniment/storage/dir"
)

// elsewhere reads the anchors outside the directory that is restored. They outlived it, or
// are missing; one that cannot be asked might know of a newer state, and nothing may be
// restored before it is.
func (b *backupSet) elsewhere(ctx context.Context, o restoreOptions) ([]registered, error) {
	var out []registered
	for _, a := range o.Anchors {
		if _, inside := o.inside(a); inside {
			continue
		}
		r := readRegistered(ctx, a, b.manifest.Origin)
		if r.err != nil && !errors.Is(r.err, notary.ErrNotFound) {
			return nil, fmt.Errorf("anchor %s: %w: how far the log had come is not known before it can be read", a, r.err)
		}
		out = append(out, r)
	}
	return out, nil
}

// inside returns an anchor's directory relative to the one that is restored, if it is in it.
func (o restoreOptions) inside(a storage.AnchorConfig) (string, bool) {
	if a.Dir == "" {
		return "", false
	}
	root, err := filepath.Abs(o.Dir)
	if err != nil {
		return "", false
	}
	rel, err := filepath.Rel(root, a.Dir)
	return rel, err == nil && rel != ".." && !strings.HasPrefix(rel, "../")
}

// setAnchors makes every anchor that the settings name hold the newest state that is
// known, and returns those outside the directory. What it moved stays moved if the
// restore fails afterwards: the log had come that far.
func (r *restoring) setAnchors(ctx context.Context, o restoreOptions, elsewhere []registered, newest known) ([]registered, error) {
	own := len(o.Anchors) == 0
	for _, a := range o.Anchors {
		rel, inside := o.inside(a)
		if !inside {
			continue
		}
		if rel == "anchor" {
			own = true // check has made it
			continue
		}
		path := filepath.Join(r.path, rel)
		if err := makeDir(path); err != nil {
			return nil, err
		}
		if err := dir.CreateAnchor(path, []byte(newest.checkpoint.String())); err != nil {
			return nil, err
		}
	}
	if !own {
		if err := os.RemoveAll(filepath.Join(r.path, "anchor")); err != nil {
			return nil, err
		}
	}
	for i, a := range elsewhere {
		if err := r.setAnchor(ctx, a, newest); err != nil {
			return nil, fmt.Errorf("anchor %s: %w", a.Anchor, err)
		}
		if elsewhere[i] = readRegistered(ctx, a.config, r.manifest.Origin); elsewhere[i].err != nil {
			return nil, fmt.Errorf("anchor %s: %w", a.Anchor, elsewhere[i].err)
		}
	}
	return elsewhere, nil
}

// setAnchor makes or advances one anchor; it never sets one back.
func (r *restoring) setAnchor(ctx context.Context, a registered, newest known) error {
	if a.err != nil {
		return makeAnchor(ctx, a.config, newest.checkpoint)
	}
	if a.Size >= newest.checkpoint.Size {
		return nil
	}
	anchor, err := storage.OpenAnchor(ctx, a.config, func(error) {})
	if err != nil {
		return err
	}
	err = anchor.Advance(ctx, []byte(a.checkpoint.String()), []byte(newest.checkpoint.String()))
	return errors.Join(err, anchor.Close())
}

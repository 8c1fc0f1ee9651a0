package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/muniment/muniment/proofs"
)

// DIR/policy is the policy in force. DIR/policies holds those that were before, each
// under its fingerprint: a receipt is judged under the one that was in force at its
// checkpoint, so none is ever given up.

func policyPath(dir string) string { return filepath.Join(dir, "policy") }

func policiesPath(dir string) string { return filepath.Join(dir, "policies") }

// earlierPolicies returns the policies that were in force before, the last one first.
func earlierPolicies(dir string) ([]proofs.Policy, error) {
	entries, err := os.ReadDir(policiesPath(dir))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	type kept struct {
		policy proofs.Policy
		until  time.Time
	}
	var all []kept
	for _, e := range entries {
		if name, err := hex.DecodeString(e.Name()); err != nil || len(name) != sha256.Size {
			continue // left over from a copy that was never finished
		}
		path := filepath.Join(policiesPath(dir), e.Name())
		info, err := e.Info()
		if err != nil {
			return nil, err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		p, err := proofs.ParsePolicy(data)
		if err == nil && p.Fingerprint() != e.Name() {
			err = errors.New("its fingerprint is not its name")
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		all = append(all, kept{p, info.ModTime()})
	}
	slices.SortStableFunc(all, func(a, b kept) int { return b.until.Compare(a.until) })
	var out []proofs.Policy
	for _, k := range all {
		out = append(out, k.policy)
	}
	return out, nil
}

// replacePolicy puts next in force, after it has kept what was. Each step is durable
// before the next, and a crash between them leaves the policy that was. from is the log
// key of the policy that it replaces: another than next's only at the end of a rotation.
func replacePolicy(dir string, next proofs.Policy, from proofs.VerifierKey) (before proofs.Policy, err error) {
	if err := os.Mkdir(policiesPath(dir), 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return before, err
	}
	if err := syncDir(dir); err != nil {
		return before, err
	}
	lock, err := os.Open(policiesPath(dir))
	if err != nil {
		return before, err
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return before, fmt.Errorf("another munimentd policy set is at work on %s", dir)
	}
	if before, err = readPolicy(dir); err != nil {
		return before, err
	}
	if before.Logs[0] != from {
		return before, fmt.Errorf("the policy in force has the log key %s, not %s", before.Logs[0], from)
	}
	if next.Logs[0] == from {
		if err := fits(before, next); err != nil {
			return before, err
		}
	}
	kept := filepath.Join(policiesPath(dir), before.Fingerprint())
	if err := os.Remove(kept); err != nil && !errors.Is(err, os.ErrNotExist) { // it was in force twice: its time is that of the last
		return before, err
	}
	if err := newFile(kept, []byte(before.String())); err != nil {
		return before, err
	}
	if err := os.Chmod(kept, 0o644); err != nil {
		return before, err
	}
	fresh := policyPath(dir) + ".new"
	if err := writeFile(fresh, []byte(next.String()), 0o644); err != nil {
		return before, err
	}
	if err := os.Rename(fresh, policyPath(dir)); err != nil {
		return before, err
	}
	return before, syncDir(dir)
}

// fits refuses a policy under which nothing that was served could be verified.
func fits(before, next proofs.Policy) error {
	switch {
	case len(next.Logs) != 1:
		return errors.New("it must have exactly one log line")
	case next.Logs[0] != before.Logs[0]:
		return fmt.Errorf("its log key is %s; this log signs with %s, and no receipt could be verified under the other", next.Logs[0], before.Logs[0])
	case next.Fingerprint() == before.Fingerprint():
		return errors.New("it is in force already")
	}
	return nil
}

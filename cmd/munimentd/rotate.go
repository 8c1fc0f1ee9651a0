package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
)

func keyCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "key",
		Short: "Show the log's keys, or rotate them",
		Args:  cobra.NoArgs,
	}
	rotate := &cobra.Command{
		Use:   "rotate",
		Short: "Put another key in the place of the log's, with an overlap in which both sign",
		Long: `A rotation has four steps. Each can be repeated, after a crash too, and does nothing that
is done already:

  prepare   makes the new key, DIR/keys/log-next.pem, and the policy that names it,
            DIR/policy-next. A key that log-key.pem or log-key.pkcs11.keys have beside
            the old one is taken instead. Give the new policy to whoever verifies
            receipts, and the new vkey to the witnesses. Restart munimentd serve.
  begin     writes an entry of kind "key" into the log, for all to see. From it on both
            keys sign every checkpoint, and receipts verify under either policy.
  switch    puts the new policy in force in DIR; the old one stays served under its
            fingerprint. Restart munimentd serve.
  finish    writes a second entry. From it on the new key alone signs, and the old one
            can be destroyed.

Replicas: prepare on one, copy keys/log-next.pem to each DIR, restart all; begin on one;
switch on each, restart all; finish on each. A replica without a key that must sign, or
with a policy whose key was retired, ends itself and says so; nothing it has is signed.

A ledger in the directory belongs to one process: stop munimentd serve for begin, switch
and finish, and start it again.`,
		Args: cobra.NoArgs,
	}
	for _, s := range []struct {
		name, short string
		run         func(context.Context, *config, []string) (*rotated, error)
	}{
		{"prepare", "Make the new key and the policy that names it", prepareKey},
		{"begin", "Let both keys sign, by an entry in the log", beginKey},
		{"switch", "Put the new policy in force in DIR", switchKey},
		{"finish", "Let the new key alone sign, by an entry in the log", finishKey},
	} {
		rotate.AddCommand(rotateStep(s.name, s.short, s.run))
	}
	c.AddCommand(rotate)
	return c
}

func rotateStep(name, short string, run func(context.Context, *config, []string) (*rotated, error)) *cobra.Command {
	var asJSON bool
	var approvals []string
	c := &cobra.Command{
		Use:   name + " --dir DIR",
		Short: short,
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := loadConfig(c)
			if err != nil {
				return err
			}
			done, err := run(c.Context(), cfg, approvals)
			if err != nil {
				return err
			}
			return done.print(c.OutOrStdout(), asJSON)
		},
	}
	settingFlags(c, onlyDir)
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	if name == "begin" || name == "finish" {
		approvalFlag(c, &approvals)
	}
	return c
}

// rotated is what a step tells.
type rotated struct {
	Old    string    `json:"old"` // vkey
	New    string    `json:"new"`
	Policy string    `json:"policy"` // fingerprint of the policy that names the new key
	Entry  uint64    `json:"entry,omitempty"`
	Time   time.Time `json:"time,omitzero"` // of the entry
	Next   string    `json:"next"`          // what there is to do now
}

func (r *rotated) print(w io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(r)
	}
	fmt.Fprintf(w, "old key    %s\nnew key    %s\nnew policy fingerprint %s\n", r.Old, r.New, r.Policy)
	if r.Entry > 0 {
		fmt.Fprintf(w, "key entry  %d, of %s; public at /log/records/%d\n", r.Entry, proofs.FormatTime(r.Time), r.Entry)
	}
	_, err := fmt.Fprintf(w, "NOW: %s\n", r.Next)
	return err
}

func nextPolicyPath(dir string) string { return filepath.Join(dir, "policy-next") }

// rotation is the old and the new key, and the policies that name them.
type rotation struct {
	old, next proofs.Policy
	switched  bool // next is in force
}

func (r rotation) told() *rotated {
	return &rotated{Old: r.old.Logs[0].String(), New: r.next.Logs[0].String(), Policy: r.next.Fingerprint()}
}

// successor is the policy with another log key in its place.
func successor(p proofs.Policy, key proofs.VerifierKey) (proofs.Policy, error) {
	var text strings.Builder
	for line := range strings.Lines(p.String()) {
		if words := strings.Fields(line); len(words) > 0 && words[0] == "log" {
			line = strings.Replace(line, words[1], key.String(), 1)
		}
		text.WriteString(line)
	}
	next, err := proofs.ParsePolicy([]byte(text.String()))
	if err == nil && (len(next.Logs) != 1 || next.Logs[0] != key) {
		err = errors.New("the policy cannot name the new key")
	}
	return next, err
}

// prepareKey makes the new key, unless there is one.
func prepareKey(_ context.Context, cfg *config, _ []string) (*rotated, error) {
	old, err := readPolicy(cfg.Dir)
	if err != nil {
		return nil, err
	}
	all, err := cfg.logKeys()
	if err != nil {
		return nil, err
	}
	if len(all) == 1 {
		if cfg.LogKey.elsewhere() {
			return nil, errors.New("the log's key is not in DIR/keys: make the new one where the old one is kept, and name both in log-key.pem or log-key.pkcs11.keys")
		}
		if err := makeNextKey(cfg); err != nil {
			return nil, err
		}
		if all, err = cfg.logKeys(); err != nil {
			return nil, err
		}
	}
	key, err := otherKey(all, old.Logs[0])
	if err != nil {
		return nil, err
	}
	next, err := successor(old, key)
	if err != nil {
		return nil, err
	}
	if err := replaceFile(nextPolicyPath(cfg.Dir), []byte(next.String()), 0o644); err != nil {
		return nil, err
	}
	told := rotation{old: old, next: next}.told()
	told.Next = "give " + nextPolicyPath(cfg.Dir) + " to whoever verifies receipts and the new key to the witnesses, let every replica have both keys, restart munimentd serve; then munimentd key rotate begin"
	return told, nil
}

func makeNextKey(cfg *config) error {
	passphrase, err := cfg.LogKey.passphrase()
	if err != nil {
		return err
	}
	_, file, err := newLogKey(passphrase)
	if err != nil {
		return err
	}
	if err := newFile(nextKeyPath(cfg.Dir), file); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return nil
}

// halfWritten ends the name of a file that is to replace another.
const halfWritten = ".new"

// replaceFile puts a whole file in the place of another, durable on return.
func replaceFile(path string, data []byte, mode os.FileMode) error {
	if err := writeFile(path+halfWritten, data, mode); err != nil {
		return err
	}
	if err := os.Rename(path+halfWritten, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// otherKey returns the one key at hand that is not the given one.
func otherKey(all []logKey, old proofs.VerifierKey) (proofs.VerifierKey, error) {
	var found []proofs.VerifierKey
	has := false
	for _, k := range all {
		vkey, err := vkeyOf(old.Name, k)
		if err != nil {
			return vkey, err
		}
		if vkey == old {
			has = true
			continue
		}
		found = append(found, vkey)
	}
	switch {
	case !has:
		return proofs.VerifierKey{}, fmt.Errorf("the policy's log key %s is not at hand", old)
	case len(found) == 0:
		return proofs.VerifierKey{}, errors.New("no new key is at hand: munimentd key rotate prepare makes one, or its copy belongs into DIR/keys/log-next.pem")
	case len(found) > 1:
		return proofs.VerifierKey{}, fmt.Errorf("%d keys are at hand beside the policy's %s; let there be one", len(found), old)
	}
	return found[0], nil
}

// rotationOf finds out from keys, policies and log how far a rotation has come.
func rotationOf(ctx context.Context, cfg *config, d *depository) (r rotation, last *notary.KeyChange, err error) {
	now := d.config.Policy
	changes, err := notary.KeyChanges(ctx, d.config)
	if err != nil {
		return r, nil, err
	}
	if len(changes) > 0 {
		last = &changes[len(changes)-1]
	}
	all, err := cfg.logKeys()
	if err != nil {
		return r, last, err
	}
	key, missing := otherKey(all, now.Logs[0])
	if last != nil && last.Key == now.Logs[0] && (!last.Retired || missing != nil || key == last.Other) { // switched, or all is done
		r.switched, r.next = true, now
		r.old, err = successor(now, last.Other)
		return r, last, err
	}
	r.old = now
	if last != nil && last.Other == now.Logs[0] {
		key, missing = last.Key, nil
	}
	if missing != nil {
		return r, last, missing
	}
	r.next, err = successor(now, key)
	return r, last, err
}

// beginKey writes the entry by which both keys sign.
func beginKey(ctx context.Context, cfg *config, approvals []string) (*rotated, error) {
	var told *rotated
	err := withDepository(ctx, cfg, func(d *depository) error {
		r, last, err := rotationOf(ctx, cfg, d)
		if err != nil {
			return err
		}
		if r.switched {
			return fmt.Errorf("%w: the policy in force names the new key already", notary.ErrKeyStep)
		}
		ok, err := r.approved(ctx, cfg, d, "key-rotate-begin", last != nil && !last.Retired && last.Key == r.next.Logs[0], approvals)
		if err != nil {
			return err
		}
		change, err := notary.BeginRotation(ctx, d.config, r.next.Logs[0], ok.note)
		if err == nil {
			err = ok.used()
		}
		if err != nil {
			return err
		}
		told = r.told()
		told.Entry, told.Time = change.Index, change.Time
		told.Next = "let munimentd serve seal it (start it, if it was stopped); then munimentd key rotate switch"
		return nil
	})
	return told, err
}

// switchKey puts the new policy in force.
func switchKey(ctx context.Context, cfg *config, _ []string) (*rotated, error) {
	var told *rotated
	err := withDepository(ctx, cfg, func(d *depository) error {
		r, last, err := rotationOf(ctx, cfg, d)
		if err == nil {
			err = putInForce(ctx, cfg, d, r, last)
		}
		if err != nil {
			return err
		}
		told = r.told()
		told.Entry, told.Time = last.Index, last.Time
		told.Next = "restart munimentd serve; once every replica has the new policy: munimentd key rotate finish"
		return nil
	})
	return told, err
}

// putInForce replaces the policy, unless it is done. What is published must be signed by
// the new key by then: under the new policy nothing else can be shown.
func putInForce(ctx context.Context, cfg *config, d *depository, r rotation, last *notary.KeyChange) error {
	if r.switched {
		return nil
	}
	if last == nil || last.Key != r.next.Logs[0] {
		return fmt.Errorf("%w: no rotation has begun; munimentd key rotate begin", notary.ErrKeyStep)
	}
	note, err := d.store.Ledger.Published(ctx)
	var parsed proofs.Note
	if err == nil {
		parsed, err = proofs.ParseNote(note)
	}
	if err != nil || !signedBy(r.next.Logs[0], parsed) {
		return fmt.Errorf("%w: nothing that the new key has signed is published yet; start munimentd serve and wait for the next checkpoint", notary.ErrKeyStep)
	}
	_, err = replacePolicy(cfg.Dir, r.next, r.old.Logs[0])
	return err
}

// approved returns the note by which a step was approved, unless the log has it already.
func (r rotation) approved(ctx context.Context, cfg *config, d *depository, operation string, done bool, files []string) (approved, error) {
	if done {
		return approved{}, nil
	}
	s, err := d.standing(ctx, cfg.Dir)
	if err != nil {
		return approved{}, err
	}
	a := consent{operation, map[string]string{"old": r.old.Logs[0].String(), "new": r.next.Logs[0].String(), "policy": r.next.Fingerprint()}, files}
	return a.approve(ctx, cfg.Dir, d.config.Policy.Logs[0].Name, d.newest, s)
}

// finishKey writes the entry by which the new key alone signs, and takes the old key out
// of the directory.
func finishKey(ctx context.Context, cfg *config, approvals []string) (*rotated, error) {
	var told *rotated
	err := withDepository(ctx, cfg, func(d *depository) error {
		r, last, err := rotationOf(ctx, cfg, d)
		if err != nil {
			return err
		}
		ok, err := r.approved(ctx, cfg, d, "key-rotate-finish", last != nil && last.Retired && last.Key == r.next.Logs[0], approvals)
		if err == nil {
			err = putInForce(ctx, cfg, d, r, last)
		}
		if err != nil {
			return err
		}
		keys, err := cfg.logKeys()
		if err != nil {
			return err
		}
		c := d.config
		c.Policy = r.next
		c.Signer, c.OtherSigners = pick(keys, r.next.Logs[0])
		change, err := notary.FinishRotation(ctx, c, ok.note)
		if err == nil {
			err = ok.used()
		}
		if err != nil {
			return err
		}
		told = r.told()
		told.Entry, told.Time = change.Index, change.Time
		told.Next = "restart munimentd serve, and destroy the old key wherever there is a copy of it"
		return retire(cfg, r)
	})
	return told, err
}

// retire puts the new key file in the place of the old one.
func retire(cfg *config, r rotation) error {
	path := nextKeyPath(cfg.Dir)
	passphrase, err := cfg.LogKey.passphrase()
	if err != nil {
		return err
	}
	keys, err := loadLogKey(path, passphrase)
	switch {
	case errors.Is(err, os.ErrNotExist): // done, or the keys are kept elsewhere
	case err != nil:
		return err
	case len(keys) != 1 || keys[0].public() != r.next.Logs[0].Key:
		return fmt.Errorf("%s is not the new key; it is left where it is", path)
	default:
		if err := os.Rename(path, logKeyPath(cfg.Dir)); err != nil {
			return err
		}
	}
	if err := os.Remove(nextPolicyPath(cfg.Dir)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return errors.Join(syncDir(filepath.Join(cfg.Dir, "keys")), syncDir(cfg.Dir))
}

// withDepository opens what no process may have open, unless it is shared.
func withDepository(ctx context.Context, cfg *config, f func(*depository) error) (err error) {
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	d, err := open(ctx, cfg, logger, func(err error) {
		fmt.Fprintln(os.Stderr, "munimentd:", err)
		os.Exit(exitFatal)
	})
	if errors.Is(err, errTaken) {
		return fmt.Errorf("%w: stop munimentd serve, and start it again afterwards", err)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	return f(d)
}

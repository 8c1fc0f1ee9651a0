package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/storage"
	"github.com/muniment/muniment/storage/postgres"
)

func anchorCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "anchor",
		Short: "Add a register of the newest sealed head, or list them",
		Long: `An anchor is a register that holds the newest sealed head of the log. Each one that the
setting "anchors" names is advanced before a receipt leaves, and at each start the
ledger is held against all of them: a ledger that was restored to an older state than
any of them is refused, so that the log cannot fork. An anchor is worth the more, the
farther it is from what it guards: on another medium, in another store, with another
administrator.`,
		Args: cobra.NoArgs,
	}
	c.AddCommand(anchorAddCommand(), anchorListCommand())
	return c
}

func anchorAddCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "add TARGET --dir DIR",
		Short: "Make a new anchor, beside those there are",
		Long: `Make the register TARGET, which is dir:PATH, s3 or postgres as in the setting "anchors",
with what the newest of the other anchors holds. Nothing else changes, and a register
that is there already is never written over.

An anchor comes into use in two steps, in either order:
  - munimentd anchor add TARGET
  - name it in "anchors", beside those there are
and then restart munimentd serve, one replica after the other. Until then the new anchor
falls behind, which the start reports and mends. A start before the first step is refused.

Where the anchor is in PostgreSQL, its schema is laid out too; the login must be allowed
to create what is missing.

Exit code 0: it is there, durably. 2: nothing was made.`,
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := loadConfig(c)
			if err != nil {
				return err
			}
			made, err := addAnchor(c.Context(), cfg, args[0])
			if err != nil {
				return err
			}
			return made.print(c.OutOrStdout(), asJSON)
		},
	}
	settingFlags(c, onlyDir)
	c.Args = cobra.ExactArgs(1)
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

// added is what anchor add tells.
type added struct {
	registered
	Setting  []string `json:"setting"`   // what anchors must name
	Named    bool     `json:"named"`     // it does
	SameDisk bool     `json:"same_disk"` // as the depository's directory
}

func (a *added) print(w io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(a)
	}
	fmt.Fprintf(w, "anchor     %s\nplace      %s\nentries    %d\nroot       %s\n", a.Anchor, a.Place, a.Size, a.Root)
	if a.SameDisk {
		fmt.Fprintln(w, "note       it is on the file system of the depository, and will be lost, or restored to an older state, with it.")
	}
	next := "restart munimentd serve"
	if !a.Named {
		next = fmt.Sprintf("set anchors: [%s], and restart munimentd serve", strings.Join(a.Setting, ", "))
	}
	_, err := fmt.Fprintf(w, "ADDED: now %s\n", next)
	return err
}

// registered is one anchor and what it holds.
type registered struct {
	Anchor string `json:"anchor"` // as in the settings
	Place  string `json:"place"`
	Size   uint64 `json:"size"`
	Root   string `json:"root,omitempty"`
	Lag    uint64 `json:"lag"` // entries that the newest of them has beyond it
	Error  string `json:"error,omitempty"`

	config     storage.AnchorConfig
	checkpoint proofs.Checkpoint
	err        error // notary.ErrNotFound: it is missing
}

// readWithin bounds the look at one register.
const readWithin = 30 * time.Second

// readRegistered reads one anchor of the log origin.
func readRegistered(ctx context.Context, a storage.AnchorConfig, origin string) registered {
	ctx, cancel := context.WithTimeout(ctx, readWithin)
	defer cancel()
	r := registered{Anchor: a.String(), Place: placeOf(a), config: a}
	body, err := storage.ReadAnchor(ctx, a)
	if err == nil {
		r.checkpoint, err = proofs.ParseCheckpoint(string(body))
	}
	if err == nil && r.checkpoint.Origin != origin {
		err = fmt.Errorf("it is of the log %s, not of %s", r.checkpoint.Origin, origin)
	}
	if err != nil {
		r.err, r.Error = err, err.Error()
		return r
	}
	r.Size, r.Root = r.checkpoint.Size, r.checkpoint.Root.String()
	return r
}

// survey reads all of them.
func survey(ctx context.Context, all []storage.AnchorConfig, origin string) []registered {
	var out []registered
	for _, a := range all {
		out = append(out, readRegistered(ctx, a, origin))
	}
	return out
}

// newestRegistered returns the newest state that any of them holds, which must not
// contradict each other. Each must be there.
func newestRegistered(all []registered) (known, error) {
	var list []known
	for _, r := range all {
		if r.err != nil {
			return known{}, fmt.Errorf("anchor %s: %w", r.Anchor, r.err)
		}
		list = append(list, known{"anchor " + r.Anchor, r.checkpoint})
	}
	return newestOf(list)
}

// addAnchor makes the register that the settings call name.
func addAnchor(ctx context.Context, cfg *config, name string) (*added, error) {
	policy, err := readPolicy(cfg.Dir)
	if err != nil {
		return nil, err
	}
	origin := policy.Logs[0].Name
	all := cfg.registers()
	target, err := cfg.newAnchor(name, all)
	if err != nil {
		return nil, err
	}
	others := slices.DeleteFunc(slices.Clone(all), func(a storage.AnchorConfig) bool { return a.String() == target.String() })
	if len(others) == 0 {
		return nil, fmt.Errorf("there is no anchor beside %s to take the newest sealed head from: if all are lost, munimentd restore makes them, and must be shown how far the log had come", target)
	}
	newest, err := newestRegistered(survey(ctx, others, origin))
	if err != nil {
		return nil, fmt.Errorf("%w; nothing was made", err)
	}
	if err := makeAnchor(ctx, target, newest.checkpoint); err != nil {
		return nil, err
	}
	made := &added{registered: readRegistered(ctx, target, origin), Named: len(others) < len(all)}
	if made.err != nil {
		return nil, fmt.Errorf("anchor %s was made, and cannot be read: %w", target, made.err)
	}
	for _, a := range append(others, target) {
		made.Setting = append(made.Setting, a.String())
	}
	made.SameDisk = target.Dir != "" && sameDisk(target.Dir, cfg.Dir)
	return made, nil
}

// newAnchor is where the register shall be that the settings call name, beside all.
func (c *config) newAnchor(name string, all []storage.AnchorConfig) (storage.AnchorConfig, error) {
	if path, ok := strings.CutPrefix(name, "dir:"); ok {
		path, err := filepath.Abs(path)
		if err != nil {
			return storage.AnchorConfig{}, err
		}
		name = "dir:" + path
	}
	with := *c
	with.Anchors = append(slices.DeleteFunc(namesOf(all), func(a string) bool { return a == name }), name)
	if err := with.checkAnchors(); err != nil {
		return storage.AnchorConfig{}, err
	}
	return c.anchor(name, slog.New(slog.DiscardHandler)), nil
}

// makeAnchor creates one register.
func makeAnchor(ctx context.Context, a storage.AnchorConfig, cp proofs.Checkpoint) error {
	if a.Postgres != nil {
		if err := postgres.Migrate(ctx, *a.Postgres); err != nil {
			return err
		}
	}
	err := storage.CreateAnchor(ctx, a, []byte(cp.String()))
	if errors.Is(err, notary.ErrExists) {
		there := readRegistered(ctx, a, cp.Origin)
		if there.err != nil {
			return fmt.Errorf("anchor %s: there is one already, and it is not written over: %w", a, there.err)
		}
		return fmt.Errorf("anchor %s: there is one already, of this log, with %d entries sealed; it is not written over: name it in anchors", a, there.Size)
	}
	if err != nil {
		return fmt.Errorf("anchor %s: %w", a, err)
	}
	return nil
}

func anchorListCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "list --dir DIR",
		Short: "Show where each anchor is and what it holds",
		Long: `Read every anchor that the settings name, or the one in the directory. A running
depository goes on meanwhile.

Exit code 0: all are there, and agree. 1: one is missing, cannot be read, is of another
log or contradicts another. 2: it could not look.`,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := loadConfig(c)
			if err != nil {
				return err
			}
			l, err := listAnchors(c.Context(), cfg)
			if err != nil {
				return err
			}
			return l.print(c.OutOrStdout(), asJSON)
		},
	}
	settingFlags(c, onlyDir)
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

// listed is what anchor list tells.
type listed struct {
	Origin  string       `json:"origin"`
	Anchors []registered `json:"anchors"`
	// Running are those that the running process uses, if it is another list.
	Running []string `json:"running,omitempty"`
	Error   string   `json:"error,omitempty"`
}

// listAnchors reads all anchors. Between two of them a round of sealing may be under way:
// who lags is given the time to follow.
func listAnchors(ctx context.Context, cfg *config) (*listed, error) {
	policy, err := readPolicy(cfg.Dir)
	if err != nil {
		return nil, err
	}
	l := &listed{Origin: policy.Logs[0].Name}
	l.Anchors = survey(ctx, cfg.registers(), l.Origin)
	most := uint64(0)
	for _, a := range l.Anchors {
		most = max(most, a.Size)
	}
	for i, a := range l.Anchors {
		for n := 0; a.err == nil && a.Size < most && n < 10 && ctx.Err() == nil; n++ {
			time.Sleep(100 * time.Millisecond)
			a = readRegistered(ctx, a.config, l.Origin)
		}
		if a.err == nil && a.Size < most {
			a.Lag = most - a.Size
		}
		l.Anchors[i] = a
	}
	if _, err := newestRegistered(l.Anchors); err != nil {
		l.Error = err.Error()
	}
	if s, err := askState(ctx, cfg.Dir); err == nil && !slices.Equal(s.Anchors, namesOf(cfg.registers())) {
		l.Running = s.Anchors
	}
	return l, nil
}

func namesOf(all []storage.AnchorConfig) []string {
	var names []string
	for _, a := range all {
		names = append(names, a.String())
	}
	return names
}

func (l *listed) print(w io.Writer, asJSON bool) error {
	var wrong error
	if l.Error != "" {
		wrong = exitError(exitFound)
	}
	if asJSON {
		return errors.Join(json.NewEncoder(w).Encode(l), wrong)
	}
	for _, a := range l.Anchors {
		if a.err != nil {
			what := "UNREADABLE"
			if errors.Is(a.err, notary.ErrNotFound) {
				what = "MISSING"
			}
			fmt.Fprintf(w, "%s at %s: %s: %v\n", a.Anchor, a.Place, what, a.err)
			continue
		}
		fmt.Fprintf(w, "%s at %s: %d entries, lag %d, root %s\n", a.Anchor, a.Place, a.Size, a.Lag, a.Root)
	}
	if l.Running != nil {
		fmt.Fprintf(w, "note: the running process uses %s; restart it\n", strings.Join(l.Running, ", "))
	}
	if l.Error != "" {
		fmt.Fprintln(w, "WRONG:", l.Error)
	}
	return wrong
}

// together holds what the anchors are said to hold against each other.
func (e *examination) together(ctx context.Context) {
	if len(e.config.Anchors) < 2 || e.policy == nil {
		return
	}
	l, err := listAnchors(ctx, e.config)
	if err != nil {
		return // the policy, which has been told of
	}
	apart := false
	for _, a := range l.Anchors {
		if a.Lag > 0 {
			e.add("anchor", doubtful, "nothing to do: the next start of munimentd serve advances it; if the process that runs has it in use, restart that",
				"%s is %d entries behind the newest", a.Place, a.Lag)
		}
		apart = apart || a.config.Dir == "" || !sameDisk(a.config.Dir, e.dir)
	}
	if _, err := newestRegistered(slices.DeleteFunc(l.Anchors, func(a registered) bool { return a.err != nil })); err != nil {
		e.add("anchor", wrong, "find out which of them was written by whom, before anything is signed again", "%v", err)
	}
	if !apart && e.config.Ledger == "pebble" {
		e.add("anchor", doubtful, "keep one of them on another medium", "all anchors are on the file system of the ledger, and are lost, or restored to an older state, with it")
	}
}

// anchorsNewest returns what the newest of several open anchors holds.
func anchorsNewest(ctx context.Context, anchors []notary.Anchor) ([]byte, error) {
	var newest []byte
	var size uint64
	for i, a := range anchors {
		body, err := a.Load(ctx)
		if err != nil {
			return nil, err
		}
		cp, err := proofs.ParseCheckpoint(string(body))
		if err != nil {
			return nil, fmt.Errorf("anchor %d holds no checkpoint; munimentd doctor says more", i)
		}
		if newest == nil || cp.Size > size {
			newest, size = body, cp.Size
		}
	}
	return newest, nil
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/storage/trillian"
)

// errNoTrillian: the settings name no second tree.
var errNoTrillian = errors.New("trillian.mode is off: there is no second tree")

// opine has the depository's second tree, if the settings name one, confirm what is signed.
func (d *depository) opine(ctx context.Context, cfg *config, logger *slog.Logger) (err error) {
	if cfg.Trillian.Mode == "off" {
		return nil
	}
	if d.trillian, err = cfg.openTrillian(ctx, d.config.Policy.Logs[0].Name, logger); err != nil {
		return fmt.Errorf("trillian: %w", err)
	}
	d.config.SecondTree, d.config.OpinionAdvisory = d.trillian, cfg.Trillian.Rule == "advisory"
	return nil
}

// openTrillian opens the second tree of a log. Whether Trillian is there, Head tells.
func (c *config) openTrillian(ctx context.Context, origin string, logger *slog.Logger) (*trillian.Log, error) {
	t := c.Trillian
	if t.Mode == "remote" {
		return trillian.OpenRemote(origin, trillian.RemoteConfig{Address: t.Address, CA: t.CA, Certificate: t.Certificate, Key: t.Key})
	}
	return trillian.OpenEmbedded(ctx, origin, *c.storage(logger, nil).Postgres)
}

func trillianCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "trillian",
		Short: "Look at the log's second tree in Trillian, or build it anew",
	}
	c.AddCommand(trillianStatusCommand(), trillianRebuildCommand())
	return c
}

func ofTrillian(name string) bool { return strings.HasPrefix(name, "trillian.") }

func trillianStatusCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "status --dir DIR",
		Short: "Compare the second tree's root with the ledger's",
		Long: `Ask Trillian what it holds of the log, and compare its root with the ledger's at that
size. munimentd fsck --trillian compares every leaf.

Exit code 0: it is a prefix of the ledger, or all of it. 1: it is not. 2: the question
could not be asked.`,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := loadConfig(c)
			if err != nil {
				return err
			}
			s, err := standing(c.Context(), cfg)
			if err != nil {
				return err
			}
			return s.print(c.OutOrStdout(), cfg, asJSON)
		},
	}
	settingFlags(c, ofTrillian)
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

// treeState is what is told of the second tree.
type treeState struct {
	Mode    string `json:"mode,omitempty"`
	Rule    string `json:"rule,omitempty"`
	Entries uint64 `json:"entries"`
	Root    string `json:"root"`
	Ledger  uint64 `json:"ledger"` // its entries
	Agrees  bool   `json:"agrees"`
	Error   string `json:"error,omitempty"` // of a running depository's answer
}

func treeStateOf(s notary.TreeStanding) treeState {
	return treeState{Entries: s.Tree.Size, Root: s.Tree.Root.String(), Ledger: s.Ledger.Size, Agrees: s.Agrees()}
}

func (s treeState) print(w io.Writer, cfg *config, asJSON bool) error {
	s.Mode, s.Rule = cfg.Trillian.Mode, cfg.Trillian.Rule
	verdict := "AGREES: its root is the ledger's"
	switch {
	case s.Entries > s.Ledger:
		verdict = "AHEAD: the ledger was rolled back, or the tree is of another; see RUNBOOKS.md"
	case !s.Agrees:
		verdict = "DISAGREES: its root is not the ledger's at that size; munimentd fsck --trillian names the entries that differ"
	case s.Entries < s.Ledger:
		verdict = "BEHIND: what it has agrees; munimentd serve feeds it"
	}
	var err error
	if asJSON {
		err = json.NewEncoder(w).Encode(s)
	} else {
		_, err = fmt.Fprintf(w, "mode    %s, %s\ntree    %d entries, root %s\nledger  %d entries\n%s\n", s.Mode, s.Rule, s.Entries, s.Root, s.Ledger, verdict)
	}
	if err == nil && !s.Agrees {
		err = exitError(exitFound)
	}
	return err
}

// standing compares the second tree with the ledger, of a depository that runs or does not.
func standing(ctx context.Context, cfg *config) (treeState, error) {
	d, err := openWithTrillian(ctx, cfg)
	if errors.Is(err, errTaken) {
		return askStanding(ctx, cfg.Dir)
	}
	if err != nil {
		return treeState{}, err
	}
	s, err := notary.CompareTree(ctx, d.config)
	return treeStateOf(s), errors.Join(err, d.close())
}

// openWithTrillian opens the depository with its second tree.
func openWithTrillian(ctx context.Context, cfg *config) (*depository, error) {
	if cfg.Trillian.Mode == "off" {
		return nil, errNoTrillian
	}
	quiet := slog.New(slog.DiscardHandler)
	d, err := open(ctx, cfg, quiet, func(error) {})
	if err != nil {
		return nil, err
	}
	if err := d.opine(ctx, cfg, quiet); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

func trillianRebuildCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "rebuild --dir DIR",
		Short: "Build the second tree anew beside the one in force, and put it in its place",
		Long: `Build a new tree in Trillian from the entries as the ledger has them. Once it has the
ledger's root it takes the place of the one in force, which is deleted. Where there is
none, the new one is put in force. The depository may be running: it goes on with the new
tree by itself.

The second tree keeps nothing that the ledger does not; what it does is to disagree. Before
you replace one that disagrees, or is ahead of the ledger, find out which of the two is
wrong: see RUNBOOKS.md.

Exit code 0: the new tree is in force. 2: it is not, and what was in force still is.`,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := loadConfig(c)
			if err != nil {
				return err
			}
			bar := newBar(c.ErrOrStderr())
			s, err := rebuildTree(c.Context(), cfg, func(done, total uint64) { bar.show("entries", done, total) })
			bar.end()
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "a second tree of %d entries, root %s, is in force\n", s.Entries, s.Root)
			return err
		},
	}
	settingFlags(c, ofTrillian)
	return c
}

func rebuildTree(ctx context.Context, cfg *config, progress func(done, total uint64)) (treeState, error) {
	d, err := openWithTrillian(ctx, cfg)
	if errors.Is(err, errTaken) {
		return askRebuild(ctx, cfg.Dir, progress)
	}
	if err != nil {
		return treeState{}, err
	}
	s, err := replant(ctx, d.trillian, func(tree notary.SecondTree) (notary.Tree, error) {
		return notary.GrowSecondTree(ctx, d.config, tree, progress)
	})
	return s, errors.Join(err, d.close())
}

// replant has a tree grow beside the one in force, and then take its place.
func replant(ctx context.Context, log *trillian.Log, grow func(notary.SecondTree) (notary.Tree, error)) (treeState, error) {
	beside, err := log.Beside(ctx)
	if err != nil {
		return treeState{}, err
	}
	tree, err := grow(beside)
	if err != nil {
		return treeState{}, err
	}
	return treeStateOf(notary.TreeStanding{Tree: tree, Root: tree.Root}), beside.Swap(ctx)
}

// plant makes the second tree of a log that begins. Nothing of that name may be there.
func (d *depository) plant(ctx context.Context, cfg *config) error {
	if err := d.opine(ctx, cfg, slog.New(slog.DiscardHandler)); err != nil || d.trillian == nil {
		return err
	}
	switch tree, err := d.trillian.Head(ctx); {
	case err == nil && tree.Size > 0:
		return fmt.Errorf("a second tree of %d entries of this log is in Trillian already: init never writes over one", tree.Size)
	case err == nil: // an init before this one came so far
		return nil
	case !errors.Is(err, notary.ErrNotFound):
		return fmt.Errorf("trillian: %w", err)
	}
	_, err := replant(ctx, d.trillian, func(notary.SecondTree) (notary.Tree, error) { return notary.Tree{}, nil })
	return err
}

// treeStep is one line of the answer to POST /trillian: progress, and at last how the new
// tree stands, or an error.
type treeStep struct {
	Done  uint64     `json:"done,omitempty"`
	Total uint64     `json:"total,omitempty"`
	Tree  *treeState `json:"tree,omitempty"`
	Error string     `json:"error,omitempty"`
}

func (c *control) tellTree(w http.ResponseWriter, r *http.Request) {
	var s treeState
	standing, err := notary.TreeStanding{}, errNoTrillian
	if c.trillian != nil {
		standing, err = c.notary.CompareTree(r.Context())
	}
	if s = treeStateOf(standing); err != nil {
		s.Error = err.Error()
	}
	_ = json.NewEncoder(w).Encode(s)
}

func (c *control) rebuildTree(w http.ResponseWriter, r *http.Request) {
	tell := func(s treeStep) {
		_ = json.NewEncoder(w).Encode(s)
		_ = http.NewResponseController(w).Flush()
	}
	tell(treeStep{}) // at once: Trillian may take its time
	if c.trillian == nil {
		tell(treeStep{Error: errNoTrillian.Error()})
		return
	}
	s, err := replant(r.Context(), c.trillian, func(tree notary.SecondTree) (notary.Tree, error) {
		return c.notary.GrowSecondTree(r.Context(), tree, func(done, total uint64) { tell(treeStep{Done: done, Total: total}) })
	})
	if err != nil {
		tell(treeStep{Error: err.Error()})
		return
	}
	tell(treeStep{Tree: &s})
}

func askStanding(ctx context.Context, dir string) (treeState, error) {
	resp, err := ask(ctx, dir, http.MethodGet, "/trillian")
	if err != nil {
		return treeState{}, err
	}
	defer resp.Body.Close()
	var s treeState
	if err := json.NewDecoder(resp.Body).Decode(&s); err != nil {
		return s, fmt.Errorf("the depository stopped answering: %w", err)
	}
	if s.Error != "" {
		return s, errors.New(s.Error)
	}
	return s, nil
}

func askRebuild(ctx context.Context, dir string, progress func(done, total uint64)) (treeState, error) {
	resp, err := ask(ctx, dir, http.MethodPost, "/trillian")
	if err != nil {
		return treeState{}, err
	}
	defer resp.Body.Close()
	for in := json.NewDecoder(resp.Body); ; {
		var s treeStep
		switch err := in.Decode(&s); {
		case err != nil:
			return treeState{}, fmt.Errorf("the depository stopped answering: %w", err)
		case s.Error != "":
			return treeState{}, errors.New(s.Error)
		case s.Tree != nil:
			return *s.Tree, nil
		}
		progress(s.Done, s.Total)
	}
}

// trillian compares the second tree with the ledger.
func (e *examination) trillian(ctx context.Context) {
	t := e.config.Trillian
	if t.Mode == "off" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, servicesWithin)
	defer cancel()
	s, err := standing(ctx, e.config)
	switch {
	case errors.Is(err, notary.ErrNotFound):
		e.add("trillian", wrong, "munimentd trillian rebuild --dir "+e.dir+" makes one from the ledger", "there is no second tree of this log: %v", err)
	case err != nil:
		e.add("trillian", wrong, "see that Trillian runs where the settings trillian.… say (munimentd config); under trillian.rule required nothing is sealed meanwhile", "%v", err)
	case s.Entries > s.Ledger:
		e.add("trillian", wrong, "see RUNBOOKS.md, \"Trillian is ahead of the ledger\": the ledger was rolled back, and must not go on", "the second tree has %d entries, the ledger %d", s.Entries, s.Ledger)
	case !s.Agrees:
		e.add("trillian", wrong, "munimentd fsck --trillian names the entries that differ; see RUNBOOKS.md, \"Trillian disagrees\"", "the second tree of %d entries has another root than the ledger", s.Entries)
	case s.Entries < s.Ledger && !e.Running:
		e.add("trillian", doubtful, "nothing to do: munimentd serve feeds it", "the second tree has %d of %d entries, and agrees", s.Entries, s.Ledger)
	default:
		e.add("trillian", sound, "", "%s, %s: the second tree of %d entries agrees", t.Mode, t.Rule, s.Entries)
	}
}

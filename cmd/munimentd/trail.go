package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/notary"
)

func trailCommand() *cobra.Command {
	c := &cobra.Command{Use: "trail", Short: "Who read, held or erased what"}
	c.AddCommand(trailVerifyCommand())
	return c
}

func trailVerifyCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "verify --dir DIR",
		Short: "Recompute every day of the trail and compare it with the log",
		Long: `Read every page of the trail, recompute the digest of each day, and compare it with what
the day was closed as and with the entry of the log that commits to it. Each day that was
altered, or from which anything was removed, is named. A running depository is asked
through its control socket and goes on working meanwhile.

That the log itself was not altered, munimentd fsck and any holder of a receipt tell.

Exit code 0: everything fits. 1: something does not, and is named. 2: the check could not
be made.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := loadConfig(c)
			if err != nil {
				return err
			}
			report, err := verifyTrail(c.Context(), cfg)
			if err != nil {
				return err
			}
			return printTrail(c.OutOrStdout(), report, asJSON)
		},
	}
	settingFlags(c, onlyDir)
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

func verifyTrail(ctx context.Context, cfg *config) (*notary.TrailReport, error) {
	d, err := open(ctx, cfg, slog.New(slog.DiscardHandler), func(err error) {
		fmt.Fprintln(os.Stderr, "munimentd:", err)
		os.Exit(exitFatal)
	})
	if errors.Is(err, errTaken) {
		return askTrail(ctx, cfg.Dir)
	}
	if err != nil {
		return nil, err
	}
	report, err := notary.VerifyTrail(ctx, d.config)
	return report, errors.Join(err, d.close())
}

func printTrail(w io.Writer, r *notary.TrailReport, asJSON bool) error {
	if asJSON {
		if err := json.NewEncoder(w).Encode(r); err != nil {
			return err
		}
	} else {
		for _, what := range r.Named {
			fmt.Fprintln(w, "WRONG:", what)
		}
		if hidden := r.Findings - uint64(len(r.Named)); hidden > 0 {
			fmt.Fprintf(w, "WRONG: and %d more\n", hidden)
		}
		fmt.Fprintf(w, "days     %d closed, the log commits to %d\nevents   %d in %d pages, today's too\n", r.Days, r.InLog, r.Events, r.Pages)
	}
	switch {
	case !r.Clean() && !asJSON:
		fmt.Fprintf(w, "ALTERED: findings %d\n", r.Findings)
		fallthrough
	case !r.Clean():
		return exitError(exitFound)
	case !asJSON:
		fmt.Fprintln(w, "CLEAN: the trail is what the log commits to")
	}
	return nil
}

// trailAnswer is the answer to POST /trail: an empty one at once, and the report at last.
type trailAnswer struct {
	Report *notary.TrailReport `json:"report,omitempty"`
	Error  string              `json:"error,omitempty"`
}

func (c *control) verifyTrail(w http.ResponseWriter, r *http.Request) {
	out := json.NewEncoder(w)
	_ = out.Encode(trailAnswer{}) // whoever does not hear it has gone
	_ = http.NewResponseController(w).Flush()
	report, err := c.notary.VerifyTrail(r.Context())
	a := trailAnswer{Report: report}
	if err != nil {
		a = trailAnswer{Error: err.Error()}
	}
	_ = out.Encode(a)
}

func askTrail(ctx context.Context, dir string) (*notary.TrailReport, error) {
	resp, err := ask(ctx, dir, http.MethodPost, "/trail")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	for in := json.NewDecoder(resp.Body); ; {
		var a trailAnswer
		switch err := in.Decode(&a); {
		case err != nil:
			return nil, fmt.Errorf("the depository stopped answering: %w", err)
		case a.Error != "":
			return nil, errors.New(a.Error)
		case a.Report != nil:
			return a.Report, nil
		}
	}
}

// commandWithin bounds how long a command waits for its event.
const commandWithin = 30 * time.Second

// noteCommand puts what a command of the operator's is about to do into the trails of those
// whom it concerns, durable on return.
func noteCommand(ctx context.Context, t notary.Trail, action notary.Action, tenants ...notary.ID) error {
	ctx, cancel := context.WithTimeout(ctx, commandWithin)
	defer cancel()
	var events []notary.TrailEvent
	for _, tenant := range tenants {
		events = append(events, notary.TrailEvent{Tenant: tenant, Caller: "operator", Role: notary.Operator, Action: action})
	}
	if err := notary.WriteTrailOnce(ctx, t, events...); err != nil {
		return fmt.Errorf("%w: %w", notary.ErrTrail, err)
	}
	return nil
}

// noteExport puts into every tenant's trail that all is exported.
func noteExport(ctx context.Context, d *depository) error {
	all, err := d.store.Accounts.Tenants(ctx)
	if err != nil {
		return err
	}
	tenants := []notary.ID{{}}
	for _, t := range all {
		tenants = append(tenants, t.ID)
	}
	return noteCommand(ctx, d.store.Trail, notary.ActionExport, tenants...)
}

// trailFile is how many pages one file of an archive has at most; they are of one day.
const trailFile = 1000

// trail brings the trail over.
func (a *archive) trail(ctx context.Context, t notary.Trail) error {
	a.about.Trail = 0
	folder := filepath.Join(a.path, "trail")
	if err := makeDir(folder); err != nil {
		return err
	}
	r := notary.TrailRange{Limit: trailFile}
	head, err := t.TrailHead(ctx)
	for err == nil && r.Day <= head.Day {
		r.Until = r.Day
		var pages []notary.TrailPage
		if pages, err = t.TrailPages(ctx, r); err != nil {
			break
		}
		if len(pages) == 0 { // the next day that has some
			ahead := notary.TrailRange{Day: r.Day + 1, Until: head.Day, Limit: 1}
			if pages, err = t.TrailPages(ctx, ahead); err != nil || len(pages) == 0 {
				break
			}
			r.Day, r.Number = pages[0].Day, 0
			continue
		}
		var text []byte
		if text, err = json.Marshal(pages); err == nil {
			err = replaceFile(filepath.Join(folder, fmt.Sprintf("%s-%012d", r.Day, r.Number)), text, 0o600)
		}
		for _, p := range pages {
			a.about.Trail += uint64(p.Events)
		}
		r.Number = pages[len(pages)-1].Number + 1
	}
	return err
}

// restoreTrail writes what an archive has of the trail, in its order.
func (a *archive) restoreTrail(ctx context.Context, t notary.Trail) error {
	names, err := regularFiles(filepath.Join(a.path, "trail"))
	if errors.Is(err, fs.ErrNotExist) { // of before there was one
		return nil
	}
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(a.path, "trail", name))
		if err != nil {
			return err
		}
		var pages []notary.TrailPage
		if err = json.Unmarshal(data, &pages); err == nil {
			err = notary.RestoreTrail(ctx, t, pages)
		}
		if err != nil {
			return fmt.Errorf("trail/%s: %w", name, err)
		}
	}
	return nil
}

package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
)

// frozenName is the marker in the directory of a log that was ended. The object store has
// another, for replicas on other copies of the directory.
const frozenName = "frozen"

// newOriginOptions end a log and begin another in its place.
type newOriginOptions struct {
	Origin  string // of the new log
	Dir     string // of the new depository
	Freeze  string // the old log's origin, said once more
	Because string
	Tenant  string
}

func (o *newOriginOptions) flags(f *pflag.FlagSet) {
	f.StringVar(&o.Origin, "new-origin", "", "end this log for ever, and begin another of that name")
	f.StringVar(&o.Dir, "new-dir", "", "directory of the new depository, empty but for its own munimentd.yaml")
	f.StringVar(&o.Freeze, "freeze", "", "the name of the log that is to be ended, to confirm")
	f.StringVar(&o.Because, "because", "", "lost: its root cannot be reached; key-stolen: nobody can trust its signatures any more")
	f.StringVar(&o.Tenant, "tenant-name", "Default tenant", "legal name of the new depository's first tenant")
}

func (o *newOriginOptions) asked() bool {
	return o.Origin != "" || o.Dir != "" || o.Freeze != "" || o.Because != ""
}

// ended is why a log was frozen, as the marker says it.
type ended struct {
	Origin    string `json:"origin"`
	Size      uint64 `json:"size"` // of its last anchored state
	Root      string `json:"root"`
	Because   string `json:"because"`
	NewOrigin string `json:"new_origin,omitempty"`
	Approval  string `json:"approval,omitempty"` // the note by which it was approved
	Time      string `json:"time"`
}

// succeeded is what ending a log tells.
type succeeded struct {
	Ended ended    `json:"ended"`
	New   *created `json:"new"`
}

func (s *succeeded) print(w io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(s)
	}
	fmt.Fprintf(w, `ended:   %s
         last sealed with %d entries, root %s
`, s.Ended.Origin, s.Ended.Size, s.Ended.Root)
	if err := s.New.print(w, false); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "FROZEN: the old log is never served again; its receipts verify under its own policy for ever.\nBEGUN: munimentd serve --dir %s\n", s.New.Dir)
	return err
}

// run ends the log and begins the other. When it is interrupted, run it again with the
// same words.
func (o newOriginOptions) run(ctx context.Context, cfg *config, r recoverOptions, bar *bar) (*succeeded, error) {
	policy, err := readPolicy(cfg.Dir)
	if err != nil {
		return nil, err
	}
	old := policy.Logs[0].Name
	if err := o.check(old); err != nil {
		return nil, err
	}
	if err := vacant(o.Dir); err != nil {
		return nil, err
	}
	next, err := configIn(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("the settings of the new depository: %w", err)
	}
	e, err := o.end(ctx, cfg, old, r, bar)
	if err != nil {
		return nil, err
	}
	root, err := proofs.ParseHash(e.Root)
	if err != nil {
		return nil, err
	}
	made, err := initialise(ctx, next, initOptions{
		Origin: o.Origin, TenantName: o.Tenant,
		Previous: &proofs.Checkpoint{Origin: e.Origin, Size: e.Size, Root: root},
	})
	if err != nil {
		return nil, fmt.Errorf("the old log is frozen, and the new one was not begun: %w; mend it, and run the same command again", err)
	}
	return &succeeded{*e, made}, nil
}

// check demands that all is said, and said twice what cannot be taken back.
func (o newOriginOptions) check(old string) error {
	if _, err := proofs.ParseOrigin(o.Origin); err != nil {
		return fmt.Errorf("--new-origin %q: %w", o.Origin, err)
	}
	switch {
	case o.Origin == old:
		return errors.New("--new-origin is the name of the old log: two histories of one name are a fork")
	case o.Dir == "":
		return errors.New("say --new-dir, where the new depository is to be laid out")
	case o.Because != "lost" && o.Because != "key-stolen":
		return errors.New("say --because lost or --because key-stolen")
	case o.Freeze != old:
		return fmt.Errorf("this ends a log for ever; to confirm, say --freeze %s as well", old)
	}
	return nil
}

// end freezes the old log, if it is not already, and returns what the marker says.
func (o newOriginOptions) end(ctx context.Context, cfg *config, old string, r recoverOptions, bar *bar) (*ended, error) {
	if e, err := readFrozen(cfg.Dir); err != nil || e != nil {
		if err == nil && e.NewOrigin != o.Origin {
			err = fmt.Errorf("%s was ended before, and %s named as the one to follow it", old, e.NewOrigin)
		}
		return e, err
	}
	d, err := openForRecovery(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer d.close()
	release, err := notary.Hold(ctx, d.config.Peers, rand.Reader)
	if err != nil {
		return nil, err
	}
	defer release()
	if o.Because == "lost" {
		from, err := r.recovery(ctx, d, bar)
		if err != nil {
			return nil, err
		}
		_, err = notary.PlanRebuild(ctx, from)
		bar.end()
		if err == nil {
			return nil, errors.New("the log is not lost: munimentd recover rebuilds it")
		}
		if !errors.Is(err, notary.ErrUnreachable) {
			return nil, err
		}
	}
	cp, err := stateOfLog(ctx, d.config.Anchors, old)
	if err != nil {
		return nil, err
	}
	ok, err := o.approved(ctx, cfg.Dir, d, cp, r.Approvals)
	if err != nil {
		return nil, err
	}
	e := &ended{Origin: old, Size: cp.Size, Root: cp.Root.String(), Because: o.Because, NewOrigin: o.Origin, Approval: ok.note, Time: proofs.FormatTime(time.Now())}
	text, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	// The object store first: its marker is seen by every replica.
	if d.store.Segments != nil {
		if err := d.store.Segments.Freeze(ctx, old, text); err != nil {
			return nil, err
		}
	}
	if err := writeFile(filepath.Join(cfg.Dir, frozenName), append(text, '\n'), 0o644); err != nil {
		return e, err
	}
	return e, ok.used()
}

// approved has the end of a log approved by those whom the log and DIR/approvers name: who
// could end it alone would be rid of them. Nothing can be written into that log any more: the
// note stands in its marker.
func (o newOriginOptions) approved(ctx context.Context, dir string, d *depository, last proofs.Checkpoint, files []string) (approved, error) {
	// What is left of a lost log may name those of long ago, or nobody, or not be readable. A
	// whole one says who approves, and some of one says that somebody does.
	lost := o.Because == "lost"
	logged, err := notary.Approvers(ctx, d.config)
	if err != nil && !lost {
		return approved{}, err
	}
	_, none := os.Stat(approversPath(dir))
	s, err := readApprovers(dir, logged, lost && (none == nil || len(logged) == 0))
	if err != nil {
		return approved{}, err
	}
	a := consent{"new-origin", map[string]string{"because": o.Because, "new.origin": o.Origin}, files}
	return a.approve(ctx, dir, last.Origin, func(context.Context) (proofs.Checkpoint, error) { return last, nil }, s)
}

// readFrozen returns what the marker in a directory says; nil: there is none.
func readFrozen(dir string) (*ended, error) {
	path := filepath.Join(dir, frozenName)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var e ended
	if err := json.Unmarshal(data, &e); err != nil {
		return nil, fmt.Errorf("%s is there and cannot be read: %w: %w", path, notary.ErrFrozen, err)
	}
	return &e, nil
}

// frozen refuses a directory whose log was ended.
func frozen(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, importingName)); err == nil {
		return fmt.Errorf("an import into %s has not come to its end: run munimentd import once more", dir)
	}
	e, err := readFrozen(dir)
	if err == nil && e != nil && e.Because == moved {
		return fmt.Errorf("%w here, since %s: it was exported for good with %d entries, and goes on where it was imported", notary.ErrFrozen, e.Time, e.Size)
	}
	if err == nil && e != nil {
		err = fmt.Errorf("%w for ever, since %s (%s): %s goes on in its place", notary.ErrFrozen, e.Time, e.Because, e.NewOrigin)
	}
	return err
}

// configIn returns the settings of another directory, which its own file says.
func configIn(dir string) (*config, error) {
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	flags.String("dir", "", "")
	if err := flags.Set("dir", dir); err != nil {
		return nil, err
	}
	return readConfig(flags, os.Environ())
}

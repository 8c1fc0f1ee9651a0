package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
)

// finding is the outcome of one check, in words.
type finding struct {
	Check string `json:"check"`
	Level level  `json:"level"`
	What  string `json:"what"`
	Mend  string `json:"mend,omitempty"`
}

type level string

const (
	sound     level = "sound"
	doubtful  level = "warning" // it works, and should not stay so
	wrong     level = "wrong"
	unchecked level = "unchecked" // something else stands in the way
)

var signs = map[level]string{sound: "✓", doubtful: "!", wrong: "✗", unchecked: "?"}

// diagnosis is what doctor tells.
type diagnosis struct {
	Dir      string    `json:"dir"`
	Running  bool      `json:"running"`
	Findings []finding `json:"findings"`
	Verdict  string    `json:"verdict"`
}

func doctorCommand() *cobra.Command {
	var server string
	var asJSON bool
	c := &cobra.Command{
		Use:   "doctor --dir DIR",
		Short: "Look at everything, say what is wrong and how to mend it",
		Long: `Check the directory, its keys and policy, PostgreSQL and S3 where they keep something,
the anchors, the witnesses (they are asked to cosign what is published), the process that has the directory open, the disk, the clock and the
limits, and re-hash everything that is stored, as fsck does. Nothing is changed. A
running depository is asked, and goes on working meanwhile.

Each line is ✓ sound, ! worth mending, ✗ wrong, or ? not to be checked before what is
wrong is mended; "mend:" says how.

Exit code 0: nothing is wrong. 1: something is. 2: it could not look.`,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := loadConfig(c)
			if err != nil {
				return err
			}
			bar := newBar(c.ErrOrStderr())
			d, err := diagnose(c.Context(), cfg, server, bar)
			bar.end()
			if err != nil {
				return err
			}
			return d.print(c.OutOrStdout(), asJSON)
		},
	}
	settingFlags(c, onlyDir)
	c.Flags().StringVar(&server, "server", "", "address by which clients reach it, to ask whether it is ready there")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

// count returns how many findings are of a level.
func (d *diagnosis) count(l level) int {
	n := 0
	for _, f := range d.Findings {
		if f.Level == l {
			n++
		}
	}
	return n
}

func (d *diagnosis) print(w io.Writer, asJSON bool) error {
	var err error
	bad, unseen := d.count(wrong), d.count(unchecked)
	switch {
	case bad > 0:
		d.Verdict, err = fmt.Sprintf("WRONG: %d to mend, from the top down", bad), exitError(exitFound)
	case unseen > 0:
		d.Verdict, err = "UNDECIDED: not everything could be looked at", exitError(exitFailure)
	case d.count(doubtful) > 0:
		d.Verdict = fmt.Sprintf("SOUND: nothing is wrong, %d worth mending", d.count(doubtful))
	default:
		d.Verdict = "SOUND: nothing is wrong"
	}
	if asJSON {
		if err := json.NewEncoder(w).Encode(d); err != nil {
			return err
		}
		return err
	}
	for _, f := range d.Findings {
		fmt.Fprintf(w, "%s %-10s %s\n", signs[f.Level], f.Check, f.What)
		if f.Mend != "" {
			fmt.Fprintf(w, "  %-10s mend: %s\n", "", f.Mend)
		}
	}
	fmt.Fprintln(w, d.Verdict)
	return err
}

// examination is one run of all checks. Later ones build on what earlier ones saw.
type examination struct {
	diagnosis
	config *config
	dir    string // the config's
	bar    *bar
	facts
}

// add records what a check found.
func (e *examination) add(check string, l level, mend, format string, args ...any) {
	e.Findings = append(e.Findings, finding{Check: check, Level: l, What: fmt.Sprintf(format, args...), Mend: mend})
}

// diagnose runs every check. The error is that nothing could be looked at.
func diagnose(ctx context.Context, cfg *config, server string, bar *bar) (*diagnosis, error) {
	dir := cfg.Dir
	e := &examination{diagnosis: diagnosis{Dir: dir, Findings: []finding{}}, config: cfg, dir: dir, bar: bar}
	info, err := os.Stat(dir)
	if os.IsNotExist(err) {
		return nil, notThere(dir)
	}
	if err != nil {
		return nil, err
	}
	if fresh, err := empty(dir); err != nil {
		return nil, err
	} else if fresh {
		return nil, fmt.Errorf("%s holds no depository; munimentd init lays one out", dir)
	}
	e.directory(info)
	e.logKey()
	e.policyFile()
	if len(cfg.Anchors) == 0 {
		e.anchorFile()
	}
	e.services(ctx)
	if err := e.process(ctx, info); err != nil {
		return nil, err
	}
	e.contents(ctx)
	e.tenantKeyFiles()
	e.published(ctx)
	e.witnesses(ctx)
	e.trillian(ctx)
	e.issuers(ctx)
	e.tlsFiles()
	e.certificates()
	e.clock()
	e.disks()
	e.limits()
	if server != "" {
		e.readiness(ctx, server)
	}
	return &e.diagnosis, nil
}

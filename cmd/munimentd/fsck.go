package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/muniment/muniment/notary"
)

func fsckCommand() *cobra.Command {
	var asJSON, trillian bool
	c := &cobra.Command{
		Use:   "fsck --dir DIR",
		Short: "Re-hash everything that is stored and report what does not fit",
		Long: `Read every entry, tile, record, look-up and document, hash and decrypt it again,
and compare it with the log and its anchor. Nothing is changed. A running
depository is asked through its control socket and goes on working meanwhile.

With --trillian, every leaf of the second tree, and its root, is compared with the entries
too, and each that differs is named by its index.

Exit code 0: everything fits. 1: something does not, and is named. 2: the check
could not be made.`,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := loadConfig(c)
			if err != nil {
				return err
			}
			bar := newBar(c.ErrOrStderr())
			report, err := fsck(c.Context(), cfg, trillian, func(done, total uint64) { bar.show("entries", done, total) })
			bar.end()
			if err != nil {
				return err
			}
			return printReport(c.OutOrStdout(), report, asJSON)
		},
	}
	settingFlags(c, onlyDir)
	c.Flags().BoolVar(&trillian, "trillian", false, "compare the second tree in Trillian too, leaf by leaf")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

func fsck(ctx context.Context, cfg *config, trillian bool, progress func(done, total uint64)) (*notary.Report, error) {
	if trillian && cfg.Trillian.Mode == "off" {
		return nil, errNoTrillian
	}
	d, err := open(ctx, cfg, slog.New(slog.DiscardHandler), func(err error) {
		fmt.Fprintln(os.Stderr, "munimentd:", err)
		os.Exit(exitFatal)
	})
	if errors.Is(err, errTaken) {
		return askFsck(ctx, cfg.Dir, trillian, progress)
	}
	if damaged := new(storeError); errors.As(err, &damaged) {
		// What cannot even be opened is the first thing to report.
		return &notary.Report{Findings: 1, Named: []string{err.Error()}}, nil
	}
	if err != nil {
		return nil, err
	}
	report, err := notary.Fsck(ctx, d.config, progress)
	if err == nil && trillian {
		if err = d.opine(ctx, cfg, slog.New(slog.DiscardHandler)); err == nil {
			err = notary.FsckTree(ctx, d.config, report, progress)
		}
	}
	return report, errors.Join(err, d.close())
}

func printReport(w io.Writer, r *notary.Report, asJSON bool) error {
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
		fmt.Fprintf(w, "entries    %d re-hashed\ndocuments  %d re-hashed, %d bytes\n", r.Entries, r.Documents, r.Bytes)
		if r.Leaves > 0 {
			fmt.Fprintf(w, "trillian   %d leaves compared\n", r.Leaves)
		}
		if r.Orphans > 0 {
			fmt.Fprintf(w, "unused     %d blobs that no entry refers to; they are swept after 24 hours\n", r.Orphans)
		}
	}
	if !r.Clean() {
		if !asJSON {
			fmt.Fprintf(w, "DAMAGED: findings %d\n", r.Findings)
		}
		return exitError(exitFound)
	}
	if !asJSON {
		fmt.Fprintln(w, "CLEAN: everything fits")
	}
	return nil
}

// bar draws progress on a terminal, and is silent elsewhere.
type bar struct {
	w     io.Writer
	drawn bool
	last  time.Time
}

func newBar(w io.Writer) *bar {
	f, ok := w.(*os.File)
	if !ok {
		return &bar{}
	}
	if _, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS); err != nil {
		return &bar{}
	}
	return &bar{w: w}
}

// show draws how many of what is being counted are done.
func (b *bar) show(what string, done, total uint64) {
	if b.w == nil || total == 0 || time.Since(b.last) < 100*time.Millisecond && done < total {
		return
	}
	b.last, b.drawn = time.Now(), true
	const width = 40
	full := int(done * width / total)
	fmt.Fprintf(b.w, "\r[%s%s] %3d%%  %d of %d %s \x1b[K",
		strings.Repeat("#", full), strings.Repeat(".", width-full), done*100/total, done, total, what)
}

func (b *bar) end() {
	if b.drawn {
		fmt.Fprintln(b.w)
	}
}

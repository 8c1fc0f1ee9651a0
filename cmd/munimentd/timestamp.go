package main

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/notary/timestamp"
	"github.com/muniment/muniment/proofs/rfc3161"
)

// maxRootsFile is more than any file of roots has.
const maxRootsFile = 4 << 20

// timestampRoots are the roots of the authorities of the settings; none where there are no
// authorities.
func (c *config) timestampRoots() ([]*x509.Certificate, error) {
	if len(c.TimestampAuthorities) == 0 {
		return nil, nil
	}
	data, err := readRoots(c.TimestampRoots)
	if err != nil {
		return nil, fmt.Errorf("timestamp.roots: %w", err)
	}
	roots, err := rfc3161.ParseRoots(data)
	if err != nil {
		return nil, fmt.Errorf("timestamp.roots: %s: %w", c.TimestampRoots, err)
	}
	return roots, nil
}

// rootsPEM are those roots for others, without what else stands in the file.
func (c *config) rootsPEM() ([]byte, error) {
	roots, err := c.timestampRoots()
	if err != nil {
		return nil, err
	}
	var out []byte
	for _, r := range roots {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.Raw})...)
	}
	return out, nil
}

// timestamps is how checkpoints are dated; nil: they are not.
func (c *config) timestamps() (*notary.Timestamps, error) {
	roots, err := c.timestampRoots()
	if err != nil || roots == nil {
		return nil, err
	}
	trusted := rfc3161.NewAuthorities(roots)
	t := &notary.Timestamps{Checker: trusted, Every: c.TimestampEvery}
	names := map[string]bool{}
	for _, url := range c.TimestampAuthorities {
		a, err := timestamp.New(url, trusted, c.TimestampPolicy)
		if err != nil {
			return nil, fmt.Errorf("timestamp.authorities: %w", err)
		}
		if names[a.Name()] {
			return nil, fmt.Errorf("timestamp.authorities: %s stands twice", a.Name())
		}
		names[a.Name()] = true
		t.Authorities = append(t.Authorities, a)
	}
	return t, nil
}

// readRoots reads a file of certificates.
func readRoots(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxRootsFile))
}

func timestampCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "timestamp --dir DIR",
		Short: "Have the newest checkpoint dated now, and renew what ends soon",
		Long: `Ask every time-stamp authority of the settings to date the newest published
checkpoint, unless it is, and renew time-stamps that end within 90 days. A running
depository does both by itself; it is asked through its control socket.

Exit code 0: done. 2: no authority dated it, or none is configured.`,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := loadConfig(c)
			if err != nil {
				return err
			}
			size, err := stampNow(c.Context(), cfg)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "the checkpoint of %d entries is dated\n", size)
			return err
		},
	}
	settingFlags(c, onlyDir)
	return c
}

func stampNow(ctx context.Context, cfg *config) (uint64, error) {
	logger := slog.New(slog.NewTextHandler(os.Stderr, nil))
	d, err := open(ctx, cfg, logger, func(err error) {
		fmt.Fprintln(os.Stderr, "munimentd:", err)
		os.Exit(exitFatal)
	})
	if errors.Is(err, errTaken) {
		return askStamp(ctx, cfg.Dir)
	}
	if err != nil {
		return 0, err
	}
	size, err := notary.StampNow(ctx, d.config)
	return size, errors.Join(err, d.close())
}

// dated is the answer to POST /timestamp.
type dated struct {
	Size  uint64 `json:"size,omitempty"`
	Error string `json:"error,omitempty"`
}

func (c *control) stamp(w http.ResponseWriter, r *http.Request) {
	// At once: authorities may take longer than the asker waits for a word.
	_ = json.NewEncoder(w).Encode(dated{})
	_ = http.NewResponseController(w).Flush()
	var said dated
	size, err := c.notary.Stamp(r.Context())
	if err == nil {
		err = c.notary.RenewStamps(r.Context())
	}
	if said.Size = size; err != nil {
		said.Error = err.Error()
	}
	_ = json.NewEncoder(w).Encode(said)
}

// askStamp lets the running depository have its newest checkpoint dated.
func askStamp(ctx context.Context, dir string) (uint64, error) {
	resp, err := ask(ctx, dir, http.MethodPost, "/timestamp")
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	for in := json.NewDecoder(resp.Body); ; {
		var said dated
		switch err := in.Decode(&said); {
		case err != nil:
			return 0, fmt.Errorf("the depository stopped answering: %w", err)
		case said.Error != "":
			return 0, errors.New(said.Error)
		case said.Size > 0:
			return said.Size, nil
		}
	}
}

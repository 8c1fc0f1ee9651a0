// Stand starts a PostgreSQL and an S3 server in a directory of their own, prints the
// settings by which munimentd keeps a depository in them, as lines for a shell, and
// ends with all that it started when its input does.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/muniment/muniment/storage/storagetest/servers"
)

func main() {
	// Who holds the input says when it ends; Ctrl-C is for others of the terminal.
	signal.Ignore(os.Interrupt, syscall.SIGHUP)
	if err := stand(); err != nil {
		fmt.Fprintln(os.Stderr, "stand:", err)
		os.Exit(1)
	}
}

func stand() (err error) {
	// Not where the program was called: root's PostgreSQL runs as another user, who may
	// not be let in there.
	dir, err := os.MkdirTemp("", "muniment-stand-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	p, err := servers.StartPostgres(filepath.Join(dir, "postgres"), servers.PostgresOptions{})
	if err != nil {
		return err
	}
	defer p.Close()
	store := filepath.Join(dir, "s3")
	if err := os.Mkdir(store, 0o700); err != nil {
		return err
	}
	s, err := servers.StartS3(store)
	if err != nil {
		return err
	}
	defer s.Kill() // nobody will read it again
	for _, bucket := range []string{"documents", "anchor"} {
		if err := s.MakeBucket(bucket, bucket == "documents"); err != nil {
			return err
		}
	}
	for _, line := range []string{
		"LEDGER_ENGINE=postgres", "LEDGER_POSTGRES_URL=" + p.URL(),
		"BLOBS_ENGINE=s3", "BLOBS_S3_ENDPOINT=" + s.Endpoint, "BLOBS_S3_BUCKET=documents",
		"BLOBS_S3_ACCESS_KEY=" + s.AccessKey, "BLOBS_S3_SECRET_KEY=" + s.SecretKey, "BLOBS_S3_RETENTION=1d",
		"ANCHORS=[s3, postgres]", "ANCHOR_S3_BUCKET=anchor",
	} {
		fmt.Printf("export 'MUNIMENT_%s'\n", line) // no value holds a quote
	}
	if err := os.Stdout.Close(); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

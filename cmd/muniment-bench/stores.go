package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"

	"github.com/muniment/muniment/storage/storagetest/servers"
)

// stores are the servers in which a depository keeps what it has.
type stores struct {
	postgres *servers.Postgres
	s3       *servers.S3
}

// Buckets of the S3 server.
const (
	heldBucket   = "muniment"
	anchorBucket = "anchor"
	bareBucket   = "bare"
)

// serverSettings are those of a PostgreSQL that has a part of the machine for itself. What
// makes a commit durable stays as it is by default: on.
var serverSettings = map[string]string{"shared_buffers": "1GB", "max_wal_size": "8GB", "wal_compression": "lz4"}

// startStores starts them on directories under home.
func startStores(home string) (*stores, error) {
	s := &stores{}
	var err error
	if s.postgres, err = servers.StartPostgres(filepath.Join(home, "postgres"), servers.PostgresOptions{Settings: serverSettings}); err != nil {
		return nil, err
	}
	dir := filepath.Join(home, "s3")
	if err = os.Mkdir(dir, 0o700); err == nil {
		s.s3, err = servers.StartS3(dir)
	}
	for _, bucket := range []string{heldBucket, anchorBucket, bareBucket} {
		if err == nil {
			err = s.s3.MakeBucket(bucket, false)
		}
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *stores) close() {
	s.postgres.Close()
	if s.s3 != nil {
		s.s3.Kill()
	}
}

// usage is the CPU that all their processes have used.
func (s *stores) usage() usage {
	if s == nil {
		return usage{}
	}
	return usage{cpu: cpuOfFamily(s.postgres.PID()) + cpuOfFamily(s.s3.PID())}
}

// configure writes the settings by which a depository in dir keeps everything in them but
// its keys.
func (s *stores) configure(dir string) error {
	data, err := json.Marshal(map[string]any{ // which is YAML
		"ledger": map[string]any{"engine": "postgres", "postgres": map[string]any{"url": s.postgres.URL()}},
		"blobs": map[string]any{"engine": "s3", "s3": map[string]any{
			"endpoint": s.s3.Endpoint, "bucket": heldBucket, "access-key": s.s3.AccessKey, "secret-key": s.s3.SecretKey,
		}},
		"anchors": []string{"s3"},
		"anchor":  map[string]any{"s3": map[string]any{"bucket": anchorBucket}},
		// Its tree is made, and fed only where a row says so.
		"trillian": map[string]any{"mode": "embedded"},
	})
	return errors.Join(err, os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, "munimentd.yaml"), data, 0o600))
}

// openProduction makes a depository on PostgreSQL and S3 of its own, and starts one
// replica. done ends all and takes it away.
func (l *localOptions) openProduction(ctx context.Context) (d *depository, done func() error, err error) {
	home, clear, err := l.home()
	if err != nil {
		return nil, nil, err
	}
	// Where root runs the bench, PostgreSQL runs as a user who must pass through.
	if err := os.Chmod(home, 0o711); err != nil {
		return nil, nil, errors.Join(err, clear())
	}
	s, err := startStores(home)
	if err != nil {
		return nil, nil, errors.Join(err, clear())
	}
	done = func() error {
		if d != nil {
			d.kill()
		}
		s.close()
		return clear()
	}
	dir := filepath.Join(home, "depository")
	if err = s.configure(dir); err == nil {
		d, err = layOut(ctx, l.binary(), dir)
	}
	if err == nil {
		d.flags, d.stores = append(slices.Clone(l.Serve), withoutTrillian), s
		err = d.start(ctx)
	}
	if err != nil {
		return nil, nil, errors.Join(err, done())
	}
	return d, done, nil
}

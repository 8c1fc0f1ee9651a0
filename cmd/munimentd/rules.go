package main

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/storage"
	"github.com/muniment/muniment/storage/postgres"
	"github.com/muniment/muniment/storage/s3"
)

// check holds the settings against one another.
func (c *config) check() error {
	if c.Dir == "" {
		return errors.New("required flag --dir not set, nor is " + envPrefix + "DIR, nor dir in a file that --config names")
	}
	if c.Ledger == "postgres" && c.Postgres.URL == "" {
		return errors.New("ledger.engine is postgres, so ledger.postgres.url must be set")
	}
	if c.Blobs == "s3" {
		if err := complete("blobs.s3", c.S3.Bucket); err != nil {
			return err
		}
	}
	for id, b := range c.S3.Tenants {
		if err := complete("blobs.s3.tenants of "+id.String(), inherit(b, c.S3.Bucket)); err != nil {
			return err
		}
	}
	if err := c.checkAnchors(); err != nil {
		return err
	}
	if err := c.LogKey.check(); err != nil {
		return err
	}
	if len(c.TimestampAuthorities) > 0 && c.TimestampRoots == "" {
		return errors.New("timestamp.authorities is set, so timestamp.roots must be: the PEM file of the root certificates that their time-stamps lead to")
	}
	for id, rules := range c.Checks {
		if rules.Signature == notary.SignatureTrusted && c.SignatureRoots == "" {
			return fmt.Errorf("checks.tenants of %s demands trusted signatures, so signatures.roots must be set: the PEM file of the authorities that are to be believed", id)
		}
	}
	if err := c.checkTrillian(); err != nil {
		return err
	}
	if err := c.TLS.check(); err != nil {
		return err
	}
	if err := c.KMS.check(); err != nil {
		return err
	}
	if err := c.Certificate.check(); err != nil {
		return err
	}
	return c.checkUnused()
}

// checkTrillian refuses what names no second tree, or two.
func (c *config) checkTrillian() error {
	t := c.Trillian
	switch {
	case t.Mode == "embedded" && c.Ledger != "postgres":
		return errors.New("trillian.mode is embedded, which keeps its tree in the ledger's PostgreSQL, and ledger.engine is not postgres; a remote Trillian goes with any ledger")
	case t.Mode == "remote" && t.Address == "":
		return errors.New("trillian.mode is remote, so trillian.address must be set: host:port of its log server")
	case t.Mode != "remote" && t.Mode != "off" && t != (trillianConfig{Mode: t.Mode, Rule: t.Rule}):
		return errors.New("trillian.mode is embedded, in this process, so trillian.address, trillian.ca, trillian.certificate and trillian.key mean nothing; did you mean trillian.mode: remote?")
	case (t.Certificate == "") != (t.Key == ""):
		return errors.New("trillian.certificate and trillian.key go together: one of them is not set")
	}
	return nil
}

// checkUnused refuses settings of an engine where none was chosen: who forgot to would
// deposit into another.
func (c *config) checkUnused() error {
	for _, engine := range []struct{ prefix, by, choose string }{
		{"ledger.postgres.", "ledger.engine", "ledger.engine: postgres"},
		{"blobs.s3.", "blobs.engine", "blobs.engine: s3"},
		{"anchor.s3.", "anchors", "anchors: [s3]"},
		{"anchor.postgres.", "anchors", "anchors: [postgres]"},
		{"kms.", "kms.engine", "kms.engine: vault"},
		{"trillian.", "trillian.mode", "trillian.mode: embedded, or remote,"},
		{"timestamp.", "timestamp.authorities", "timestamp.authorities: [URL]"},
	} {
		if _, chosen := c.from[engine.by]; chosen {
			continue
		}
		for i, s := range newConfig().settings {
			set := !reflect.DeepEqual(c.settings[i].value.get(), s.value.get())
			if set && strings.HasPrefix(s.name, engine.prefix) {
				return fmt.Errorf("%s is set and nothing uses it; did you mean to set %s as well?", s.name, engine.choose)
			}
		}
	}
	return nil
}

func (c *config) checkAnchors() error {
	for i, a := range c.Anchors {
		path, isDir := strings.CutPrefix(a, "dir:")
		switch {
		case slices.ContainsFunc(c.Anchors[:i], func(b string) bool { return filepath.Clean(a) == filepath.Clean(b) }):
			return fmt.Errorf("anchors names %q twice", a)
		case isDir && filepath.IsAbs(path), a == "postgres" && (c.Ledger == "postgres" || c.AnchorPG.URL != ""):
		case a == "s3":
			if err := complete("anchor.s3", inherit(c.AnchorS3, c.S3.Bucket)); err != nil {
				return err
			}
		case a == "postgres":
			return errors.New("anchors names postgres, but ledger.engine is not postgres: set anchor.postgres.url")
		default:
			return fmt.Errorf("anchors names %q, which is not postgres, s3 or dir: with an absolute path", a)
		}
	}
	if slices.Equal(c.Anchors, []string{"postgres"}) && c.Ledger == "postgres" && postgres.OneDatabase(c.anchorPostgres(), c.Postgres) {
		return errors.New("anchors names only postgres, in the ledger's database: who rolls that back would roll the anchor back with it; add one elsewhere, as in [s3, postgres], or set anchor.postgres.url")
	}
	return nil
}

// anchorPostgres is where the anchor postgres is kept: with the ledger, unless it has a
// database of its own.
func (c *config) anchorPostgres() postgres.Config {
	if c.AnchorPG.URL == "" {
		return c.Postgres
	}
	return c.AnchorPG
}

// check refuses what leaves it open which passphrase or token is meant.
func (c logKeyConfig) check() error {
	switch t := c.Token; {
	case c.Passphrase != "" && c.PassphraseFile != "":
		return errors.New("log-key.passphrase and log-key.passphrase-file are both set; one is enough")
	case len(t.Keys) > 0 && (t.Module == "" || t.Label == ""):
		return errors.New("log-key.pkcs11.keys are named, so log-key.pkcs11.module and log-key.pkcs11.token must be set")
	case len(t.Keys) == 0 && (t.Module != "" || t.Label != "" || t.PIN != ""):
		return errors.New("log-key.pkcs11 names a token and no key; did you mean to set log-key.pkcs11.keys as well?")
	}
	return nil
}

func complete(where string, b s3.Bucket) error {
	for _, f := range []struct{ name, text string }{
		{"endpoint", b.Endpoint}, {"bucket", b.Bucket}, {"access-key", b.AccessKey}, {"secret-key", b.SecretKey},
	} {
		if f.text == "" {
			return fmt.Errorf("%s: %s must be set", where, f.name)
		}
	}
	return nil
}

// inherit returns a bucket in the store of base, unless it has a store of its own: a
// secret goes to no store but the one that it was given for.
func inherit(b, base s3.Bucket) s3.Bucket {
	if b.Endpoint != "" && b.Endpoint != base.Endpoint {
		return b
	}
	b.Endpoint = base.Endpoint
	if b.Region == "" {
		b.Region = base.Region
	}
	if b.AccessKey == "" && b.SecretKey == "" {
		b.AccessKey, b.SecretKey = base.AccessKey, base.SecretKey
	}
	return b
}

// inDirectory refuses a command that copies the directory where ledger and documents are
// not both in it. Anchors may be elsewhere, and should.
func (c *config) inDirectory(command string) error {
	const keys = "; keep a copy of DIR/keys and DIR/policy apart from both"
	switch {
	case c.Ledger == "postgres":
		return errors.New("munimentd " + command + " copies a directory, and the ledger is in PostgreSQL: use its own backup with write-ahead log archiving (pg_basebackup, point-in-time recovery), and the object store's versions" + keys)
	case c.Blobs == "s3":
		return errors.New("munimentd " + command + " copies a directory, and the documents are in S3: use the object store's own replication or versions for them, and copy the directory whole while it is stopped" + keys)
	}
	return nil
}

// shared reports whether the directory holds nothing but keys and policy, so that any
// number of processes may have it open.
func (c *config) shared() bool {
	return c.Ledger == "postgres" && c.Blobs == "s3" && len(c.Anchors) > 0 &&
		!slices.ContainsFunc(c.Anchors, func(a string) bool { return strings.HasPrefix(a, "dir:") })
}

// storage is what the settings say to storage.
func (c *config) storage(logger *slog.Logger, fatal func(error)) storage.Config {
	s := storage.Config{Dir: c.Dir, Logger: logger, Fatal: fatal}
	if c.Ledger == "postgres" {
		p := c.Postgres
		p.Logger = logger
		s.Postgres = &p
	}
	if c.Blobs == "s3" {
		b := c.S3
		b.Tenants = nil
		for id, t := range c.S3.Tenants {
			if b.Tenants == nil {
				b.Tenants = make(map[notary.ID]s3.Bucket)
			}
			b.Tenants[id] = inherit(t, c.S3.Bucket)
		}
		s.S3 = &b
	}
	for _, a := range c.Anchors {
		s.Anchors = append(s.Anchors, c.anchor(a, logger))
	}
	return s
}

// anchor is where the register is that the settings call so.
func (c *config) anchor(name string, logger *slog.Logger) storage.AnchorConfig {
	switch name {
	case "postgres":
		p := c.anchorPostgres()
		p.Logger = logger
		return storage.AnchorConfig{Postgres: &p}
	case "s3":
		b := inherit(c.AnchorS3, c.S3.Bucket)
		return storage.AnchorConfig{S3: &b}
	}
	path, _ := strings.CutPrefix(name, "dir:")
	return storage.AnchorConfig{Dir: filepath.Clean(path)}
}

// registers are all anchors in use: those that anchors names, or the one in the directory.
func (c *config) registers() []storage.AnchorConfig {
	return c.storage(slog.New(slog.DiscardHandler), nil).Registers()
}

package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/proofs/mldsa"
	"github.com/muniment/muniment/service/auth"
	stranger "github.com/muniment/muniment/service/client"
)

const (
	canaryWithin = 30 * time.Second // one attempt, from connection to receipt read back
	canaryAgain  = 10 * time.Second // after an attempt that failed
)

// canaryTenant is the tenant under which the depository deposits with itself. Its id is
// the same everywhere: no other tenant's, which hold the time of their making.
var canaryTenant = notary.Tenant{
	ID:   notary.ID{6: 0x70, 8: 0x80, 15: 1},
	Name: "Self-deposit canary of this depository",
}

// A canary makes a deposit now and then as a stranger would: over HTTP, with an API
// key, the receipt held against the policy file and read back. What it cannot do,
// nobody can.
type canary struct {
	dir      string
	keys     *tenantKeyFiles
	server   string      // its URL
	tls      *tls.Config // by which it is sure to be itself; nil: plain HTTP
	accounts notary.Accounts
	every    time.Duration
	within   time.Duration // bounds one attempt
	advisory bool          // the witnesses' quorum is not waited for
	logger   *slog.Logger

	failed atomic.Pointer[error] // the last verdict; nil: it succeeded, or has not been tried

	deposits *prometheus.CounterVec
	last     prometheus.Gauge // when one last succeeded
	took     prometheus.Gauge
}

// newCanary returns a canary for the depository with those keys, which listens at that address.
func newCanary(keys *tenantKeyFiles, listen net.Addr, accounts notary.Accounts, every time.Duration, r prometheus.Registerer, logger *slog.Logger) *canary {
	c := &canary{
		dir: keys.dir, keys: keys, server: "http://" + reachable(listen), accounts: accounts, every: every, within: canaryWithin, logger: logger,
		deposits: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "muniment_canary_deposits_total",
			Help: "Attempts of the depository to deposit with itself, by how they ended.",
		}, []string{"result"}),
		last: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "muniment_canary_last_success_timestamp_seconds",
			Help: "When the depository last deposited with itself, in Unix time; before the first time, when it was started.",
		}),
		took: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "muniment_canary_duration_seconds",
			Help: "How long the last attempt took, well or not.",
		}),
	}
	up := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "muniment_canary_up",
		Help: "0 after an attempt that failed, until one succeeds; else 1.",
	}, func() float64 {
		if c.verdict() != nil {
			return 0
		}
		return 1
	})
	for _, result := range []string{"success", "failure"} {
		c.deposits.WithLabelValues(result)
	}
	c.last.SetToCurrentTime()
	r.MustRegister(c.deposits, c.last, c.took, up)
	return c
}

// reachable is the address by which this machine reaches a listener of its own.
func reachable(listen net.Addr) string {
	tcp, ok := listen.(*net.TCPAddr)
	if !ok || !tcp.IP.IsUnspecified() {
		return listen.String()
	}
	here := net.TCPAddr{IP: net.IPv6loopback, Port: tcp.Port}
	if tcp.IP.To4() != nil {
		here.IP = net.IPv4(127, 0, 0, 1)
	}
	return here.String()
}

// verdict is the failure of the last attempt, or nil.
func (c *canary) verdict() error {
	if err := c.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// run deposits until ctx ends. One attempt follows the other; one that failed is made
// again soon and under its own key, so that there is one entry however often it takes.
func (c *canary) run(ctx context.Context) {
	key := rand.Text()
	for wait := c.every; ; {
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return
		}
		begun := time.Now()
		err := c.try(ctx, key)
		if ctx.Err() != nil {
			return // stopped meanwhile: that is no verdict
		}
		c.took.Set(time.Since(begun).Seconds())
		if wait = c.every; err != nil {
			wait = min(canaryAgain, c.every)
		} else {
			key = rand.Text()
		}
		c.judge(err)
	}
}

// judge takes the result of an attempt.
func (c *canary) judge(err error) {
	if err != nil {
		c.deposits.WithLabelValues("failure").Inc()
		c.failed.Store(&err)
		c.logger.Error("the self-deposit failed", "error", err)
		return
	}
	c.deposits.WithLabelValues("success").Inc()
	c.last.SetToCurrentTime()
	if c.failed.Swap(nil) != nil {
		c.logger.Info("the self-deposit succeeds again")
	}
}

// try makes one deposit and reads its receipt back.
func (c *canary) try(ctx context.Context, key string) error {
	ctx, cancel := context.WithTimeout(ctx, c.within)
	defer cancel()
	apiKey, err := c.account(ctx)
	if err != nil {
		return fmt.Errorf("preparing the canary's account: %w", err)
	}
	file, err := os.ReadFile(filepath.Join(c.dir, "policy"))
	if err != nil {
		return err
	}
	policy, err := proofs.ParsePolicy(file)
	if err != nil {
		return err
	}
	if c.advisory {
		policy = policy.LogAlone()
	}
	claims, err := canaryClaims(key)
	if err != nil {
		return err
	}
	caller := stranger.Client{
		Server:   c.server,
		APIKey:   apiKey,
		Verifier: proofs.NewVerifier(policy, mldsa.Plugged()),
		// A connection of its own each time, as a stranger has, and none left to wait for.
		HTTP: &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: c.tls}},
	}
	made, err := caller.Deposit(ctx, stranger.Deposit{Key: key, Claims: claims})
	if err != nil {
		return fmt.Errorf("depositing: %w", err)
	}
	id, _ := made.Member("id")
	text, _ := id.Text()
	read, err := caller.Receipt(ctx, text)
	if err != nil {
		return fmt.Errorf("reading the receipt back: %w", err)
	}
	if read.Index != made.Index || read.Entry != made.Entry {
		return errors.New("the receipt read back is of another entry than the one that was deposited")
	}
	return nil
}

// canaryClaims say of whose making the deposit is; its digest is that of its key.
func canaryClaims(key string) (proofs.Record, error) {
	sum := sha256.Sum256([]byte(key))
	digest, err1 := proofs.Text(hex.EncodeToString(sum[:]))
	system, err2 := proofs.Text("munimentd canary")
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	return proofs.NewRecord(
		proofs.Member{Name: "content.sha256", Value: digest},
		proofs.Member{Name: "provenance.system", Value: system},
	)
}

// account returns the API key of the canary's tenant, and makes what is missing: keys
// before what needs them, each durable before the next.
func (c *canary) account(ctx context.Context) (apiKey string, err error) {
	_, err = c.accounts.Tenant(ctx, canaryTenant.ID)
	if errors.Is(err, notary.ErrNotFound) {
		err = c.enrol(ctx)
	}
	if err != nil {
		return "", err
	}
	if apiKey, err = c.apiKey(); err != nil {
		return "", err
	}
	_, err = c.accounts.APIKey(ctx, auth.Hash(apiKey))
	if errors.Is(err, notary.ErrNotFound) {
		err = c.accounts.CreateAPIKey(ctx, notary.APIKey{
			Hash: auth.Hash(apiKey), Tenant: canaryTenant.ID, Role: notary.Depositor, Created: time.Now().UTC().Truncate(time.Millisecond),
		})
	}
	return apiKey, unlessThere(err, notary.ErrExists)
}

// apiKey reads the file of the API key, and makes one that is missing.
func (c *canary) apiKey() (string, error) {
	path := canaryKeyPath(c.dir)
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		key, _ := auth.NewKey()
		if err := unlessThere(newFile(path, []byte(key+"\n")), os.ErrExist); err != nil {
			return "", err
		}
	}
	if err := private(path); err != nil {
		return "", err
	}
	data, err := os.ReadFile(path)
	return strings.TrimSpace(string(data)), err
}

// unlessThere forgives that another process was faster: what it made will do.
func unlessThere(err, exists error) error {
	if errors.Is(err, exists) {
		return nil
	}
	return err
}

// enrol makes the tenant. A key file that a crash left without its tenant will do: a
// new one in the place of one that is in use would make what is stored unreadable.
func (c *canary) enrol(ctx context.Context) error {
	if _, err := os.Stat(tenantKeyPath(c.dir, canaryTenant.ID)); errors.Is(err, os.ErrNotExist) {
		if err := unlessThere(c.keys.create(ctx, canaryTenant.ID), os.ErrExist); err != nil {
			return err
		}
	}
	t := canaryTenant
	t.Created = time.Now().UTC().Truncate(time.Millisecond)
	return unlessThere(c.accounts.CreateTenant(ctx, t), notary.ErrExists)
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/notary/webhook"
	"github.com/muniment/muniment/service"
)

// stopWithin bounds a graceful stop: every request is answered or refused by then.
const stopWithin = 10 * time.Second

// newHandler is put before the listener; the tests hold its answers against
// openapi.yaml.
var newHandler = service.New

func serveCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "serve --dir DIR",
		Short: "Run the depository (an empty DIR is initialised first)",
		Long: `Audit the log against its anchor, and then take deposits until SIGTERM or SIGINT.
On either, no new deposit is taken, every one that was is answered, and the
command ends within ten seconds.

Every --canary the depository makes a deposit with itself, as a stranger would:
over HTTP, digest only, its receipt verified under the policy file and read back.
Each is an entry in the public log. One that fails is logged, and until one
succeeds again /readyz says unready.

Exit code 0: stopped as asked. 2: it could not start, or not stop in time.
3: it stopped itself, since going on might have signed what is not so; the log
line before says why.`,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := loadConfig(c)
			if err != nil {
				return err
			}
			return serve(c.Context(), c.OutOrStdout(), cfg)
		},
	}
	settingFlags(c, func(name string) bool { return !strings.Contains(name, ".") && name != "anchors" })
	return c
}

func serve(ctx context.Context, out io.Writer, cfg *config) error {
	logger := newLogger(cfg.LogFormat)
	tuneMemory(cfg)
	build, err := readBuild()
	if err != nil {
		return err
	}
	facts, err := cfg.Facts.sheet(build)
	if err != nil {
		return err
	}
	fresh, err := empty(cfg.Dir)
	if err != nil {
		return err
	}
	if fresh {
		made, err := initialise(ctx, cfg, initOptions{TenantName: "Default tenant"})
		if err != nil {
			return err
		}
		if err := made.print(out, false); err != nil {
			return err
		}
	}
	if err := frozen(cfg.Dir); err != nil {
		return err
	}
	if err := cfg.checkConsole(); err != nil {
		return err
	}
	issuers, err := cfg.trusted()
	if err != nil {
		return err
	}
	files, err := openTLS(cfg.TLS, logger)
	if err != nil {
		return err
	}
	// Listen first: a port that is taken must not cost a start-up audit.
	listener, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return err
	}
	defer listener.Close()
	d, err := open(ctx, cfg, logger, func(err error) {
		logger.Error("the process ends now", "error", err)
		os.Exit(exitFatal)
	})
	if err != nil {
		return err
	}
	d.config.AcceptClock = cfg.AcceptClock
	d.build, d.config.Facts, d.issuers = build, facts, issuers
	metrics := newRegistry(cfg, d)
	d.config.Metrics = metrics
	if err = d.summon(cfg, logger); err == nil {
		d.earlier, err = earlierPolicies(cfg.Dir)
	}
	if err == nil {
		d.certificates, err = cfg.certificates(d.config.Timestamps)
	}
	if err == nil {
		err = d.opine(ctx, cfg, logger)
	}
	if err != nil {
		return errors.Join(err, d.close())
	}
	n, err := notary.Open(ctx, d.config)
	if err != nil {
		return errors.Join(err, d.close())
	}
	return errors.Join(d.serve(ctx, out, listener, files, n, metrics, cfg, logger), d.close())
}

// serve runs until ctx ends, and then stops in the order of the data's way: HTTP,
// notary, storage.
func (d *depository) serve(ctx context.Context, out io.Writer, listener net.Listener, files *tlsFiles, n *notary.Notary, metrics *prometheus.Registry, cfg *config, logger *slog.Logger) error {
	if d.lock != nil { // else fsck and doctor open the same stores beside it
		control, err := listenControl(d.lock)
		if err != nil {
			return fmt.Errorf("control socket: %w", err)
		}
		go serveControl(ctx, control, n, d, logger)
	}
	roots, err := cfg.rootsPEM()
	if err != nil {
		return err
	}
	caller := webhook.NewCaller(cfg.WebhookNetworks)
	edge := service.Config{
		Notary:       n,
		Accounts:     d.store.Accounts,
		Webhooks:     d.store.Webhooks,
		Caller:       caller,
		Policy:       d.config.Policy,
		Earlier:      d.earlier,
		MaxDocument:  cfg.MaxDocument,
		Logger:       logger,
		Build:        d.build,
		Metrics:      metrics,
		SingleCopy:   d.store.SingleCopy,
		Limits:       cfg.Limits,
		Issuers:      d.issuers,
		Bearers:      cfg.TLS.Callers,
		NewTenantKey: d.tenantKeys.create,
		Certificates: d.certificates,
		ConsoleURL:   cfg.ConsolePages.URL,

		TimestampRoots: roots,
	}
	singing, hush := context.WithCancel(ctx)
	var song sync.WaitGroup
	defer song.Wait()
	defer hush()
	if cfg.Canary > 0 {
		c := newCanary(d.tenantKeys, listener.Addr(), d.store.Accounts, cfg.Canary, metrics, logger)
		c.advisory = d.config.Advisory
		if files != nil {
			c.server, c.tls = "https://"+reachable(listener.Addr()), files.toSelf()
		}
		edge.Canary = c.verdict
		song.Go(func() { c.run(singing) })
	}
	if cfg.ConsolePages.Enabled == "on" {
		edge.Sessions = d.store.Sessions
		song.Go(func() { sweepSessions(singing, d.store.Sessions, logger) })
	}
	dispatcher := webhook.Dispatcher{Notary: n, Store: d.store.Webhooks, Caller: caller, Logger: logger, Metrics: metrics}
	song.Go(func() {
		if err := dispatcher.Run(singing); err != nil {
			logger.Error("webhooks are not called", "error", err)
		}
	})
	handler := newHandler(edge)
	scheme, address := "http", listener.Addr()
	if files != nil {
		scheme, listener = "https", files.listen(listener)
	}
	fmt.Fprintf(out, "serving %s on %s://%s\n", d.config.Policy.Logs[0].Name, scheme, address)
	tellSystemd("READY=1")
	defer context.AfterFunc(ctx, func() { tellSystemd("STOPPING=1") })()
	err = service.Serve(ctx, listener, handler, stopWithin/2)
	hush()
	song.Wait() // who reads the notary, before it closes
	stop, cancel := context.WithTimeout(context.Background(), stopWithin/2)
	defer cancel()
	return errors.Join(err, n.Close(stop))
}

func newLogger(format string) *slog.Logger {
	if format == "json" {
		return slog.New(slog.NewJSONHandler(os.Stderr, nil))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, nil))
}

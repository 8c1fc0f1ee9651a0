package main

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/proofs/mldsa"
	"github.com/muniment/muniment/service/client"
)

// Exit codes of audit beside those of every command.
const (
	exitRollback = 3 // the log shows less than it signed before, and stays so
	exitMissing  = 4 // entries or tiles are not there, or not what was signed
	exitStale    = 5 // the log does not move
)

// Bounds of an audit.
const (
	auditParallel = 8
	auditPatience = 30 * time.Second
	usualStale    = 15 * time.Minute // of --watch
	usualLag      = 2 * time.Minute
	shortestWatch = time.Second
	maxCompared   = 64
)

type auditOptions struct {
	lang                      proofs.Language
	log, policy, dir          string
	receipts                  string
	compare                   []string
	watch, stale, lag         time.Duration
	webhook, textfile         string
	parallel                  int
	again, json, staleIsGiven bool
}

func auditCommand(lang proofs.Language) *cobra.Command {
	o := auditOptions{lang: lang}
	c := &cobra.Command{
		Use:               "audit --log URL --policy POLICY --dir MIRROR",
		Short:             sayAuditShort.in(lang),
		Long:              sayAuditLong.in(lang),
		Example:           sayAuditExample.in(lang),
		Args:              nothing,
		ValidArgsFunction: noFiles,
		RunE: func(c *cobra.Command, _ []string) error {
			o.staleIsGiven = c.Flags().Changed("stale")
			return o.run(c)
		},
	}
	f := c.Flags()
	f.StringVar(&o.log, "log", "", sayFlagAuditLog.in(lang))
	f.StringVar(&o.policy, "policy", "", sayFlagPolicy.in(lang))
	f.StringVar(&o.dir, "dir", "", sayFlagAuditDir.in(lang))
	f.StringArrayVar(&o.compare, "compare", nil, sayFlagAuditCompare.in(lang))
	f.StringVar(&o.receipts, "receipts", "", sayFlagAuditReceipts.in(lang))
	f.DurationVar(&o.watch, "watch", 0, sayFlagAuditWatch.in(lang))
	f.DurationVar(&o.stale, "stale", 0, sayFlagAuditStale.in(lang))
	f.DurationVar(&o.lag, "lag", usualLag, sayFlagAuditLag.in(lang))
	f.StringVar(&o.webhook, "webhook", "", sayFlagAuditWebhook.in(lang))
	f.StringVar(&o.textfile, "textfile", "", sayFlagAuditTextfile.in(lang))
	f.IntVar(&o.parallel, "parallel", auditParallel, sayFlagAuditParallel.in(lang))
	f.BoolVar(&o.again, "again", false, sayFlagAuditAgain.in(lang))
	f.BoolVar(&o.json, "json", false, sayFlagJSON.in(lang))
	for _, name := range []string{"log", "compare", "watch", "stale", "lag", "webhook", "parallel"} {
		completes(c, name)
	}
	for _, name := range []string{"dir", "receipts"} {
		if err := c.MarkFlagDirname(name); err != nil {
			panic(err)
		}
	}
	return c
}

// check refuses what makes no sense, before anything is done.
func (o *auditOptions) check() error {
	switch {
	case o.dir == "":
		return sayWhichMirror.err()
	case o.parallel < 1 || o.parallel > maxParallel:
		return sayParallelBounds.err(maxParallel)
	case o.watch != 0 && o.watch < shortestWatch:
		return sayWatchBounds.err()
	case o.watch != 0 && o.log == "":
		return sayWatchWhat.err()
	case o.stale < 0 || o.lag < 0:
		return sayNegativeTime.err()
	case len(o.compare) > maxCompared:
		return sayTooManyCompared.err(maxCompared)
	}
	for _, address := range append([]string{o.webhook, o.log}, o.compare...) {
		u, err := url.Parse(address)
		if address != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
			return sayNoAddress.err(address)
		}
	}
	if o.watch != 0 && !o.staleIsGiven {
		o.stale = usualStale
	}
	return nil
}

func (o *auditOptions) run(c *cobra.Command) (err error) {
	if err := o.check(); err != nil {
		return err
	}
	policy, err := readPolicy(o.policy)
	if err != nil {
		return err
	}
	if len(policy.Logs) == 0 {
		return sayPolicyNoLog.err(o.policy)
	}
	signed, err := logsAlone(policy)
	if err != nil {
		return err
	}
	m, err := client.OpenMirror(o.dir)
	if err != nil {
		return mirrorFault(o.dir, err)
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	a := &auditor{
		auditOptions: o, screen: newScreen(c, o.lang, o.json), mirror: m,
		judged: &trusted{proofs.NewVerifier(policy, mldsa.Plugged()), policy.Fingerprint()}, signed: signed,
		origin: policy.Logs[0].Name, now: time.Now, standing: map[string]alarm{},
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = o.parallel
	a.http = &http.Client{Transport: transport}
	if o.log != "" {
		a.log = a.reader(o.log)
	}
	if o.watch != 0 {
		return a.watchOn(c.Context())
	}
	return a.once(c.Context())
}

// mirrorFault says of a folder why it cannot be used as a mirror.
func mirrorFault(dir string, err error) error {
	switch {
	case errors.Is(err, client.ErrMirrorInUse):
		return sayMirrorInUse.err(dir)
	case errors.Is(err, client.ErrMirror):
		return sayNotMirror.err(dir, err.Error())
	}
	return err
}

// logsAlone judges by the log's own signature: two notes with it contradict each other,
// whoever else signed.
func logsAlone(p proofs.Policy) (*trusted, error) {
	text := ""
	for _, k := range p.Logs {
		text += "log " + k.String() + "\n"
	}
	alone, err := proofs.ParsePolicy([]byte(text + "quorum none\n"))
	if err != nil {
		return nil, err
	}
	return &trusted{proofs.NewVerifier(alone), p.Fingerprint()}, nil
}

// An auditor holds what a log shows against what it showed before, to itself and to
// others.
type auditor struct {
	*auditOptions
	screen *screen
	mirror *client.Mirror
	http   *http.Client
	log    *client.Client // nil: only what is on disk is looked at
	judged *trusted       // by the policy
	signed *trusted       // by the log's signature alone
	origin string         // of the policy's log
	now    func() time.Time

	standing map[string]alarm // that were told, by name
}

// reader reads a log at its address, the one under which checkpoint stands.
func (a *auditor) reader(address string) *client.Client {
	return &client.Client{Log: address, HTTP: a.http, Patience: auditPatience, Retrying: retrying(a.screen)}
}

// once audits one time.
func (a *auditor) once(ctx context.Context) error {
	found := a.pass(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	a.alert(ctx, found)
	if err := a.tell(found); err != nil {
		return err
	}
	if found.code() != 0 {
		return exitError(found.code())
	}
	return nil
}

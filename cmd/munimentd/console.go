package main

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/service/auth"
)

// consoleConfig is what the settings say of the console, the pages for people who sign in.
type consoleConfig struct {
	Enabled string // on or off
	URL     string
}

func consoleSettings(c *consoleConfig) []setting {
	return []setting{
		{"console.enabled", choice(&c.Enabled, "on", "off"), "on", "on: who signs in finds the console at /console/; off: there is none"},
		{"console.url", site(&c.URL), "", "where browsers reach the console, as in https://evidence.bank.example; with it people sign in at the issuers of oidc.issuers that have a client-id; empty: with API keys alone"},
	}
}

// site is the address of a site, without a path.
func site(p *string) value {
	v := text(p)
	v.set = func(text string) error {
		u, err := url.Parse(text)
		if text != "" && (err != nil || u.Scheme+"://"+u.Host != text || auth.CheckURL(text) != nil) {
			return errors.New("is not a URL of the form https://HOST, without a path")
		}
		*p = text
		return nil
	}
	return v
}

// checkConsole refuses what would have people look for a sign-in that is not there.
func (c *config) checkConsole() error {
	for _, url := range slices.Sorted(maps.Keys(c.Issuers)) {
		if c.Issuers[url].ClientID != "" && c.ConsolePages.URL == "" && c.ConsolePages.Enabled == "on" {
			return errors.New("oidc.issuers has the client-id of " + url + ", so console.url must be set: where it sends people back to")
		}
	}
	return nil
}

// sweepEvery is how often sessions that have ended are taken away.
const sweepEvery = time.Hour

func sweepSessions(ctx context.Context, sessions notary.Sessions, logger *slog.Logger) {
	for ticks := time.NewTicker(sweepEvery); ; {
		if err := sessions.SweepSessions(ctx, time.Now()); err != nil && ctx.Err() == nil {
			logger.Warn("sessions of the console that have ended are still kept", "error", err)
		}
		select {
		case <-ticks.C:
		case <-ctx.Done():
			ticks.Stop()
			return
		}
	}
}

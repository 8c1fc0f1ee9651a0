package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/muniment/muniment/notary/cosign"
	"github.com/muniment/muniment/proofs"
)

// examineWithin bounds the look at all witnesses.
const examineWithin = 10 * time.Second

// summon makes the client that asks the policy's witnesses, if it has a quorum of them.
func (d *depository) summon(cfg *config, logger *slog.Logger) (err error) {
	if !d.config.Policy.Witnessed() {
		return nil
	}
	if d.asks, err = cosign.New(cosign.Config{Policy: d.config.Policy, Logger: logger}); err != nil {
		return fmt.Errorf("%s: %w", policyPath(cfg.Dir), err)
	}
	d.config.Witnesses, d.config.Advisory = d.asks, cfg.Witness == "advisory"
	d.config.Metrics.MustRegister(d.asks)
	return nil
}

// publishedNote is the newest published checkpoint of a depository, whether it runs or not.
func publishedNote(ctx context.Context, cfg *config) ([]byte, error) {
	d, err := open(ctx, cfg, slog.New(slog.DiscardHandler), func(error) {})
	if errors.Is(err, errTaken) {
		s, err := askState(ctx, cfg.Dir)
		return s.Published, err
	}
	if err != nil {
		return nil, err
	}
	s, err := stateOf(ctx, d.store)
	return s.Published, errors.Join(err, d.close())
}

// examine shows the published checkpoint to each witness.
func examine(ctx context.Context, client *cosign.Client, published []byte) ([]cosign.Standing, error) {
	if len(published) == 0 {
		return nil, errors.New("nothing is published yet")
	}
	note, err := proofs.ParseNote(published)
	if err != nil {
		return nil, err
	}
	cp, err := proofs.ParseCheckpoint(note.Text)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, examineWithin)
	defer cancel()
	return client.Examine(ctx, cp, published), nil
}

// witnesses asks each witness whether it would cosign what is published.
func (e *examination) witnesses(ctx context.Context) {
	if e.policy == nil || !e.policy.Witnessed() {
		return
	}
	client, err := cosign.New(cosign.Config{Policy: *e.policy, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		e.add("witnesses", wrong, "munimentd policy set, with a policy that can be met", "%v", err)
		return
	}
	defer client.Close()
	if e.state == nil {
		e.add("witnesses", unchecked, "", "whether they cosign what is published")
		return
	}
	standings, err := e.stand(ctx, client)
	if err != nil {
		e.add("witnesses", unchecked, "", "whether they cosign: %v", err)
		return
	}
	able, cosign := map[string]bool{}, 0
	for _, s := range standings {
		switch {
		case s.Dissent:
			e.add("witnesses", wrong, "find out before anything else which of the two lost entries: this depository, restored from an old state, must not go on; a witness that lost its memory is its operator's to mend",
				"%s, at %s, knows this log as another: %v", s.Witness, s.URL, s.Err)
		case s.Err != nil:
			e.add("witnesses", doubtful, "see that it runs at that address and has this log in its configuration: ask its operator", "%s, at %s, does not cosign: %v", s.Witness, s.URL, s.Err)
		default:
			cosign++
			for _, name := range s.Names {
				able[name] = true
			}
		}
	}
	if !e.policy.Stands(able) {
		e.add("witnesses", wrong, "get enough of the witnesses above back; what waits is published by itself then", "the quorum %q cannot stand now", e.policy.Quorum())
		return
	}
	e.add("witnesses", sound, "", "the quorum %q can stand: %d of %d that are asked cosign", e.policy.Quorum(), cosign, len(standings))
}

// stand is examine, once more with a newer checkpoint if a witness is ahead of a running
// depository: that goes on publishing meanwhile.
func (e *examination) stand(ctx context.Context, client *cosign.Client) ([]cosign.Standing, error) {
	published := e.state.Published
	for range 3 {
		standings, err := examine(ctx, client, published)
		ahead := false
		for _, s := range standings {
			ahead = ahead || s.Dissent
		}
		if err != nil || !ahead {
			return standings, err
		}
		note, err := publishedNote(ctx, e.config)
		if err != nil || string(note) == string(published) {
			return standings, nil
		}
		published = note
	}
	return examine(ctx, client, published)
}

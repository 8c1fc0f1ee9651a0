// Package cosign asks the witnesses of a policy to cosign the log's checkpoints: the
// client of C2SP tlog-witness. It stands apart from the server, package witness, which
// shares no code with the notary.
package cosign

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/muniment/muniment/notary"
	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/proofs/mldsa"
)

// Bounds of the client's patience.
const (
	// slowAfter is how long a round waits for a witness. One that takes longer is not
	// waited for again until it has answered.
	slowAfter      = time.Second
	requestTimeout = 10 * time.Second
	againLeast     = 100 * time.Millisecond // after a failure, doubled with each
	againMost      = 5 * time.Second
	// clockSkew is by how much a witness's clock may differ from ours.
	clockSkew = 5 * time.Minute
)

// Config is what a Client is made of.
type Config struct {
	Policy    proofs.Policy
	Logger    *slog.Logger      // nil: slog.Default
	Transport http.RoundTripper // nil: one of its own
}

// Client asks the witnesses of a policy to cosign the log's checkpoints (C2SP
// tlog-witness, add-checkpoint). Witnesses are asked in parallel, each by a goroutine of
// its own that knows one request at a time: one that is slow, or does not answer, delays
// nobody. It is a notary.Witnesses and a prometheus.Collector, and safe for concurrent use.
type Client struct {
	policy   proofs.Policy
	verifier *proofs.Verifier
	logAlone *proofs.Verifier // of the log's own signature
	http     *http.Client
	logger   *slog.Logger
	metrics  *clientMetrics

	run   context.Context
	halt  context.CancelFunc
	peers []*peer
	done  sync.WaitGroup

	mu      sync.Mutex
	newest  *notary.Sealed // that was to be cosigned
	changed chan struct{}  // closed and replaced whenever a witness has answered
}

// peer is a witness as it is asked: all keys that share a URL.
type peer struct {
	url   string
	names []string // in the policy
	wake  chan struct{}
	size  uint64 // that it cosigned last, as far as its goroutine knows

	// Under Client.mu.
	text         string // of the checkpoint that it cosigned last
	cosignatures map[string]proofs.Signature
	failing      bool            // it failed, or was slow, since it last cosigned
	dissent      *notary.Dissent // its last answer
}

// New returns a Client for the policy's witnesses that have a URL. It refuses a
// policy whose quorum these cannot make.
func New(c Config) (*Client, error) {
	peers, err := peersOf(c.Policy)
	if err != nil {
		return nil, err
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Transport == nil {
		c.Transport = newTransport()
	}
	client := &Client{
		policy:   c.Policy,
		verifier: proofs.NewVerifier(c.Policy, mldsa.Plugged()),
		logAlone: proofs.NewVerifier(c.Policy.LogAlone()),
		http: &http.Client{
			Transport: c.Transport,
			// A redirection is an answer that is none.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Timeout:       requestTimeout,
		},
		logger:  c.Logger,
		peers:   peers,
		changed: make(chan struct{}),
	}
	client.metrics = newClientMetrics(client)
	client.run, client.halt = context.WithCancel(context.Background())
	for _, p := range peers {
		client.done.Go(func() { client.serve(p) })
	}
	return client, nil
}

func newTransport() http.RoundTripper {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = 2
	t.MaxResponseHeaderBytes = 64 << 10
	return t
}

// peersOf are the witnesses that can be asked.
func peersOf(policy proofs.Policy) ([]*peer, error) {
	var peers []*peer
	byURL, able := map[string]*peer{}, map[string]bool{}
	for _, w := range policy.Witnesses {
		if w.URL == "" {
			continue
		}
		u, err := url.Parse(w.URL)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.RawQuery != "" || u.Fragment != "" {
			return nil, fmt.Errorf("witness %q: %q is not an address to ask at, as in https://witness.example/prefix", w.Name, w.URL)
		}
		prefix := strings.TrimRight(w.URL, "/")
		p := byURL[prefix]
		if p == nil {
			p = &peer{url: prefix, wake: make(chan struct{}, 1)}
			byURL[prefix], peers = p, append(peers, p)
		}
		p.names, able[w.Name] = append(p.names, w.Name), true
	}
	if !policy.Stands(able) {
		return nil, errors.New("the quorum cannot stand by the witnesses that have a URL in the policy: witness NAME VKEY URL")
	}
	return peers, nil
}

// Close ends all requests. The Client is of no use any more.
func (c *Client) Close() {
	c.halt()
	c.done.Wait()
	c.http.CloseIdleConnections()
}

// Cosign implements notary.Witnesses.
func (c *Client) Cosign(ctx context.Context, s notary.Sealed) notary.Cosigned {
	c.mu.Lock()
	c.newest = &s
	c.mu.Unlock()
	for _, p := range c.peers {
		select {
		case p.wake <- struct{}{}:
		default:
		}
	}
	slow := time.NewTimer(slowAfter)
	defer slow.Stop()
	text := s.String()
	for {
		said, settled, changed := c.look(text)
		if settled || ctx.Err() != nil || c.run.Err() != nil {
			return said
		}
		select {
		case <-changed:
		case <-slow.C:
			c.slow(text)
		case <-ctx.Done():
		case <-c.run.Done():
		}
	}
}

// Rest implements notary.Witnesses.
func (c *Client) Rest() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.newest = nil
	for _, p := range c.peers {
		p.failing, p.dissent = false, nil
	}
}

// look is what witnesses have said so far of a checkpoint. It is settled when the quorum
// stands, or cannot stand by witnesses that work.
func (c *Client) look(text string) (said notary.Cosigned, settled bool, changed <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	cosigned, able := map[string]bool{}, map[string]bool{}
	for _, p := range c.peers {
		if p.dissent != nil {
			for _, name := range p.names {
				d := *p.dissent
				d.Witness = name
				said.Dissents = append(said.Dissents, d)
			}
		}
		for _, name := range p.names {
			signature, ok := p.cosignatures[name]
			if ok = ok && p.text == text; ok {
				said.Cosignatures = append(said.Cosignatures, signature)
			}
			cosigned[name], able[name] = ok, ok || !p.failing
		}
	}
	return said, c.policy.Stands(cosigned) || !c.policy.Stands(able), c.changed
}

// slow notes who has not cosigned by now.
func (c *Client) slow(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.peers {
		if p.text != text && !p.failing {
			p.failing = true
			c.logger.Warn("a witness is slow", "witness", p.names[0])
		}
	}
}

// serve asks one witness for as long as there is something to ask.
func (c *Client) serve(p *peer) {
	for {
		select {
		case <-p.wake:
		case <-c.run.Done():
			return
		}
		for again := againLeast; ; again = min(2*again, againMost) {
			s := c.due(p)
			if s == nil {
				break
			}
			begun := time.Now()
			signatures, err := c.ask(c.run, p, *s)
			if c.run.Err() != nil {
				return
			}
			c.took(p, *s, signatures, err, time.Since(begun))
			if err == nil {
				again = againLeast / 2
				continue
			}
			if !c.sleep(again) {
				return
			}
		}
	}
}

func (c *Client) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-c.run.Done():
		return false
	}
}

// due is the newest checkpoint, unless the witness has cosigned it.
func (c *Client) due(p *peer) *notary.Sealed {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.newest == nil || c.newest.String() == p.text {
		return nil
	}
	return c.newest
}

// took takes note of how a request ended.
func (c *Client) took(p *peer, s notary.Sealed, signatures map[string]proofs.Signature, err error, elapsed time.Duration) {
	c.metrics.answered(p, err, elapsed)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil && c.newest == nil {
		return // asked before Rest
	}
	failing, dissenting := p.failing, p.dissent != nil
	p.failing, p.dissent = err != nil, nil
	var dissent *dissentError
	switch {
	case err == nil:
		p.text, p.cosignatures = s.String(), signatures
		if failing {
			c.logger.Info("a witness cosigns again", "witness", p.names[0])
		}
	case errors.As(err, &dissent):
		p.dissent = &dissent.Dissent
		if !dissenting {
			c.logger.Error("a witness knows this log as another", "witness", p.names[0], "asked", s.Size, "error", err)
		}
	case !failing:
		c.logger.Warn("a witness does not cosign", "witness", p.names[0], "error", err)
	}
	close(c.changed)
	c.changed = make(chan struct{})
}

package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/proofs"
	"github.com/muniment/muniment/proofs/mldsa"
	"github.com/muniment/muniment/proofs/sm"
	"github.com/muniment/muniment/service/client"
)

// connection is how a depository is reached.
type connection struct {
	server, apiKey string
	cert, key, ca  string // PEM files
	tenant, link   string // of who reads what others deposited
	lang           proofs.Language
}

func (n *connection) flags(c *cobra.Command, key bool) {
	c.Flags().StringVar(&n.server, "server", "", sayFlagServer.in(n.lang))
	completes(c, "server")
	c.Flags().StringVar(&n.ca, "ca", "", sayFlagCA.in(n.lang))
	if key {
		c.Flags().StringVar(&n.cert, "cert", "", sayFlagCert.in(n.lang))
		c.Flags().StringVar(&n.key, "cert-key", "", sayFlagCertKey.in(n.lang))
		c.Flags().StringVar(&n.apiKey, "api-key", "", sayFlagKey.in(n.lang))
		completes(c, "api-key")
	}
}

// readFlags are those of commands that read, for an auditor and a court.
func (n *connection) readFlags(c *cobra.Command) {
	c.Flags().StringVar(&n.tenant, "tenant", "", sayFlagTenant.in(n.lang))
	c.Flags().StringVar(&n.link, "link", "", sayFlagLink.in(n.lang))
	completes(c, "tenant")
	completes(c, "link")
}

// byLink takes a link in the place of an API key. A page's address brings the link behind
// its # and says which depository.
func (n *connection) byLink(c *cobra.Command) error {
	if c.Flags().Lookup("link") == nil {
		return nil
	}
	if n.tenant == "" {
		n.tenant = os.Getenv("MUNIMENT_TENANT")
	}
	if n.link == "" && n.apiKey == "" {
		n.link = os.Getenv("MUNIMENT_LINK")
	}
	if n.link == "" {
		return nil
	}
	if n.apiKey != "" {
		return sayKeyOrLink.err()
	}
	n.apiKey = n.link
	if page, err := url.Parse(n.link); err == nil && page.Host != "" {
		if n.apiKey = page.Fragment; n.server == "" {
			n.server = page.Scheme + "://" + page.Host
		}
	}
	if !strings.HasPrefix(n.apiKey, "mnl_") {
		return sayNoLink.err()
	}
	return nil
}

// client returns the client of that depository. What is worth knowing goes to s.
func (n *connection) client(c *cobra.Command, s *screen) (*client.Client, error) {
	if err := n.byLink(c); err != nil {
		return nil, err
	}
	if n.server == "" {
		n.server = os.Getenv("MUNIMENT_SERVER")
	}
	if n.server == "" {
		return nil, sayWhichServer.err()
	}
	if c.Flags().Lookup("api-key") != nil {
		if n.apiKey == "" {
			n.apiKey = os.Getenv("MUNIMENT_API_KEY")
		}
		n.cert, n.key = orElse(n.cert, "MUNIMENT_CERT"), orElse(n.key, "MUNIMENT_CERT_KEY")
		if n.apiKey == "" && n.cert == "" {
			return nil, sayWhichKey.err()
		}
		if exposed(n.server) {
			s.note(sayExposed, n.server)
		}
	}
	over, err := n.transport()
	if err != nil {
		return nil, err
	}
	return &client.Client{
		Server:   n.server,
		APIKey:   n.apiKey,
		HTTP:     over,
		Tenant:   n.tenant,
		Retrying: retrying(s),
	}, nil
}

// orElse is the value of a flag, or else of the environment.
func orElse(flag, variable string) string {
	if flag == "" {
		return os.Getenv(variable)
	}
	return flag
}

// transport shows our certificate, and believes roots of the caller's own, where there are
// such; nil: neither.
func (n *connection) transport() (*http.Client, error) {
	n.ca = orElse(n.ca, "MUNIMENT_CA")
	if n.cert == "" && n.ca == "" {
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if n.cert != "" {
		pair, err := tls.LoadX509KeyPair(n.cert, n.key)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	if n.ca != "" {
		data, err := os.ReadFile(n.ca)
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(data) {
			return nil, sayNoCertificates.err(n.ca)
		}
	}
	over := http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // it is one
	over.TLSClientConfig = config
	return &http.Client{Transport: over}, nil
}

// retrying tells of attempts that failed: not of each, where many uploads meet the same
// trouble at once.
func retrying(s *screen) func(error, time.Duration) {
	var mu sync.Mutex
	var told time.Time
	return func(err error, wait time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		if time.Since(told) < time.Second {
			return
		}
		told = time.Now()
		var unreached *url.Error
		if errors.As(err, &unreached) {
			err = unreached.Err
		}
		s.note(sayRetrying, cause(err, s.lang), sayTenths.with(wait.Seconds()))
	}
}

// exposed reports whether what is sent to server can be read on the way.
func exposed(server string) bool {
	u, err := url.Parse(server)
	if err != nil || u.Scheme != "http" || u.Hostname() == "localhost" {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return ip == nil || !ip.IsLoopback()
}

// trusted judges by a policy that people can recognise.
type trusted struct {
	*proofs.Verifier
	Fingerprint string
}

// trust is the policy that evidence is judged by: the one in the file, or else the
// server's own, which tells only that the server does not contradict itself.
func (n *connection) trust(c *cobra.Command, server *client.Client, file string, s *screen) (*trusted, error) {
	if file != "" {
		policy, err := readPolicy(file)
		return &trusted{proofs.NewVerifier(policy, mldsa.Plugged(), sm.Plugged()), policy.Fingerprint()}, err
	}
	policy, err := server.Policy(c.Context())
	if err != nil {
		return nil, err
	}
	s.note(sayOwnPolicy, policy.Fingerprint())
	return &trusted{proofs.NewVerifier(policy, mldsa.Plugged(), sm.Plugged()), policy.Fingerprint()}, nil
}

// believe has the client judge every receipt by that policy. A depository whose newest
// checkpoint does not satisfy it gives no receipt that would: nothing is sent to it.
func (n *connection) believe(c *cobra.Command, server *client.Client, file string, s *screen) error {
	t, err := n.trust(c, server, file, s)
	if err != nil {
		return err
	}
	if _, err := newest(c.Context(), server, t); err != nil {
		return refusing(s, err)
	}
	server.Verifier = t.Verifier
	return nil
}
